/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Key files exist for the length of a handshake with this machine's own lond. They are written
 * without a sync, since after a crash of the machine they are worthless.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/lond/keyfile.h"

#define PREFIX "lonc-key-"
#define DIGITS (2 * CIPHER_KEY_SIZE)

bool keyfile_possible(const char *directory)
{
    /* If the kernel could not find out, writing a key will. */
    return access(directory, W_OK | X_OK) == 0 || errno == ENOMEM || errno == EIO;
}

static int write_key(const char *path, const uint8_t key[CIPHER_KEY_SIZE])
{
    char line[DIGITS + 1];
    (void)OPENSSL_buf2hexstr_ex(line, sizeof(line), NULL, key, CIPHER_KEY_SIZE, '\0');
    line[DIGITS] = '\n';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t n = fd < 0 ? -1 : write(fd, line, DIGITS + 1);
    int r = n < 0 ? -errno : n == DIGITS + 1 ? 0 : -ENOSPC;
    explicit_bzero(line, sizeof(line));
    if (fd < 0)
        return r;
    close(fd);
    if (r < 0)
        unlink(path);
    return r;
}

int keyfile_create(const char *directory, char **path, uint8_t key[CIPHER_KEY_SIZE])
{
    /* From the kernel, because OpenSSL's generator crashes if it gets no memory to start with. */
    uint64_t name;
    if (getentropy(&name, sizeof(name)) < 0 || getentropy(key, CIPHER_KEY_SIZE) < 0)
        return -errno;
    if (asprintf(path, "%s/" PREFIX "%016llx", directory, (unsigned long long)name) < 0) {
        *path = NULL;
        return -ENOMEM;
    }
    int r = write_key(*path, key);
    if (r < 0) {
        free(*path);
        *path = NULL;
    }
    return r;
}

void keyfile_remove(char **path)
{
    if (*path == NULL)
        return;
    if (unlink(*path) < 0 && errno != ENOENT)
        log_write(LOG_WARNING, NULL, "cannot remove the key file %s: %s", *path, strerror(errno));
    free(*path);
    *path = NULL;
}

void keyfile_sweep(const char *directory)
{
    DIR *stream = opendir(directory);
    if (stream == NULL) /* no such folder: there cannot have been local mode */
        return;
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL)
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
}
