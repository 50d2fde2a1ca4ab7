/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hosts' sockets, from one to thousands: which of them have clients waiting, and which client
 * is accepted next. They are watched by an epoll instance of their own. To stop accepting is just
 * not to look at it, which costs no system call for each listener.
 */
#ifndef LONC_SHIM_LISTENERS_H
#define LONC_SHIM_LISTENERS_H

#include <stdbool.h>

#include "common/attributes.h"

/* How many ready listeners are taken note of at once. */
#define LISTENERS_BATCH 16

struct listeners {
    int epoll; /* watches all of them, and the `other` of listeners_open */
    int ready[LISTENERS_BATCH];
    unsigned ready_count;
    bool draining; /* see listeners_drain */
};

/* The first descriptor that systemd passes. */
#define LISTENERS_FIRST 3

/* The number of listeners that systemd passed to this process (sd_listen_fds(3)); 0 for none. */
unsigned listeners_passed(void);

bool listeners_is_listener(int fd);

/*
 * Watches `count` listeners from descriptor `first` on, and `other`, whose readiness
 * listeners_wait reports. Exits if one is no listener or cannot be watched, since no client has
 * been accepted yet.
 */
void listeners_open(struct listeners *listeners, int first, unsigned count, int other);

/*
 * Waits for a client or `other`, for so long (-1: for ever). Whether `other` is ready. The
 * listeners that have clients are kept for listeners_accept; ready ones beyond LISTENERS_BATCH come
 * first the next time.
 */
bool listeners_wait(struct listeners *listeners, int milliseconds);

/*
 * Accepts up to `room` of the clients at the ready listeners, one from each in turn, so that one
 * host's crowd does not hold up another host's client. Returns their number, with descriptors that
 * the caller owns in `fds`; or, if there is none, the negative errno of a shortage (-EMFILE).
 */
MUST_CHECK int listeners_accept(struct listeners *listeners, int *fds, unsigned room);

/* From now on, a listener at which no client waits is watched no longer. */
void listeners_drain(struct listeners *listeners);

/* Whether there are more ready listeners than one listeners_wait has taken note of, perhaps. */
bool listeners_may_be_more(const struct listeners *listeners);

#endif
