/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request for a host, and the wait for its one answer. A client embeds one, and so does the
 * deferred queue: host.c and the files below it know transactions, never who asked.
 */
#ifndef LONC_KEEPER_LOND_TRANSACTION_H
#define LONC_KEEPER_LOND_TRANSACTION_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "keeper/core/loop.h"
#include "keeper/core/reason.h"

enum transaction_state {
    TRANSACTION_NONE,   /* nothing asked, or the answer has been given */
    TRANSACTION_QUEUED, /* waits for a connection; may still be withdrawn */
    TRANSACTION_ACTIVE, /* given to a connection; lond may have executed it from here on */
};

struct transaction {
    /* Set by whoever asks, before host_submit. The request stays where it is until `done`. */
    const char *request; /* one line, LF included */
    size_t length;
    /*
     * The answer: called exactly once, perhaps before host_submit returns. REASON_NONE: the first
     * `length` bytes of `reply` are the reply line, LF included, and the callee may take the whole
     * buffer away by swapping it. Any other reason: `reply` is NULL, and the client is to be told
     * con_lost.
     */
    void (*done)(struct transaction *transaction, enum reason reason, struct buffer *reply,
                 size_t length);
    bool background; /* asked for by a host of a struct background: it never stands in the queue */

    /* Kept by the host. */
    enum transaction_state state;
    struct host *host;
    struct lond *lond;                /* while active */
    struct deadline queue_deadline;   /* while in the queue */
    struct deadline request_deadline; /* from submission to answer */
    TAILQ_ENTRY(transaction) link;    /* in the host's queue */
};

TAILQ_HEAD(transaction_queue, transaction);

#endif
