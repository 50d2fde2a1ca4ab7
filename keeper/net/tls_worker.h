/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Computes TLS in one thread beside the loop, at a lower priority. A signature takes a millisecond
 * or more, and when many hosts come back at once there are hundreds to compute; in the loop, the
 * requests of all other hosts would have to wait for them. The thread touches nothing but the
 * connection that it was given, and the loop leaves that alone meanwhile.
 */
#ifndef LONC_KEEPER_NET_TLS_WORKER_H
#define LONC_KEEPER_NET_TLS_WORKER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "common/attributes.h"
#include "keeper/core/core.h"
#include "keeper/net/tls.h"

struct tls_worker; /* the thread, and its tasks */

/*
 * One connection's TLS, from the first byte to the key. It belongs to whoever created it until
 * tls_task_close() or tls_task_free().
 */
struct tls_task {
    struct tls *tls;
    int fd; /* must not be watched or used while `running` */
    struct tls_worker *worker;
    /*
     * Set by the owner. Called in the loop when tls_task_advance() has come as far as it can; the
     * progress, and after TLS_DONE the digits, are below.
     */
    void (*advanced)(struct tls_task *task);
    void *owner; /* for the owner's use; must not be NULL */
    enum tls_progress progress;
    char digits[TLS_KEY_DIGITS];
    bool running; /* the thread has the task, or will have it */
    STAILQ_ENTRY(tls_task) link;
};

/* NULL for lack of memory or of a descriptor. The thread starts with the first task. */
MUST_CHECK struct tls_worker *tls_worker_new(struct core *core);

/*
 * Ends the thread. Every task must have been closed or freed by its owner; those that were still
 * running are freed here. NULL is allowed.
 */
void tls_worker_free(struct tls_worker *worker);

/*
 * Prepares TLS on `fd`, as tls_new() does. The descriptor stays the caller's until
 * tls_task_close(). NULL for lack of memory.
 */
MUST_CHECK struct tls_task *tls_task_new(struct tls_worker *worker, struct tls_context *context,
                                         int fd, const char *name);

/*
 * Has the thread call tls_advance(), and `advanced` called after that. 0, or a negative errno if
 * the thread cannot be started.
 */
MUST_CHECK int tls_task_advance(struct tls_task *task);

/*
 * Ends the task and closes its descriptor: at once, or when the thread is done with it. `advanced`
 * is not called any more.
 */
void tls_task_close(struct tls_task *task);

/* Wipes and frees a task that is not running. The descriptor stays open. */
void tls_task_free(struct tls_task *task);

#endif
