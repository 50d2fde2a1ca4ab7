/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket, from its client's side.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/unix.h"
#include "keeper/loncctl/ask.h"

/* A reload of ten thousand hosts takes a second at the most. */
#define PATIENCE_SECONDS 30

_Noreturn void fail(enum loncctl_exit code, const char *what, const char *why)
{
    fprintf(stderr, "loncctl: %s: %s\n", what, why);
    exit(code);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address;
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    if (unix_address(&address, path) < 0)
        fail(LONCCTL_USAGE, path, "the path is too long for a socket");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        fail(LONCCTL_UNREACHABLE, path, strerror(errno));
    return fd;
}

json_t *ask(const char *path, const char *line)
{
    int fd = connect_to(path);
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        fail(LONCCTL_UNREACHABLE, path, strerror(errno));
    json_error_t error;
    json_t *value = json_loadfd(fd, 0, &error);
    close(fd);
    if (value == NULL)
        fail(LONCCTL_UNREACHABLE, path, "the keeper did not answer");
    return value;
}
