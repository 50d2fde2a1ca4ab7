/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The key file of local mode (lonc-protocol(7) section 2), as lonc must leave it: a plain file of
 * lonc's own user that nobody else can read, one line of 32 hex digits. lond reads and removes it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lond/lond.h"

#define DIGITS 32

static bool is_key(const char *line, ssize_t length)
{
    if (length != DIGITS + 1 || line[DIGITS] != '\n')
        return false;
    for (size_t i = 0; i < DIGITS; i++)
        if (!isxdigit((unsigned char)line[i]))
            return false;
    return true;
}

static bool is_private(int fd)
{
    struct stat stat;

    return fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && (stat.st_mode & 07777) == 0600 &&
           stat.st_nlink == 1;
}

bool keyfile_take(const char *path, char key[33])
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char line[DIGITS + 2];
    bool right;

    if (fd < 0) {
        SAY("key file %s: %s", path, strerror(errno));
        return false;
    }
    right = is_private(fd) && is_key(line, read(fd, line, sizeof(line)));
    close(fd);
    if (!right) {
        SAY("key file %s: not mode 0600, or not 32 hex digits and LF", path);
        return false;
    }
    memcpy(key, line, DIGITS);
    key[DIGITS] = '\0';
    if (!lond.keep_key_file && unlink(path) < 0)
        fail("key file %s: %s", path, strerror(errno));
    return true;
}
