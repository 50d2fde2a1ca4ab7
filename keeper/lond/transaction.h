/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request for a host and the wait for its one answer. A client embeds one, and so does the
 * deferred queue: host.c and lond.c know transactions, never who asked.
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
    TRANSACTION_ACTIVE, /* given to a lond; it may have been executed from here on */
};

struct transaction {
    /* Set by who asks, before host_submit; the request stays where it is until `done`. */
    const char *request; /* one line, LF included */
    size_t length;
    /*
     * The answer, exactly once, perhaps before host_submit returns. REASON_NONE: the first `length`
     * bytes of `reply` are the reply line, LF included, and the callee may take the whole buffer
     * away by swapping it. Else: `reply` is NULL, and the client is to be told con_lost.
     */
    void (*done)(struct transaction *transaction, enum reason reason, struct buffer *reply,
                 size_t length);

    bool background; /* of host_offer's making: it never stands in the queue */

    /* Kept by host.c and lond.c. */
    enum transaction_state state;
    struct host *host;
    struct lond *lond;              /* while active */
    struct deadline waiting, whole; /* in the queue; from submission to answer */
    TAILQ_ENTRY(transaction) link;  /* in the host's queue */
};

TAILQ_HEAD(transaction_queue, transaction);

#endif
