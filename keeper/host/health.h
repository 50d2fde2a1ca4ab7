/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a host can be reached (keeper/README.md rule 5). Pure: the time and the dice are
 * arguments.
 *
 *     healthy --failure--> failing --failure--> dead
 *        ^                    |  ^                |
 *        +-----success--------+  +-----retry------+
 *        +-----success----------------------------+
 *
 * Only a failed attempt to open a connection counts. Attempts that overlap count once, because one
 * restart of a peer fails all of them: each attempt carries the round in which it was begun, and
 * the first failure ends the round.
 */
#ifndef LONC_KEEPER_HOST_HEALTH_H
#define LONC_KEEPER_HOST_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/core/reason.h"

enum health_state {
    HEALTH_HEALTHY, /* as many attempts at once as requests wait */
    HEALTH_FAILING, /* one attempt at a time, while requests wait for it */
    HEALTH_DEAD,    /* one probe at a time; requests are answered con_lost at once */
};

/* What a failure or a success has changed, for the caller to answer requests and write the log. */
enum health_change { HEALTH_UNCHANGED, HEALTH_DIED, HEALTH_DIED_AGAIN, HEALTH_RETURNED };

/* The settings of the same names. Times are in microseconds. */
struct health_rules {
    unsigned failures_until_dead;
    uint64_t retry_delay;
    uint64_t probe_min, probe_max;
};

struct health {
    enum health_state state;
    enum reason reason;      /* of the last failure that counted */
    unsigned failures;       /* how many counted in a row */
    unsigned round;          /* the current one; failures of earlier ones do not count */
    uint64_t next_attempt;   /* failing and dead: no attempt before this time */
    uint64_t dead_since;     /* 0: it has been reached since it last died */
    uint64_t probe_interval; /* the last one, before jitter */
    unsigned slow_start;     /* after a return: how many attempts this wave may have; 0: any */
    unsigned slow_done;      /* how many of this wave have succeeded */
};

/* A new host is healthy, because nothing is known against it. */
void health_init(struct health *health);

/* Whether another attempt may start while `under_way` attempts have not ended. */
bool health_may_attempt(const struct health *health, unsigned under_way, uint64_t now);

/*
 * An attempt begun in `round` has failed; the only way in for failures. `dice` is a random number,
 * which moves the next probe by -20 to +20 %, but never beyond probe_max. HEALTH_DIED_AGAIN: it was
 * dead before a retry and has not been reached since, so there is nothing new to log.
 */
enum health_change health_failure(struct health *health, const struct health_rules *rules,
                                  unsigned round, enum reason reason, uint64_t now, uint32_t dice);

/*
 * A connection became Idle, which ends all failures (lonc-protocol(7) section 2); the only way in
 * for successes. `opened`: by its handshake, which lets a slow start go on, and not by a reply.
 */
enum health_change health_success(struct health *health, unsigned connections_per_host,
                                  bool opened);

/*
 * An administrator or a client asks to try the host: an attempt may start now. A dead host becomes
 * failing, so requests wait for how that ends; one more failure makes it dead again.
 */
void health_retry(struct health *health, const struct health_rules *rules, uint64_t now);

#endif
