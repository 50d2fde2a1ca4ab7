/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How lonnet-load connects: to a host's UNIX socket, as lonnet does, or directly to a lond, as lonc
 * does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/load.h"

/* Blocks, for a limited time: the bench begins when all clients are connected. */
static bool shake_hands(int fd)
{
    struct timeval bound = {.tv_sec = 5};
    struct handshake handshake;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    if (!handshake_begin(&handshake, fd))
        return false;
    while (!handshake_done(&handshake))
        if (!handshake_hear(&handshake, fd))
            return false;
    return true;
}

int connect_tcp(void)
{
    const char *colon = strrchr(options.tcp, ':');
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(host, sizeof(host), "%.*s", (int)(colon - options.tcp), options.tcp);
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        load_fail("--tcp %s: expected ADDRESS:PORT", options.tcp);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || !shake_hands(fd)) {
        close(fd);
        errno = ECONNREFUSED;
        return -1;
    }
    return fd;
}

int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    if (fd < 0)
        load_fail("socket: %s", strerror(errno));
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}
