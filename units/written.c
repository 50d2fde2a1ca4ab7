/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each file is compared with what it should be and written only if it differs, since a change makes
 * systemd read all unit files again. Drop-ins stay over a boot, for the keeper is started before
 * anybody could have written them; the hosts' units do not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/written.h"

/* Where systemd keeps what programs set, not people (systemctl set-property does). */
#define DROPINS "/etc/systemd/system.control"
#define NAME    "50-loncapa.conf"

/* Where units are that were made since the boot. */
#define UNITS "/run/systemd/system"

/* What the unit files have. */
#define STANDARD_SOCK_DIR "/home/httpd/sockets"

/* Four paths of loncapa.conf, whose lines end at 4,096 bytes, quoted: less in practice by far. */
#define TEXT_SIZE 65536

struct text {
    char bytes[TEXT_SIZE];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...)
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

/* `%` starts a specifier everywhere; in a list of paths quotes and backslashes mean something too.
 */
static void append_path(struct text *text, const char *path, bool in_list)
{
    for (; *path != '\0'; path++) {
        if (*path == '%')
            append(text, "%%");
        else if (in_list && (*path == '"' || *path == '\\'))
            append(text, "\\");
        append(text, "%c", *path);
    }
}

static const char header[] = "# Written by `lonc-hosts sync`, after loncapa.conf.\n";

/* `directory` and what is below it, where it is another than the unit file has. */
static void append_writable(struct text *text, const char *directory, const char *below,
                            const char *standard)
{
    if (strcmp(directory, standard) == 0)
        return;
    if (text->length == 0)
        append(text, "%s[Service]\n", header);
    append(text, "ReadWritePaths=\"-");
    append_path(text, directory, true);
    append(text, "%s\"\n", below);
}

static void write_socket(struct text *text, const struct loncapa *conf)
{
    if (strcmp(conf->sock_dir, STANDARD_SOCK_DIR) == 0)
        return;
    append(text, "%s[Socket]\nListenStream=\nListenStream=", header);
    append_path(text, conf->sock_dir, false);
    append(text, "/%%i\n");
}

static void write_keeper(struct text *text, const struct loncapa *conf)
{
    append_writable(text, conf->sock_dir, "", STANDARD_SOCK_DIR);
    append_writable(text, conf->daemons, "/logs", "/home/httpd/perl");
    append_writable(text, conf->doc_root, "/lon-status", "/home/httpd/html");
    append_writable(text, conf->cert_dir, "", "/home/httpd/lonCerts");
}

/* --- The files -------------------------------------------------------------------------------- */

static int fail(const char *path, int error)
{
    fprintf(stderr, "lonc-hosts: %s: %s\n", path, strerror(error));
    return -error;
}

/* What the file holds, "" for none. */
static void read_file(const char *path, struct text *text)
{
    text->length = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, text->bytes, TEXT_SIZE - 1);
        text->length = n > 0 ? (size_t)n : 0;
        close(fd);
    }
    text->bytes[text->length] = '\0';
}

static int make_directory(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? fail(path, errno) : 0;
}

/* By a rename, so that systemd never reads half of it. */
static int replace_file(const char *path, const struct text *text)
{
    char draft[600];
    snprintf(draft, sizeof(draft), "%s.new", path);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return fail(draft, errno);
    ssize_t n = write(fd, text->bytes, text->length);
    int error = n < 0 ? errno : (size_t)n < text->length ? ENOSPC : 0;
    if (close(fd) < 0 && error == 0)
        error = errno;
    if (error == 0 && rename(draft, path) < 0)
        error = errno;
    if (error == 0)
        return 0;
    unlink(draft);
    return fail(path, error);
}

static int put_file(const char *unit, const char *path, const struct text *text)
{
    char directory[512];
    snprintf(directory, sizeof(directory), DROPINS "/%s.d", unit);
    if (text->length == 0) {
        if (unlink(path) < 0)
            return fail(path, errno);
        rmdir(directory); /* stays while there are other drop-ins */
        return 0;
    }
    int r = make_directory(DROPINS);
    if (r >= 0)
        r = make_directory(directory);
    return r < 0 ? r : replace_file(path, text);
}

static const struct dropin {
    const char *unit;
    void (*write)(struct text *text, const struct loncapa *conf);
    bool of_keeper;
} dropins[] = {
    {"lonc-shared@.socket", write_socket, false},
    {"lonc-keeper.service", write_keeper, true},
};

int written_dropins(struct written *written, const struct loncapa *conf)
{
    for (size_t i = 0; i < sizeof(dropins) / sizeof(*dropins); i++) {
        static struct text wanted, found;
        char path[512];
        snprintf(path, sizeof(path), DROPINS "/%s.d/" NAME, dropins[i].unit);
        wanted.length = 0;
        wanted.bytes[0] = '\0';
        dropins[i].write(&wanted, conf);
        read_file(path, &found);
        if (strcmp(wanted.bytes, found.bytes) == 0)
            continue;
        printf("%s %s: the directories of loncapa.conf\n", wanted.length > 0 ? "write" : "remove",
               path);
        written->changed = true;
        written->keeper_changed |= dropins[i].of_keeper;
        int r = written->dry_run ? 0 : put_file(dropins[i].unit, path, &wanted);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- The units of hosts ----------------------------------------------------------------------- */

/* Each host's two files, and what they are made of. */
static const struct {
    const char *template, *suffix;
} host_units[] = {
    {LONC_LIBDIR "/lonc-host.socket", ".socket"},
    {LONC_LIBDIR "/lonc-host@.service", "@.service"},
};
#define HOST_UNITS (sizeof(host_units) / sizeof(*host_units))

struct host_values {
    const char *id, *sock_dir;
    uid_t user;
    gid_t group;
};

/* The value of the mark that `at` begins with, into `text`. How long the mark is, 0 for none. */
static size_t append_value(struct text *text, const char *at, const struct host_values *values)
{
    if (strncmp(at, "@HOST@", 6) == 0) {
        append(text, "%s", values->id);
        return 6;
    }
    if (strncmp(at, "@SOCKDIR@", 9) == 0) {
        append_path(text, values->sock_dir, false);
        return 9;
    }
    if (strncmp(at, "@USER@", 6) == 0) {
        append(text, "%u", values->user);
        return 6;
    }
    if (strncmp(at, "@GROUP@", 7) == 0) {
        append(text, "%u", values->group);
        return 7;
    }
    return 0;
}

/* Comments and blank lines stay behind: the service is read for every connection. */
static void fill_in(struct text *text, const char *template, const struct host_values *values)
{
    append(text, "# Made by `lonc-hosts sync`.\n");
    for (const char *line = template; *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        bool said = *line != '#' && line < end;
        while (line < end) {
            size_t n = said ? append_value(text, line, values) : 0;
            if (said && n == 0)
                append(text, "%c", *line);
            line += n > 0 ? n : 1;
        }
        if (said)
            append(text, "\n");
        line = *end == '\n' ? end + 1 : end;
    }
}

static int find_user(struct host_values *values)
{
    errno = 0;
    const struct passwd *www = getpwnam("www");
    if (www == NULL) {
        fputs("lonc-hosts: there is no user www\n", stderr);
        return -ENOENT;
    }
    values->user = www->pw_uid;
    values->group = www->pw_gid;
    return 0;
}

int written_host(struct written *written, const struct loncapa *conf, const char *id)
{
    static struct host_values values; /* the user's are looked up once */
    static struct text templates[HOST_UNITS], wanted, found;
    int r = values.id != NULL ? 0 : find_user(&values);
    values.id = id;
    values.sock_dir = conf->sock_dir;
    for (size_t i = 0; r >= 0 && i < HOST_UNITS; i++) {
        char path[512];
        if (templates[i].length == 0)
            read_file(host_units[i].template, &templates[i]);
        if (templates[i].length == 0)
            return fail(host_units[i].template, ENOENT);
        snprintf(path, sizeof(path), UNITS "/lonc-host-%s%s", id, host_units[i].suffix);
        wanted.length = 0;
        fill_in(&wanted, templates[i].bytes, &values);
        read_file(path, &found);
        if (strcmp(wanted.bytes, found.bytes) == 0)
            continue;
        written->changed = true;
        r = written->dry_run ? 0 : make_directory(UNITS);
        if (r >= 0 && !written->dry_run)
            r = replace_file(path, &wanted);
    }
    return r;
}

/* "lonc-host-ID.socket", "lonc-host-ID@.service": the ID; false for another file. */
static bool id_of(const char *name, char id[256])
{
    static const char prefix[] = "lonc-host-";
    size_t length = strlen(name), before = sizeof(prefix) - 1;
    for (size_t i = 0; i < HOST_UNITS; i++) {
        size_t after = strlen(host_units[i].suffix);
        if (length <= before + after || length - before - after > 255 ||
            strncmp(name, prefix, before) != 0 ||
            strcmp(name + length - after, host_units[i].suffix) != 0)
            continue;
        snprintf(id, 256, "%.*s", (int)(length - before - after), name + before);
        return true;
    }
    return false;
}

int written_prune(struct written *written, bool (*is_wanted)(void *argument, const char *id),
                  void *argument)
{
    DIR *directory = opendir(UNITS);
    if (directory == NULL)
        return errno == ENOENT ? 0 : fail(UNITS, errno);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char id[256];
        if (!id_of(entry->d_name, id) || is_wanted(argument, id))
            continue;
        written->changed = true;
        if (!written->dry_run && unlinkat(dirfd(directory), entry->d_name, 0) < 0)
            fail(entry->d_name, errno);
    }
    closedir(directory);
    return 0;
}
