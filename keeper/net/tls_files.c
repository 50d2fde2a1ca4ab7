/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding and reading the files for ssl.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/net/tls_files.h"

/* The CA bundle of a whole operating system is a quarter of this. */
#define FILE_MAX ((off_t)1 << 20)

int tls_files_find(struct tls_files *files, const struct loncapa *loncapa,
                   const struct settings *settings)
{
    const char *const names[TLS_FILE_COUNT] = {
        [TLS_FILE_AUTHORITY] = loncapa->authority,
        [TLS_FILE_CERTIFICATE] = loncapa->certificate,
        [TLS_FILE_KEY] = loncapa->private_key,
        [TLS_FILE_REVOCATIONS] = settings->tls_revocations,
    };
    *files = (struct tls_files){.path = {NULL}};
    for (int i = 0; i < TLS_FILE_COUNT; i++) {
        if (names[i] == NULL || names[i][0] == '\0')
            continue;
        int r = names[i][0] == '/'
                    ? asprintf(&files->path[i], "%s", names[i])
                    : asprintf(&files->path[i], "%s/%s", loncapa->cert_dir, names[i]);
        if (r < 0) {
            files->path[i] = NULL;
            tls_files_free(files);
            return -ENOMEM;
        }
    }
    return 0;
}

void tls_files_free(struct tls_files *files)
{
    for (int i = 0; i < TLS_FILE_COUNT; i++)
        free(files->path[i]);
    *files = (struct tls_files){.path = {NULL}};
}

/* Why this file cannot be one for ssl, or NULL. */
static const char *find_fault(const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return S_ISDIR(status->st_mode) ? "it is a folder" : "it is not a regular file";
    if (status->st_size == 0)
        return "it is empty";
    return status->st_size > FILE_MAX ? "it is longer than 1 MiB" : NULL;
}

static char *read_open_file(int fd, size_t *length, const char **why)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        *why = strerror(errno);
        return NULL;
    }
    *why = find_fault(&status);
    if (*why != NULL)
        return NULL;
    char *bytes = malloc((size_t)status.st_size);
    ssize_t n = bytes != NULL ? read(fd, bytes, (size_t)status.st_size) : -1;
    if (n < 0) {
        *why = strerror(errno);
        free(bytes);
        return NULL;
    }
    *length = (size_t)n;
    return bytes;
}

/* O_NONBLOCK, because opening a FIFO would otherwise wait for its writer. */
char *tls_files_read(const char *path, size_t *length, const char **why)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        *why = strerror(errno);
        return NULL;
    }
    char *bytes = read_open_file(fd, length, why);
    close(fd);
    return bytes;
}
