/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See idle_clients.h.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "shim/epoll.h"
#include "shim/idle_clients.h"

/* How long a client may be silent: the default of the keeper's client_idle_timeout. */
#define SILENCE_MAX (300 * UINT64_C(1000000))

/* Whether the client has written nothing, and is still there. */
static bool is_silent(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

int idle_clients_add(struct idle_clients *clients, int fd)
{
    unsigned place = clients->tail % IDLE_CLIENTS_MAX;
    if (clients->tail - clients->head == IDLE_CLIENTS_MAX)
        return -ENOBUFS;
    if (!is_silent(fd))
        return -EBUSY;
    int r = epoll_add(clients->epoll, fd, IDLE_CLIENTS_EVENT | place);
    if (r < 0)
        return r;
    clients->at[place].fd = fd;
    clients->at[place].until = monotonic_now() + SILENCE_MAX;
    clients->tail++;
    return 0;
}

static int take_from(struct idle_clients *clients, unsigned place)
{
    int fd = clients->at[place].fd;
    epoll_remove(clients->epoll, fd);
    clients->at[place].fd = -1;
    while (clients->head != clients->tail && clients->at[clients->head % IDLE_CLIENTS_MAX].fd < 0)
        clients->head++;
    return fd;
}

int idle_clients_take(struct idle_clients *clients, uint64_t event)
{
    char byte;
    int fd = take_from(clients, (unsigned)(event % IDLE_CLIENTS_MAX));
    if (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0)
        return fd;
    close(fd);
    return -1;
}

int idle_clients_take_any(struct idle_clients *clients)
{
    return idle_clients_is_empty(clients) ? -1
                                          : take_from(clients, clients->head % IDLE_CLIENTS_MAX);
}

uint64_t idle_clients_expire(struct idle_clients *clients)
{
    while (!idle_clients_is_empty(clients)) {
        unsigned place = clients->head % IDLE_CLIENTS_MAX;
        if (clients->at[place].until > monotonic_now())
            return clients->at[place].until;
        close(take_from(clients, place));
    }
    return UINT64_MAX;
}

bool idle_clients_is_empty(const struct idle_clients *clients)
{
    return clients->head == clients->tail;
}
