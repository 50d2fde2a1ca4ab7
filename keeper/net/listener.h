/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A listening socket of the keeper: the private channel's, or the control socket's. Who comes is
 * accepted while its owner has room. Where the kernel has no descriptor or no memory for somebody,
 * which nothing tells the end of, the listener is left alone for a moment and tried again: asked at
 * once it would say the same, as fast as the processor goes.
 */
#ifndef LONC_KEEPER_NET_LISTENER_H
#define LONC_KEEPER_NET_LISTENER_H

#include "common/attributes.h"
#include "keeper/core/loop.h"

struct listener {
    int fd;
    bool wanted;
    bool failing; /* the kernel refuses, and that is said */
    const char *name;
    /* Somebody is there, perhaps: to be taken with listener_accept. */
    void (*ready)(struct listener *listener);
    struct watch watch;
    struct deadline pause;
    struct deadline_queue pausing;
    struct loop *loop;
};

/* Nobody is accepted yet. `fd` becomes the listener's; `name`, for the log, must stay. */
void listener_open(struct listener *listener, struct loop *loop, int fd, const char *name,
                   void (*ready)(struct listener *));
void listener_close(struct listener *listener);

/* Goes on with another descriptor, which becomes the listener's: the path of its own was lost. */
void listener_replace(struct listener *listener, int fd);

/* Whether the owner has room for somebody. */
void listener_want(struct listener *listener, bool wanted);

/*
 * The next who is there: a descriptor that does not block, of the caller. Otherwise a negative
 * errno, after which nobody is to be asked for in this turn: -EAGAIN when nobody is there; another
 * starts a pause, at whose end `ready` is called, while somebody is wanted. (Without a descriptor
 * the kernel says so before it looks whether somebody is there.)
 */
MUST_CHECK int listener_accept(struct listener *listener);

/* Whether the kernel has refused, and it is not yet time to try again. */
bool listener_is_pausing(const struct listener *listener);

#endif
