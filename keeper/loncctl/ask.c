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

/* The control socket, connected; or -1, and why. */
static int connect_to(const char *path, const char **why)
{
    struct sockaddr_un address;
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    if (unix_address(&address, path) < 0)
        fail(LONCCTL_USAGE, path, "the path is too long for a socket");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    *why = strerror(errno);
    if (fd >= 0)
        close(fd);
    return -1;
}

json_t *ask_or_why(const char *path, const char *line, const char **why)
{
    int fd = connect_to(path, why);
    if (fd < 0)
        return NULL;
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        *why = strerror(errno);
        close(fd);
        return NULL;
    }
    /* Through stdio: json_loadfd makes a system call for each byte, and 2,000 hosts are a megabyte.
     */
    FILE *answer = fdopen(fd, "r");
    json_t *value = answer != NULL ? json_loadf(answer, 0, NULL) : NULL;
    if (answer != NULL)
        fclose(answer);
    else
        close(fd);
    if (value == NULL)
        *why = "the keeper did not answer";
    return value;
}

json_t *ask(const char *path, const char *line)
{
    const char *why;
    json_t *value = ask_or_why(path, line, &why);
    if (value == NULL)
        fail(LONCCTL_UNREACHABLE, path, why);
    return value;
}
