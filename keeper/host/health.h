/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a host can be reached: keeper/README.md rule 5. Pure: the time and the dice are
 * arguments.
 *
 *     healthy --failure--> failing --failure--> dead
 *        ^                    |  ^                |
 *        +-----success--------+  +---forgiven-----+
 *        +-----success----------------------------+
 *
 * What counts is a failed attempt to open a connection. Attempts that overlap count once, since one
 * restart of a peer fails all that were under way: each attempt carries the round it was begun in,
 * and a failure ends the round.
 */
#ifndef LONC_KEEPER_HOST_HEALTH_H
#define LONC_KEEPER_HOST_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/core/reason.h"

enum health_state {
    HEALTH_HEALTHY, /* as many attempts at once as requests wait */
    HEALTH_FAILING, /* one attempt at a time, while requests wait */
    HEALTH_DEAD,    /* one probe at a time; requests are answered con_lost at once */
};

/* What a failure or a success did, for whoever answers requests and writes the log. */
enum health_change { HEALTH_UNCHANGED, HEALTH_DIED, HEALTH_DIED_AGAIN, HEALTH_RETURNED };

/* From the settings of the same names; times in microseconds. */
struct health_rules {
    unsigned failures_until_dead;
    uint64_t retry_delay;
    uint64_t probe_min, probe_max;
};

struct health {
    enum health_state state;
    enum reason reason;      /* of the last failure that counted */
    unsigned failures;       /* that counted, in a row */
    unsigned round;          /* attempts begun in an earlier one no longer count */
    uint64_t next_attempt;   /* failing and dead: not before */
    uint64_t dead_since;     /* 0: has been reached since it last died */
    uint64_t probe_interval; /* the last one, before jitter */
    unsigned slow_start;     /* after a return: the size of this wave of attempts; 0: no limit */
    unsigned slow_done;      /* of which so many have succeeded */
};

/* A new host is healthy: nothing is known against it. */
void health_init(struct health *health);

/* Whether another attempt may start while `under_way` of them are. */
bool health_may_attempt(const struct health *health, unsigned under_way, uint64_t now);

/*
 * The one door for failure: an attempt begun in `round` has failed. `dice` is any random number;
 * the next probe is put off by -20 to +20 % by it, but never by more than probe_max.
 * HEALTH_DIED_AGAIN: it had been forgiven and has not been reached since, so that this is nothing
 * new to tell.
 */
enum health_change health_failure(struct health *health, const struct health_rules *rules,
                                  unsigned round, enum reason reason, uint64_t now, uint32_t dice);

/*
 * The one door for success: a connection became Idle, by its handshake or by a reply
 * (lonc-protocol(7) section 2: reaching Idle forgives). `opened`: by its handshake, which lets a
 * slow start go on.
 */
enum health_change health_success(struct health *health, unsigned connections_per_host,
                                  bool opened);

/*
 * An administrator or a client asks for another chance: an attempt may start now. A dead host is
 * then failing, and the next failure makes it dead again; requests wait for that verdict.
 */
void health_retry(struct health *health, const struct health_rules *rules, uint64_t now);

#endif
