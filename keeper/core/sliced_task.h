/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Long work done in slices, so that requests are served between two of them: reading the deferred
 * folder, putting a table into force, writing loncstatus.txt.
 *
 * Everything that works in slices follows one convention. A function named ..._some() does a
 * slice's work, up to about a millisecond, and is called until it says that nothing is left: it
 * returns true for "there is more to do" and false for "done", or 1, 0 and a negative errno if it
 * can fail.
 *
 * A task has one slice in each batch of the loop's events, in turn with the sockets, so that
 * neither holds up the other. A deferred source of sd-event would not do that: it always comes
 * before other sources of its priority until it is switched off.
 */
#ifndef LONC_KEEPER_CORE_SLICED_TASK_H
#define LONC_KEEPER_CORE_SLICED_TASK_H

#include "common/attributes.h"
#include "keeper/core/loop.h"

/* Embedded in the object that works. */
struct sliced_task {
    struct watch watch; /* of an eventfd that is always readable */
    struct loop *loop;
    bool running;
    bool (*do_some)(struct sliced_task *task);
};

/*
 * Makes a task that is at rest. `do_some` may start or stop the task itself; what it returns counts
 * in any case. It must not free the task. 0 or a negative errno; sliced_task_close is right in
 * either case.
 */
MUST_CHECK int sliced_task_open(struct sliced_task *task, struct loop *loop,
                                bool (*do_some)(struct sliced_task *task));
void sliced_task_close(struct sliced_task *task);

/* From the next batch on, `do_some` is called once in each, until it returns false. */
void sliced_task_start(struct sliced_task *task);
void sliced_task_stop(struct sliced_task *task);

#endif
