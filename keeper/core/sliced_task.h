/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Long work that is done a slice at a time beside the sockets: reading the deferred folder, putting
 * a table into force. It has its turn among the sockets' events, one slice in each batch, so that
 * neither keeps the other waiting. A deferred source of sd-event would not do: it is always the
 * oldest that is pending, and nothing else of its priority runs before it is through.
 */
#ifndef LONC_KEEPER_CORE_SLICED_TASK_H
#define LONC_KEEPER_CORE_SLICED_TASK_H

#include "keeper/core/loop.h"

struct sliced_task {
    struct watch watch; /* of an eventfd that can always be read */
    struct loop *loop;
    bool running;
    void (*slice)(struct sliced_task *task); /* a millisecond's work at most */
};

/* A task at rest. 0 or a negative errno; sliced_task_close is right in either case. */
int sliced_task_open(struct sliced_task *task, struct loop *loop,
                     void (*slice)(struct sliced_task *task));
void sliced_task_close(struct sliced_task *task);

/* `slice` is called again and again until sliced_task_stop, which it may call itself. */
void sliced_task_start(struct sliced_task *task);
void sliced_task_stop(struct sliced_task *task);

#endif
