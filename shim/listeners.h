/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hosts' sockets, one or thousands: which of them has clients waiting, and who is accepted
 * next. They are watched in an epoll of their own, so that not accepting is not looking at it, and
 * costs no call for each.
 */
#ifndef LONC_SHIM_LISTENERS_H
#define LONC_SHIM_LISTENERS_H

#include <stdbool.h>

/* Listeners looked at in one turn, and at most so many clients of one of them. */
#define LISTENERS_TURN 16

struct listeners {
    int epoll; /* watches all of them, and what listeners_open was told to */
    int ready[LISTENERS_TURN];
    unsigned ready_count;
    bool sweeping; /* whoever has nobody is watched no longer */
};

/* The first of those that systemd passes. */
#define LISTENERS_FIRST 3

/* The number of listeners systemd passed to this process (sd_listen_fds(3)), 0 for none. */
unsigned listeners_passed(void);

bool listeners_is_listener(int fd);

/*
 * Watches `count` listeners from descriptor `first` on, and `other`, which is told of in the same
 * wait. Exits where one is no listener or cannot be watched: nobody has been accepted yet.
 */
void listeners_open(struct listeners *listeners, int first, unsigned count, int other);

/*
 * Waits for one of them, or `other`. Which listeners have clients is kept, those
 * that were not told of having their turn next time. Whether `other` is ready.
 */
bool listeners_wait(struct listeners *listeners, int milliseconds);

/*
 * Accepts at most `room` of those who wait at the ready listeners, one of each in turn, so that
 * nobody's crowd is in the way of another's client. Returns how many; -EMFILE or the like when
 * there is nothing to accept them with.
 */
int listeners_accept(struct listeners *listeners, int *fds, unsigned room);

#endif
