/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Appending lines to lonnet.perm.log. lonnet and other programs append to it at the same time, so
 * each line is one write.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/host_name.h"
#include "keeper/deferred/permlog.h"
#include "keeper/lond/request.h"

/* A symbolic link is followed, as administrators use one to put the log on another disk. */
static int open_log(const char *path, int create)
{
    struct stat status;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | create, 0640);
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &status) < 0 ? -errno : S_ISREG(status.st_mode) ? 0 : -EINVAL;
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

static int check_room(const struct statvfs *room)
{
    return room->f_bavail * room->f_frsize >= PERMLOG_LINE_MAX ? 0 : -ENOSPC;
}

/*
 * Reserves the room for a line behind the end of the log. A file system that cannot reserve is
 * asked for its free blocks.
 */
static int reserve_line(int fd)
{
    struct stat status;
    struct statvfs room;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, status.st_size, PERMLOG_LINE_MAX) == 0)
        return 0;
    if (errno != EOPNOTSUPP)
        return -errno;
    return fstatvfs(fd, &room) < 0 ? -errno : check_room(&room);
}

/* Whether a log that does not exist yet could be created. */
static int probe_folder(const char *path)
{
    char folder[PATH_MAX];
    struct statvfs room;
    const char *slash = strrchr(path, '/');
    int length =
        snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) : 0, path);
    if (length <= 0 || (size_t)length >= sizeof(folder))
        return -ENOENT;
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0 || statvfs(folder, &room) < 0)
        return -errno;
    return check_room(&room);
}

int permlog_probe(const char *path)
{
    int fd = open_log(path, 0);
    if (fd == -ENOENT)
        return probe_folder(path);
    if (fd < 0)
        return fd;
    int r = reserve_line(fd);
    close(fd);
    return r;
}

/* How much of a command of this length is read. */
static size_t kept_length(size_t length)
{
    return length < PERMLOG_COMMAND_MAX ? length : PERMLOG_COMMAND_MAX;
}

int permlog_append(const char *path, enum permlog_kind kind, const char *host, const char *command,
                   size_t length, time_t now)
{
    char line[PERMLOG_LINE_MAX], bytes[32] = "", date[64];
    struct request_shown shown = request_shown(command, kept_length(length));
    if (shown.secret) /* "encrypt:auth (37 bytes)" */
        snprintf(bytes, sizeof(bytes), " (%zu bytes)", length);
    struct tm local;
    localtime_r(&now, &local);
    /* The form of Perl's localtime, which the readers of loncron's report expect. */
    strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &local);

    int at = snprintf(line, sizeof(line), "%lld:%c:%.*s:", (long long)now, (char)kind,
                      HOST_NAME_MAX_LENGTH, host);
    memcpy(line + at, command, shown.length);
    size_t total = (size_t)at + shown.length;
    total += (size_t)snprintf(line + total, sizeof(line) - total, "%s:%s\n", bytes, date);

    int fd = open_log(path, O_CREAT);
    if (fd < 0)
        return fd;
    ssize_t n = write(fd, line, total);
    int r = n < 0 ? -errno : (size_t)n < total ? -ENOSPC : 0;
    close(fd);
    return r;
}

char *permlog_keep(const char *command, size_t length)
{
    char *kept = malloc(kept_length(length) + 1); /* a command may be empty */
    if (kept != NULL)
        memcpy(kept, command, kept_length(length));
    return kept;
}

void permlog_drop(char *kept, size_t length)
{
    if (kept != NULL)
        explicit_bzero(kept, kept_length(length));
    free(kept);
}
