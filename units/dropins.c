/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each drop-in is compared with what it should be and written only if it differs, since a change
 * makes systemd read all unit files again. They stay over a boot: the keeper is started before
 * anybody could have written them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/dropins.h"

/* Where systemd keeps what programs set, not people (systemctl set-property does). */
#define DIRECTORY "/etc/systemd/system.control"
#define NAME      "50-loncapa.conf"

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
    snprintf(directory, sizeof(directory), DIRECTORY "/%s.d", unit);
    if (text->length == 0) {
        if (unlink(path) < 0)
            return fail(path, errno);
        rmdir(directory); /* stays while there are other drop-ins */
        return 0;
    }
    int r = make_directory(DIRECTORY);
    if (r >= 0)
        r = make_directory(directory);
    return r < 0 ? r : replace_file(path, text);
}

static const struct dropin {
    const char *unit;
    void (*write)(struct text *text, const struct loncapa *conf);
    bool of_keeper;
} dropins[] = {
    {"lonc@.socket", write_socket, false},
    {"lonc-shared@.socket", write_socket, false},
    {"lonc-keeper.service", write_keeper, true},
};

int dropins_update(const struct loncapa *conf, bool dry_run, bool *changed, bool *keeper_changed)
{
    *changed = *keeper_changed = false;
    for (size_t i = 0; i < sizeof(dropins) / sizeof(*dropins); i++) {
        static struct text wanted, found;
        char path[512];
        snprintf(path, sizeof(path), DIRECTORY "/%s.d/" NAME, dropins[i].unit);
        wanted.length = 0;
        wanted.bytes[0] = '\0';
        dropins[i].write(&wanted, conf);
        read_file(path, &found);
        if (strcmp(wanted.bytes, found.bytes) == 0)
            continue;
        printf("%s %s: loncapa.conf has other directories\n",
               wanted.length > 0 ? "write" : "remove", path);
        *changed = true;
        *keeper_changed |= dropins[i].of_keeper;
        int r = dry_run ? 0 : put_file(dropins[i].unit, path, &wanted);
        if (r < 0)
            return r;
    }
    return 0;
}
