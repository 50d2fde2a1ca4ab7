/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A listening socket of the keeper: that of the private channel, or the control socket. Connections
 * are accepted while the owner has room for them. If the kernel lacks a descriptor or memory for
 * one, no event tells when that is over; so the listener pauses for a moment and tries again. A
 * listener that is still watched would be reported as ready again at once, and the loop would spin.
 */
#ifndef LONC_KEEPER_NET_LISTENER_H
#define LONC_KEEPER_NET_LISTENER_H

#include "common/attributes.h"
#include "keeper/core/loop.h"

struct listener {
    int fd;
    bool wanted;
    bool failing;     /* the last accept failed, and the log says so */
    const char *name; /* for the log */
    /* There may be connections: call listener_accept() until it fails. */
    void (*ready)(struct listener *listener);
    struct watch watch;
    struct deadline pause;
    struct deadline_queue pausing;
    struct loop *loop;
};

/* Accepts nothing until listener_want(). `fd` becomes the listener's; `name` must stay valid. */
void listener_open(struct listener *listener, struct loop *loop, int fd, const char *name,
                   void (*ready)(struct listener *));
void listener_close(struct listener *listener);

/* Continues with another descriptor, which becomes the listener's, because the path of the old one
 * is gone. */
void listener_replace(struct listener *listener, int fd);

/* Tells whether the owner has room for a connection. */
void listener_want(struct listener *listener, bool wanted);

/*
 * Accepts one connection. Returns its descriptor, which is non-blocking and the caller's, or a
 * negative errno, after which the caller stops accepting in this turn. -EAGAIN means that there is
 * no connection. Any other error starts a pause, at the end of which `ready` is called if the owner
 * still wants connections. (Without a free descriptor the kernel fails even if nobody has
 * connected.)
 */
MUST_CHECK int listener_accept(struct listener *listener);

/* Whether an accept has failed and it is not yet time to try again. */
bool listener_is_pausing(const struct listener *listener);

#endif
