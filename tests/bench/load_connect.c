/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How lonnet-load connects: to a host's UNIX socket, as lonnet does, or straight to a lond, as lonc
 * would, with the handshake of insecure mode (PROTOCOL.md section 2).
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

static bool say_and_hear(int fd, const char *line, char *answer, size_t size)
{
    size_t length = 0;

    /* MSG_MORE: a line in two pieces would be two packets. */
    if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_MORE) != (ssize_t)strlen(line) ||
        send(fd, "\n", 1, MSG_NOSIGNAL) != 1)
        return false;
    while (length < size && recv(fd, answer + length, 1, 0) == 1) {
        if (answer[length] == '\n') {
            answer[length] = '\0';
            return true;
        }
        length++;
    }
    return false;
}

/* Insecure mode. It blocks, within bounds: the bench begins when everybody is connected. */
static bool shake_hands(int fd)
{
    struct timeval bound = {.tv_sec = 5};
    char line[300], answer[300], set[300];

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    snprintf(set, sizeof(set), "sethost:%s", options.remote);
    return say_and_hear(fd, "init", line, sizeof(line)) &&
           say_and_hear(fd, line, answer, sizeof(answer)) && strcmp(answer, "ok") == 0 &&
           say_and_hear(fd, "version", answer, sizeof(answer)) &&
           strncmp(answer, "version:", strlen("version:")) == 0 &&
           say_and_hear(fd, set, answer, sizeof(answer)) && strcmp(answer, "ok") == 0 &&
           say_and_hear(fd, "ekey", answer, sizeof(answer));
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
