/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Clients that have asked nothing while a keeper that exists takes no clients, for instance because
 * it is short of descriptors. No answer is due to them, and they would take a con_lost for the
 * answer to their first request. So they are kept here until they ask, where they are in no other
 * client's way.
 */
#ifndef LONC_SHIM_IDLE_CLIENTS_H
#define LONC_SHIM_IDLE_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"

/* Further ones get con_lost: a shim that keeps more is itself short of descriptors. */
#define IDLE_CLIENTS_MAX 4096

/* A ring, the client that is closed next at its head; zeroed memory is empty. */
struct idle_clients {
    int epoll; /* watches them; the owner's */
    unsigned head, tail;
    struct {
        int fd;         /* -1: this client is no longer here */
        uint64_t until; /* when it is closed, in microseconds of monotonic_now */
    } at[IDLE_CLIENTS_MAX];
};

/* Set in the data of an epoll event that is for idle_clients_take, and not about a descriptor. */
#define IDLE_CLIENTS_EVENT (UINT64_C(1) << 32)

/*
 * Takes over the descriptor of a client that has asked nothing. 0, or a negative errno, and the
 * descriptor stays the caller's: -EBUSY if the client has asked or left, -ENOBUFS if there is no
 * room, or that of epoll.
 */
MUST_CHECK int idle_clients_add(struct idle_clients *clients, int fd);

/*
 * The client whom an event is about: its descriptor, which is the caller's again, if it has asked;
 * or -1 if it has left, which closes it.
 */
int idle_clients_take(struct idle_clients *clients, uint64_t event);

/* The descriptor of any client, which is the caller's again; -1 if there is none. */
int idle_clients_take_any(struct idle_clients *clients);

/*
 * Closes the clients that have been silent for too long, as the keeper would. Returns when the next
 * one is due; UINT64_MAX if there is none.
 */
uint64_t idle_clients_expire(struct idle_clients *clients);

bool idle_clients_is_empty(const struct idle_clients *clients);

#endif
