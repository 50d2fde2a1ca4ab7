/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Clients who had asked nothing when they had waited their time for a keeper that is there but
 * takes nobody, as one that is short of descriptors does. Nobody owes them an answer yet, and a
 * con_lost would be taken for that to their first request: so they wait here until they ask, and
 * take nobody's turn meanwhile.
 */
#ifndef LONC_SHIM_PARKING_H
#define LONC_SHIM_PARKING_H

#include <stdbool.h>
#include <stdint.h>

/* More are answered con_lost: beyond it a shim is short of descriptors itself. */
#define PARKING_SIZE 4096

/* A ring, the first who must leave at its head; zeroed is empty. */
struct parking {
    unsigned head, tail;
    struct {
        int fd;         /* -1: it is here no longer */
        uint64_t until; /* when it has been silent for too long, microseconds */
    } at[PARKING_SIZE];
};

/* In the data of an epoll event: what is not a descriptor, but a place here. */
#define PARKING_EVENT (UINT64_C(1) << 32)

/* Keeps a client, whose descriptor becomes the parking's, if it has asked nothing and there is
 * room; else false. */
bool parking_add(struct parking *parking, int epoll, int fd);

/* What the event told of: the descriptor of a client who has asked, the caller's again; or -1 for
 * one who has left. */
int parking_take(struct parking *parking, int epoll, uint64_t event);

/* Anybody, the caller's again; -1 when nobody is here. */
int parking_take_any(struct parking *parking, int epoll);

/* Closes those who have been silent for too long, as the keeper does. When it is the next one's
 * turn; UINT64_MAX when nobody is here. */
uint64_t parking_expire(struct parking *parking, int epoll);

#endif
