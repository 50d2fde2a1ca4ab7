/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where TLS is computed: in one thread beside the loop, at a lower priority. A signature takes a
 * millisecond and more, and when many hosts come back at once there are hundreds to make: in the
 * loop, every other host's requests would wait for them. The thread touches nothing but the
 * connection it was given, and the loop leaves that alone meanwhile.
 */
#ifndef LONC_KEEPER_NET_TLS_WORKER_H
#define LONC_KEEPER_NET_TLS_WORKER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "common/attributes.h"
#include "keeper/core/core.h"
#include "keeper/net/tls.h"

struct tls_worker; /* the thread, and what it has to do */

/* One connection's TLS, from the first byte to the key. */
struct tls_task {
    struct tls *tls;
    int fd; /* not watched while the thread has it */
    struct tls_worker *works;
    /* Set by who began it, called in the loop when tls_task_advance has come as far as it can; the
     * progress, and with TLS_DONE the digits, are below. */
    void (*advanced)(struct tls_task *work);
    void *owner;
    enum tls_progress progress;
    char digits[TLS_KEY_DIGITS];
    bool running; /* the thread has it, or will */
    STAILQ_ENTRY(tls_task) link;
};

/* NULL without memory or a descriptor. The thread starts with the first work. */
MUST_CHECK struct tls_worker *tls_worker_new(struct core *core);

/* Ends the thread and frees what it has; whoever began works has ended them. NULL is allowed. */
void tls_worker_free(struct tls_worker *works);

/* tls_new, and what the thread needs beside. NULL without memory. */
MUST_CHECK struct tls_task *tls_task_new(struct tls_worker *works, struct tls_context *context,
                                         int fd, const char *name);

/* Has the thread call tls_advance, then `advanced`. 0, or a negative errno: there is no thread. */
MUST_CHECK int tls_task_advance(struct tls_task *work);

/*
 * Ends it: the descriptor is closed, now or when the thread has let go of it, and `advanced` is not
 * called any more.
 */
void tls_task_close(struct tls_task *work);

/* Frees it, wiped, and leaves the descriptor open; only while the thread does not have it. */
void tls_task_free(struct tls_task *work);

#endif
