/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Units are made of templates line by line; what an administrator or a table has chosen is escaped
 * where systemd would read more into it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "units/lonc-hosts/places.h"
#include "units/lonc-hosts/unit_text.h"

/* In a template, where the path of a host's socket goes. */
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

/* By copying: a table of 1,000 hosts is a megabyte of units, which is compared each minute. */
static void append_bytes(struct unit_text *text, const char *bytes, size_t length)
{
    size_t room = TEXT_SIZE - 1 - text->length;
    if (length > room)
        length = room;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

/* `%` starts a specifier everywhere; in a list of paths quotes and backslashes mean something too.
 */
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

struct values {
    const struct host *host;
    const struct www *user;
    const char *path; /* for this line */
};

/* The value of the mark that `at` begins with, into `text`. How long the mark is, 0 for none. */
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

static size_t times(const char *line, const char *end, const struct host *host)
{
    /* Comments and blank lines stay behind: the service is read for every connection. */
    if (line == end || *line == '#')
        return 0;
    size_t length = (size_t)(end - line);
    return memmem(line, length, SOCKET_MARK, LENGTH(SOCKET_MARK)) != NULL ? host->path_count : 1;
}

void unit_text_unit(struct unit_text *text, const char *template, const struct host *host,
                    const struct www *user)
{
    struct values values = {.host = host, .user = user};
    unit_text_clear(text);
    append(text, "# Made by `lonc-hosts sync`.\n");
    for (const char *line = template; *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        for (size_t i = 0, n = times(line, end, host); i < n; i++) {
            values.path = host->paths[i];
            append_line(text, line, end, &values);
        }
        line = *end == '\n' ? end + 1 : end;
    }
}

/* By comparing the lines that unit_text_unit wrote, in their order. */
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

/* Undoes append_path. What unit_text_unit has not written is left out. */
static void take_path(const char *value, const char *end, struct host *host)
{
    size_t n = 0;
    if (host->path_count == PATHS_MAX)
        return;
    char *path = host->paths[host->path_count];
    for (; value < end && n < PATH_SIZE - 1; value++, n++) {
        path[n] = *value;
        if (*value == '%')
            value++;
    }
    path[n] = '\0';
    if (value >= end)
        host->path_count++;
}

void unit_text_take_paths(const char *unit, struct host *host)
{
    host->path_count = 0;
    for (const char *line = unit; *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        if (strncmp(line, LISTEN, LENGTH(LISTEN)) == 0)
            take_path(line + LENGTH(LISTEN), end, host);
        line = *end == '\n' ? end + 1 : end;
    }
}

/* --- Drop-ins --------------------------------------------------------------------------------- */

/* Whether it is there already, which it is for all folders that begin with the same ones. */
static bool has_line(const struct unit_text *text, const char *line)
{
    const char *at = strstr(text->bytes, line);
    size_t length = strlen(line);
    while (at != NULL && (at[length] != '\n' || (at > text->bytes && at[-1] != '\n')))
        at = strstr(at + 1, line);
    return at != NULL;
}

/*
 * Wants= and After=, never Requires= (nor RequiresMountsFor=, which has that): a service must not
 * be stopped because something is unmounted. A unit that there is not is none to wait for.
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

/* Any folder on the way may be where something is mounted. */
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
