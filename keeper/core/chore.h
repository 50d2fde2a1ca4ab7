/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Long work that is done a slice at a time beside the sockets: reading the deferred folder, putting
 * a table into force. It has its turn among the sockets' events, one slice in each batch, so that
 * neither keeps the other waiting. A deferred source of sd-event would not do: it is always the
 * oldest that is pending, and nothing else of its priority runs before it is through.
 */
#ifndef LONC_KEEPER_CORE_CHORE_H
#define LONC_KEEPER_CORE_CHORE_H

#include "keeper/core/loop.h"

struct chore {
    struct watch watch; /* of an eventfd that can always be read */
    struct loop *loop;
    bool running;
    void (*slice)(struct chore *chore); /* a millisecond's work at most */
};

/* A chore at rest. 0 or a negative errno; chore_close is right in either case. */
int chore_open(struct chore *chore, struct loop *loop, void (*slice)(struct chore *chore));
void chore_close(struct chore *chore);

/* `slice` is called again and again until chore_stop, which it may call itself. */
void chore_start(struct chore *chore);
void chore_stop(struct chore *chore);

#endif
