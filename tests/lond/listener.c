/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The addresses at which the stand-in lond listens. They can be closed and opened again at run
 * time, always with the same port, so that a test can break and mend a host.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lond/lond.h"

#define ACCEPTS_A_TURN 64

struct listener {
    struct watch watch; /* fd -1: closed */
    bool watched;
    struct sockaddr_storage address;
    socklen_t size;
    TAILQ_ENTRY(listener) all;
};

static TAILQ_HEAD(, listener) listeners = TAILQ_HEAD_INITIALIZER(listeners);

static void on_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            connection_accept(fd);
            continue;
        }
        /* Without descriptors the listener stays readable. A short sleep keeps the loop from
         * spinning. */
        if (errno == EMFILE || errno == ENFILE)
            usleep(10000);
        return;
    }
}

/* ADDRESS:PORT or [ADDRESS]:PORT, numeric. */
void listener_add(const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const char *colon = strrchr(address, ':');
    struct listener *listener = calloc(1, sizeof(*listener));
    struct addrinfo *found;
    char host[64] = "";
    size_t length;

    if (listener == NULL || colon == NULL || (size_t)(colon - address) >= sizeof(host))
        fail("--listen %s: expected ADDRESS:PORT", address);
    length = (size_t)(colon - address);
    memcpy(host, address, length);
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        memmove(host, host + 1, length - 1);
    }
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        fail("--listen %s: expected a numeric ADDRESS:PORT", address);
    memcpy(&listener->address, found->ai_addr, found->ai_addrlen);
    listener->size = found->ai_addrlen;
    freeaddrinfo(found);
    listener->watch = (struct watch){-1, on_ready};
    TAILQ_INSERT_TAIL(&listeners, listener, all);
}

static void open_one(struct listener *listener)
{
    int fd = socket(listener->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        fail("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&listener->address, listener->size) < 0 ||
        listen(fd, (int)lond.backlog) < 0)
        fail("cannot listen: %s", strerror(errno));
    /* Port 0 has become a real port, which is kept. */
    getsockname(fd, (struct sockaddr *)&listener->address, &listener->size);
    listener->watch.fd = fd;
}

void listener_open(void)
{
    struct listener *listener;

    TAILQ_FOREACH (listener, &listeners, all) {
        if (listener->watch.fd < 0)
            open_one(listener);
    }
    listener_watch();
}

void listener_close(void)
{
    struct listener *listener;

    TAILQ_FOREACH (listener, &listeners, all) {
        if (listener->watch.fd >= 0)
            close(listener->watch.fd);
        listener->watch.fd = -1;
        listener->watched = false;
    }
}

void listener_watch(void)
{
    struct listener *listener;

    TAILQ_FOREACH (listener, &listeners, all) {
        bool wanted = listener->watch.fd >= 0 && !lond.no_accept;

        if (wanted && !listener->watched)
            loop_add(&listener->watch, EPOLLIN);
        else if (!wanted && listener->watched)
            loop_remove(&listener->watch);
        listener->watched = wanted;
    }
}

void listener_print(struct buffer *out, const char *separator)
{
    struct listener *listener;
    char host[64], port[8];

    TAILQ_FOREACH (listener, &listeners, all) {
        bool six = listener->address.ss_family == AF_INET6;

        getnameinfo((struct sockaddr *)&listener->address, listener->size, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
        buffer_print(out, "%s%s%s:%s%s", six ? "[" : "", host, six ? "]" : "", port, separator);
    }
}
