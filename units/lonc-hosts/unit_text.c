/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See unit_text.h. A unit is made from its template line by line. What comes from a table or a
 * setting is escaped where systemd would give it a special meaning.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "units/lonc-hosts/places.h"
#include "units/lonc-hosts/unit_text.h"

/* The mark in a template that stands for the path of a host's socket. */
#define SOCKET_MARK "@SOCKET@"
#define LISTEN      "ListenStream="

#define LENGTH(literal) (sizeof(literal) - 1)

void unit_text_clear(struct unit_text *text)
{
    text->length = 0;
    text->bytes[0] = '\0';
}

__attribute__((format(printf, 2, 3))) static void append(struct unit_text *text, const char *format,
                                                         ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text->bytes + text->length, TEXT_SIZE - text->length, format, arguments);
    va_end(arguments);
    if (n > 0)
        text->length += (size_t)n;
    if (text->length >= TEXT_SIZE)
        text->length = TEXT_SIZE - 1;
}

/* Copies instead of printing: the units of 1,000 hosts are a megabyte of text, which is made and
 * compared each minute. */
static void append_bytes(struct unit_text *text, const char *bytes, size_t length)
{
    size_t room = TEXT_SIZE - 1 - text->length;
    if (length > room)
        length = room;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

/* `%` starts a specifier everywhere. In a list of paths, quotes and backslashes are special too. */
static void append_path(struct unit_text *text, const char *path, bool in_list)
{
    for (; *path != '\0'; path++) {
        if (*path == '%')
            append_bytes(text, "%", 1);
        else if (in_list && (*path == '"' || *path == '\\'))
            append_bytes(text, "\\", 1);
        append_bytes(text, path, 1);
    }
}

/* --- The units of hosts ----------------------------------------------------------------------- */

/* What the marks of a template stand for. */
struct values {
    const struct host *host;
    const struct www *user;
    const char *path; /* in the current line */
};

/* Appends the value of the mark that `at` begins with. Returns the length of the mark, 0 if there
 * is none. */
static size_t append_value(struct unit_text *text, const char *at, const struct values *values)
{
    if (strncmp(at, "@HOST@", 6) == 0) {
        append(text, "%s", values->host->id);
        return 6;
    }
    if (strncmp(at, SOCKET_MARK, LENGTH(SOCKET_MARK)) == 0) {
        append_path(text, values->path, false);
        return LENGTH(SOCKET_MARK);
    }
    if (strncmp(at, "@USER@", 6) == 0) {
        append(text, "%u", values->user->user);
        return 6;
    }
    if (strncmp(at, "@GROUP@", 7) == 0) {
        append(text, "%u", values->user->group);
        return 7;
    }
    return 0;
}

static void append_line(struct unit_text *text, const char *line, const char *end,
                        const struct values *values)
{
    while (line < end) {
        const char *mark = memchr(line, '@', (size_t)(end - line));
        size_t plain = (size_t)((mark != NULL ? mark : end) - line);
        append_bytes(text, line, plain);
        line += plain;
        if (mark == NULL)
            break;
        size_t n = append_value(text, line, values);
        if (n == 0)
            append_bytes(text, line, 1);
        line += n > 0 ? n : 1;
    }
    append_bytes(text, "\n", 1);
}

/* How often a line of the template appears in the unit. */
static size_t repetitions(const char *line, const char *end, const struct host *host)
{
    /* Comments and blank lines are left out: systemd reads the service for every connection. */
    if (line == end || *line == '#')
        return 0;
    size_t length = (size_t)(end - line);
    return memmem(line, length, SOCKET_MARK, LENGTH(SOCKET_MARK)) != NULL ? host->path_count : 1;
}

void unit_text_host_unit(struct unit_text *text, const char *template, const struct host *host,
                         const struct www *user)
{
    struct values values = {.host = host, .user = user};
    unit_text_clear(text);
    append(text, "# Made by `lonc-hosts sync`.\n");
    for (const char *line = template; *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        for (size_t i = 0, n = repetitions(line, end, host); i < n; i++) {
            values.path = host->paths[i];
            append_line(text, line, end, &values);
        }
        line = *end == '\n' ? end + 1 : end;
    }
}

bool unit_text_has_paths(const char *unit, const struct host *host)
{
    static struct unit_text wanted; /* too large for the stack */
    size_t found = 0;
    for (const char *line = unit; *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        if (strncmp(line, LISTEN, LENGTH(LISTEN)) == 0) {
            if (found == host->path_count)
                return false;
            unit_text_clear(&wanted);
            append(&wanted, LISTEN);
            append_path(&wanted, host->paths[found++], false);
            if (wanted.length != (size_t)(end - line) ||
                memcmp(wanted.bytes, line, wanted.length) != 0)
                return false;
        }
        line = *end == '\n' ? end + 1 : end;
    }
    return found == host->path_count;
}

/* Undoes append_path. False if the value cannot be a path that append_path has written. */
static bool read_path(char path[PATH_SIZE], const char *value, const char *end)
{
    size_t n = 0;
    for (; value < end && n < PATH_SIZE - 1; value++, n++) {
        path[n] = *value;
        if (*value == '%')
            value++;
    }
    path[n] = '\0';
    return value >= end;
}

size_t unit_text_read_paths(const char *unit, char paths[PATHS_MAX][PATH_SIZE])
{
    size_t count = 0;
    for (const char *line = unit; *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        if (count < PATHS_MAX && strncmp(line, LISTEN, LENGTH(LISTEN)) == 0 &&
            read_path(paths[count], line + LENGTH(LISTEN), end))
            count++;
        line = *end == '\n' ? end + 1 : end;
    }
    return count;
}

/* --- Drop-ins --------------------------------------------------------------------------------- */

/* Whether the text has the line already. Folders with a common beginning need the same mounts. */
static bool has_line(const struct unit_text *text, const char *line)
{
    const char *at = strstr(text->bytes, line);
    size_t length = strlen(line);
    while (at != NULL && (at[length] != '\n' || (at > text->bytes && at[-1] != '\n')))
        at = strstr(at + 1, line);
    return at != NULL;
}

/*
 * Uses Wants= and After=, not Requires= (nor RequiresMountsFor=, which implies it): a service must
 * not be stopped because something is unmounted. systemd does not wait for a unit that does not
 * exist.
 */
static void append_mount(struct unit_text *text, const char *path, size_t length)
{
    char unit[UNIT_SIZE], line[sizeof("After=") + UNIT_SIZE];
    if (!places_mount_unit(unit, sizeof(unit), path, length))
        return;
    snprintf(line, sizeof(line), "After=%s", unit);
    if (!has_line(text, line))
        append(text, "Wants=%s\n%s\n", unit, line);
}

/* Each folder on the way to the path may be a mount point. */
static void append_mounts(struct unit_text *text, const char *path)
{
    for (const char *end = path + strspn(path, "/"); *end != '\0'; end += strspn(end, "/")) {
        end += strcspn(end, "/");
        append_mount(text, path, (size_t)(end - path));
    }
}

void unit_text_dropin(struct unit_text *text, char *const *needed, char *const *writable)
{
    unit_text_clear(text);
    if (*needed != NULL || *writable != NULL)
        append(text, "# Written by `lonc-hosts sync`, after loncapa.conf and where links lead.\n");
    if (*needed != NULL)
        append(text, "[Unit]\n");
    for (; *needed != NULL; needed++)
        append_mounts(text, *needed);
    if (*writable != NULL)
        append(text, "[Service]\n");
    for (; *writable != NULL; writable++) {
        append(text, "ReadWritePaths=\"-");
        append_path(text, *writable, true);
        append(text, "\"\n");
    }
}
