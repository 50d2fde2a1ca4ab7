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

/* "encrypt:auth (37 bytes)": the text that follows may hold a password. */
static int describe_secret(const char *command, size_t length, char *text, size_t size)
{
    static const char prefix[] = "encrypt:";
    const char *word = command + sizeof(prefix) - 1;
    size_t left = length - (sizeof(prefix) - 1), end = 0;
    while (end < left && end < 32 && word[end] >= 'a' && word[end] <= 'z')
        end++;
    return snprintf(text, size, "%s%.*s (%zu bytes)", prefix, (int)end, word, length);
}

int permlog_append(const char *path, enum permlog_kind kind, const char *host, const char *command,
                   size_t length, time_t now)
{
    char line[PERMLOG_COMMAND_MAX + NAME_MAX_LENGTH + 128], secret[128], date[64];
    if (length >= 8 && memcmp(command, "encrypt:", 8) == 0) {
        length = (size_t)describe_secret(command, length, secret, sizeof(secret));
        command = secret;
    }
    if (length > PERMLOG_COMMAND_MAX)
        length = PERMLOG_COMMAND_MAX;
    struct tm local;
    localtime_r(&now, &local);
    /* As Perl's localtime says it, which is what loncron's readers expect. */
    strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &local);

    int at = snprintf(line, sizeof(line), "%lld:%c:%.*s:", (long long)now, (char)kind,
                      NAME_MAX_LENGTH, host);
    memcpy(line + at, command, length);
    int rest = snprintf(line + at + length, sizeof(line) - (size_t)at - length, ":%s\n", date);
    size_t total = (size_t)at + length + (size_t)rest;

    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, line, total);
    int r = n < 0 ? -errno : (size_t)n < total ? -ENOSPC : 0;
    close(fd);
    return r;
}
