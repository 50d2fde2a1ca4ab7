/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines of lonnet.perm.log. lonnet and other programs append to it too, so a line is one write.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/names.h"
#include "keeper/permlog.h"
#include "keeper/request.h"

int permlog_append(const char *path, enum permlog_kind kind, const char *host, const char *command,
                   size_t length, time_t now)
{
    char line[PERMLOG_COMMAND_MAX + NAME_MAX_LENGTH + 128], bytes[32] = "", date[64];
    struct request_shown shown =
        request_shown(command, length < PERMLOG_COMMAND_MAX ? length : PERMLOG_COMMAND_MAX);
    if (shown.secret) /* "encrypt:auth (37 bytes)" */
        snprintf(bytes, sizeof(bytes), " (%zu bytes)", length);
    struct tm local;
    localtime_r(&now, &local);
    /* As Perl's localtime says it, which is what loncron's readers expect. */
    strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &local);

    int at = snprintf(line, sizeof(line), "%lld:%c:%.*s:", (long long)now, (char)kind,
                      NAME_MAX_LENGTH, host);
    memcpy(line + at, command, shown.length);
    size_t total = (size_t)at + shown.length;
    total += (size_t)snprintf(line + total, sizeof(line) - total, "%s:%s\n", bytes, date);

    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, line, total);
    int r = n < 0 ? -errno : (size_t)n < total ? -ENOSPC : 0;
    close(fd);
    return r;
}
