/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a host consists of: its pool of lond connections, the queue of requests that wait for one,
 * its health, and what all hosts share. What can be done with a host is in host.h.
 *
 * A host is the work of several files, each with its own part of struct host. Each calls only those
 * below it:
 *
 *     host.c      decides: which request goes where, what becomes of a connection, whom it is for
 *     serve.c     sends what waits on what is idle
 *     attempts.c  opens connections when they are needed and allowed; tells health how that ended
 *     pool.c      the connections, each in exactly one list
 *     queue.c     the requests that wait for a connection
 *     answer.c    the end of every request
 *     health.c    the rules of health, without I/O
 */
#ifndef LONC_KEEPER_HOST_HOST_STATE_H
#define LONC_KEEPER_HOST_HOST_STATE_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>

#include "common/hosttab.h"
#include "keeper/core/core.h"
#include "keeper/host/health.h"
#include "keeper/lond/handshake.h"
#include "keeper/lond/lond.h"
#include "keeper/lond/transaction.h"
#include "keeper/net/resolver.h"

LIST_HEAD(lond_list, lond);

/*
 * Work that gives way to clients (keeper/README.md rule 6): one request at a time, and only while
 * no client waits. `next` is asked when a connection is idle. It returns a transaction whose
 * `background` is set, or NULL when there is nothing to do now; then it is asked again after the
 * next host_offer.
 */
struct background {
    struct transaction *(*next)(struct background *background);
};

enum pool_list {
    POOL_OPENING, /* connecting, or in the handshake */
    POOL_IDLE,    /* last in, first out, so that connections not needed grow old and are pruned */
    POOL_BUSY,    /* with a request */
    POOL_LISTS
};

struct host {
    RB_ENTRY(host) by_id;
    struct hosts *hosts;
    struct core *core;
    char *id;       /* lonHostID */
    bool listed;    /* in the table; otherwise it is freed when nobody holds it any more */
    unsigned table; /* the number of the last table that it was in, see struct hosts */
    unsigned users; /* how many hold it, see host_hold */

    /* What the configuration says of it. */
    struct config *config; /* a reference, for the strings of name and identity; NULL: not listed */
    const char *name;      /* DNS name; empty when it is not listed */
    struct resolver_user dns; /* of its DNS name; of none where `address` is known */
    union address address;    /* from the table */
    uint16_t port;
    struct handshake_identity identity;

    /* What its newest connection says of it. */
    char version[32];   /* of lond, which may tell none; empty at first */
    union address peer; /* where that lond is; of no family at first */
    enum handshake_mode mode;

    /* attempts.c */
    struct health health;
    char *failure_detail;          /* of the last failed attempt, beside health's reason; or NULL */
    bool probe_wanted;             /* an attempt is wanted though no request waits for it */
    unsigned dns_round;            /* of health, when the name was last asked for its addresses */
    uint64_t shortage_until;       /* no attempt before: this machine was short of something */
    uint64_t death_logged;         /* when the log last said that it is dead */
    sd_event_source *next_attempt; /* timer; made when first needed */

    /* host.c and serve.c */
    bool paused;                   /* by an administrator: requests wait, and nothing is sent */
    struct background *background; /* has something to do; or NULL */
    bool background_active;        /* and a request of it is under way */

    /* queue.c */
    struct transaction_queue queue;
    size_t queued;
    struct limit queue_limit;

    /* answer.c */
    uint64_t requests;              /* submitted */
    uint64_t answers[REASON_COUNT]; /* REASON_NONE: replies; else con_lost */
    struct window *latency;         /* of replies; NULL before the first */

    /* pool.c */
    struct lond_list pool[POOL_LISTS];
    unsigned pool_count[POOL_LISTS];
};

RB_HEAD(hosts_by_id, host);

RB_PROTOTYPE(hosts_by_id, host, by_id, )

/* All hosts, and what they share; see hosts.h. */
struct hosts {
    struct core *core;
    struct hosts_by_id by_id;
    size_t count;   /* listed */
    unsigned table; /* the number of the table in force */
    struct londs londs;
    struct resolver *resolver;
    struct deadline_queue queue_timeouts;   /* transactions in a queue */
    struct deadline_queue request_timeouts; /* transactions from submission to answer */
    size_t queued;                          /* in the queues of all hosts */
    struct limit queue_limit;
};

#endif
