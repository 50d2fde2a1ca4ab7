/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A remote host: its pool of lond connections, the queue of requests that wait for one, and its
 * health. A connection is in exactly one list of its host, and a queued request causes at most one
 * connection to be opened (keeper/README.md rules 4 to 7). The table of all hosts is hosts.h.
 */
#ifndef LONC_KEEPER_HOST_HOST_H
#define LONC_KEEPER_HOST_HOST_H

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
 * Work that gives way to clients (keeper/README.md rule 6): one request at a time, and only when no
 * client waits. `next` is asked when a connection is idle; it returns a transaction whose
 * `background` is set, or NULL when there is nothing to do now, and is asked again after the next
 * host_offer.
 */
struct background {
    struct transaction *(*next)(struct background *background);
};

enum pool_list {
    POOL_OPENING, /* connecting, or in the handshake */
    POOL_IDLE,    /* last in, first out, so that what is not needed grows old and is pruned */
    POOL_BUSY,    /* with a request */
    POOL_LISTS
};

struct host {
    RB_ENTRY(host) by_id;
    char *id;              /* lonHostID */
    struct config *config; /* a reference: name and identity point into it; NULL: not listed */
    const char *name;      /* DNS name; empty when it is not listed */
    bool listed;           /* in the table; else it is freed when nobody holds it any more */
    unsigned table;        /* the number of the last that it was in, see hosts.h */
    unsigned users;        /* that hold it, see hosts_release */
    struct hosts *hosts;
    struct core *core;

    struct resolver_user naming; /* of its DNS name; of none where `address` is known */
    unsigned naming_round;       /* of its health: when it last asked for its addresses */
    union address address;       /* from the table */
    uint16_t port;
    struct handshake_identity identity;
    char version[32];         /* of its lond, which may tell none; empty at first */
    union address peer;       /* the address of that lond; of no family at first */
    enum handshake_mode mode; /* of its newest connection */
    char *detail;             /* of the last failed attempt, beside health's reason; or NULL */

    struct health health;
    bool probing;           /* an attempt is wanted though no request waits for it */
    uint64_t said_dead;     /* when the log last said so */
    uint64_t not_before;    /* no attempt until then, for want of something on this machine */
    sd_event_source *alarm; /* for the next attempt; made when first needed */

    struct background *background; /* has something to do; or NULL */
    bool background_active;

    struct transaction_queue queue;
    size_t queued;
    bool paused; /* by an administrator: requests wait, and nothing is sent */

    uint64_t requests;
    uint64_t answers[REASON_COUNT]; /* as the core's */
    struct window *latency;         /* of its replies; NULL before the first */
    struct limit queue_limit;

    struct lond_list pool[POOL_LISTS];
    unsigned pool_count[POOL_LISTS];
};

RB_HEAD(hosts_by_id, host);

RB_PROTOTYPE(hosts_by_id, host, by_id, )

/* All hosts, and what they share. */
struct hosts {
    struct core *core;
    struct hosts_by_id by_id;
    size_t count;   /* listed */
    unsigned table; /* the number of the table in force */
    struct londs londs;
    struct resolver *resolver;
    struct deadline_queue waiting; /* transactions in a queue */
    struct deadline_queue whole;   /* transactions from submission to answer */
    size_t queued;                 /* in the queues of all hosts */
    struct limit queue_limit;
};

/* Sets up the deadlines that requests wait in; once, before the first host_submit. 0 or -ENOMEM. */
MUST_CHECK int host_setup(struct hosts *hosts);

/* A host that is in no table yet, without connections. NULL without memory. */
struct host *host_new(struct hosts *hosts, const char *id);

/* Frees it, with whatever connections it has; nobody may hold it. */
void host_free(struct host *host);

/*
 * Takes over what the table and loncapa.conf, the core's configuration, say of it; the
 * entry is one of that configuration. Where that changes whom connections would speak to, or as
 * whom, they are recycled: idle ones now, those in flight after their reply. Connections and queue
 * stay else. False without memory for a new name (see resolver_expect), with nothing changed.
 */
bool host_configure(struct host *host, const struct hosttab_entry *entry);

/* Whether addresses are asked of DNS, and not read in the table; `resolve` is the setting. */
bool host_may_resolve(const struct hosttab_entry *entry, uint64_t resolve);

/* It has left the table: what is queued is answered con_lost, what is in flight finishes. */
void host_retire(struct host *host);

/* Retired, and nobody holds it; since who has a request in flight holds it, it has no connection.
 */
bool host_is_unused(const struct host *host);

/* Asks a request of the host; the answer comes through transaction->done, perhaps at once. */
void host_submit(struct host *host, struct transaction *transaction);

/*
 * Takes back a request whose client is gone. True: it is out of the queue and `done` will not be
 * called. False: it is on its way to lond, and `done` will come.
 */
bool host_withdraw(struct transaction *transaction);

/*
 * There is background work for this host, whose owner holds it. A host that cannot be reached is
 * probed for it. host_withdraw_offer takes it back; a transaction under way is still told.
 */
void host_offer(struct host *host, struct background *background);
void host_withdraw_offer(struct host *host);

/* `close_connection_exit`: idle connections close now, those in flight after their reply. */
void host_close_connections(struct host *host);

/* Descriptors are short: those that nobody needs now are given back. */
void host_close_idle(struct host *host);

/* `reset_retries`, SIGUSR1, reload: a host that is not healthy is tried now. */
void host_retry(struct host *host);

/*
 * An administrator's: requests wait in the queue, for as long as one may, and nothing is sent. It
 * lasts until host_resume or the keeper's end; a dead host still answers con_lost at once.
 */
/* Whether a handshake has succeeded since its address became this one; and with which lond. */
bool host_has_connected(const struct host *host);
const char *host_lond_version(const struct host *host);

void host_pause(struct host *host);
void host_resume(struct host *host);

/* How long the first in the queue has waited, in microseconds; 0 where none does. */
uint64_t host_oldest_wait(const struct host *host);

/* Everything queued is answered con_lost. */
void host_fail_queue(struct host *host, enum reason reason);

/* Everything in flight is answered con_lost, and its connections close. */
void host_abandon(struct host *host, enum reason reason);

#endif
