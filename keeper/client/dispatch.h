/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finds out what a client's line asks for, and has it answered (lonc-protocol(7) section 1): by the
 * host that the client's socket stands for, by another lonHostID of the same DNS name (`sethost:`),
 * by the deferred queue (`lonc_defer:`), by create.c, or by the keeper itself.
 *
 * A client embeds one struct dispatch and has one line at a time in it. The dispatch knows nothing
 * of how the client reads and writes.
 */
#ifndef LONC_KEEPER_CLIENT_DISPATCH_H
#define LONC_KEEPER_CLIENT_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "keeper/client/create.h"
#include "keeper/core/core.h"
#include "keeper/deferred/deferred.h"
#include "keeper/host/host.h"
#include "keeper/lond/transaction.h"

#define DISPATCH_CON_LOST "con_lost\n"

/* Whom the lines of all clients go to. */
struct dispatcher {
    struct core *core;
    struct hosts *hosts;
    struct deferred *deferred;
    struct create *create;
};

struct dispatch {
    const struct dispatcher *dispatcher;
    int fd;              /* the client's, which closes it */
    struct host *host;   /* held, of the client's socket; NULL until its first line */
    struct host *target; /* held, of the last request: mostly the same */
    bool deferrable;     /* a request that cannot be answered is to be stored */
    bool storing;        /* it is being stored now */
    bool abandoned;      /* nobody waits for the answer */
    struct transaction transaction;
    struct create_waiter creation;
    /* The answer, LF included, exactly once for a line. `reply` as answer_writer_start wants it. */
    void (*answered)(struct dispatch *dispatch, const char *bytes, size_t length,
                     struct buffer *reply);
    /* After dispatch_abandon: no line is under way any more, and the dispatch may be freed. */
    void (*ended)(struct dispatch *dispatch);
};

/* Begins with a client that came through `fd`, which is borrowed. */
void dispatch_begin(struct dispatch *dispatch, const struct dispatcher *dispatcher, int fd,
                    void (*answered)(struct dispatch *dispatch, const char *bytes, size_t length,
                                     struct buffer *reply),
                    void (*ended)(struct dispatch *dispatch));

/*
 * Serves a whole line, LF included. It must stay where it is until `answered` or `ended` is called,
 * which may happen before this returns.
 */
void dispatch_line(struct dispatch *dispatch, const char *line, size_t length);

/*
 * Whether a line of so many bytes is too long for what its client may ask, as it came through
 * lonSockCreate. If so, dispatch_refuse_long counts it and returns the answer.
 */
bool dispatch_is_over_limit(const struct dispatch *dispatch, size_t length);
const char *dispatch_refuse_long(struct dispatch *dispatch);

/* Counts a line that was answered without dispatch_line, for this reason. */
void dispatch_count_refused(struct dispatch *dispatch, enum reason reason);

/* Whether a line has no answer yet. */
bool dispatch_is_pending(const struct dispatch *dispatch);

/*
 * The client is gone. A request in a host's queue is taken back, and stored instead if it is
 * deferrable; one that lond has is waited for, because its connection is not free before the reply.
 * `ended` is called when nothing is under way, which may be before this returns.
 */
void dispatch_abandon(struct dispatch *dispatch);

/* Gives the hosts back; once, after `ended`. */
void dispatch_release(struct dispatch *dispatch);

#endif
