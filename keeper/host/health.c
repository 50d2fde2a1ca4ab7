/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of a host's health. This only counts and decides; attempts.c acts on it.
 */
#include "keeper/host/health.h"

void health_init(struct health *health)
{
    *health = (struct health){.state = HEALTH_HEALTHY};
}

bool health_may_attempt(const struct health *health, unsigned under_way, uint64_t now)
{
    if (health->state == HEALTH_HEALTHY)
        return health->slow_start == 0 || under_way + health->slow_done < health->slow_start;
    return under_way == 0 && now >= health->next_attempt;
}

/* -20 to +20 %, so that hosts that died together are not probed together for ever. */
static uint64_t jitter(uint64_t interval, uint32_t dice)
{
    return interval - interval / 5 + interval * 2 / 5 * (dice >> 16) / UINT16_MAX;
}

static void put_off_probe(struct health *health, const struct health_rules *rules, uint64_t now,
                          uint32_t dice)
{
    uint64_t interval = health->probe_interval * 2;
    if (interval < rules->probe_min)
        interval = rules->probe_min;
    if (interval > rules->probe_max)
        interval = rules->probe_max;
    health->probe_interval = interval;
    /* probe_max promises how late a return is noticed, so jitter may only shorten it. */
    uint64_t pause = jitter(interval, dice);
    health->next_attempt = now + (pause < rules->probe_max ? pause : rules->probe_max);
}

enum health_change health_failure(struct health *health, const struct health_rules *rules,
                                  unsigned round, enum reason reason, uint64_t now, uint32_t dice)
{
    if (round != health->round)
        return HEALTH_UNCHANGED;
    health->round++;
    health->reason = reason;
    health->failures++;

    if (health->state == HEALTH_DEAD) {
        put_off_probe(health, rules, now, dice);
        return HEALTH_UNCHANGED;
    }
    if (health->failures < rules->failures_until_dead) {
        health->state = HEALTH_FAILING;
        health->next_attempt = now + rules->retry_delay;
        return HEALTH_UNCHANGED;
    }
    health->state = HEALTH_DEAD;
    put_off_probe(health, rules, now, dice);
    if (health->dead_since != 0)
        return HEALTH_DIED_AGAIN;
    health->dead_since = now;
    return HEALTH_DIED;
}

enum health_change health_success(struct health *health, unsigned connections_per_host, bool opened)
{
    if (health->slow_start > 0 && opened && ++health->slow_done == health->slow_start) {
        health->slow_done = 0;
        health->slow_start *= 2;
        if (health->slow_start >= connections_per_host)
            health->slow_start = 0;
    }
    if (health->state == HEALTH_HEALTHY)
        return HEALTH_UNCHANGED;
    bool was_dead = health->dead_since != 0;
    unsigned round = health->round, slow_start = health->slow_start;
    health_init(health);
    health->round = round;
    /* Ten connections at once might bring down a peer that has just come back. */
    health->slow_start = was_dead ? 1 : slow_start;
    return was_dead ? HEALTH_RETURNED : HEALTH_UNCHANGED;
}

void health_retry(struct health *health, const struct health_rules *rules, uint64_t now)
{
    if (health->state == HEALTH_HEALTHY)
        return;
    if (health->dead_since != 0)
        health->failures = rules->failures_until_dead - 1;
    else
        health->failures = 0;
    health->state = HEALTH_FAILING;
    health->next_attempt = now;
    health->probe_interval = 0;
}
