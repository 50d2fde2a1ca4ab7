/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pool of connections of one host. When one is opened is attempts.c's to decide, and what is
 * sent on it host.c's.
 */
#include "keeper/host/pool.h"

unsigned pool_total(const struct host *host)
{
    unsigned total = 0;
    for (unsigned list = 0; list < POOL_LISTS; list++)
        total += host->pool_count[list];
    return total;
}

static void insert(struct lond *lond, enum pool_list list)
{
    struct host *host = lond->place.host;
    lond->place.list = list;
    LIST_INSERT_HEAD(&host->pool[list], lond, place.link);
    host->pool_count[list]++;
}

void pool_add_opening(struct host *host, struct lond *lond)
{
    lond->place.host = host;
    lond->place.round = host->health.round;
    insert(lond, POOL_OPENING);
}

void pool_remove(struct lond *lond)
{
    LIST_REMOVE(lond, place.link);
    lond->place.host->pool_count[lond->place.list]--;
}

void pool_move(struct lond *lond, enum pool_list list)
{
    pool_remove(lond);
    insert(lond, list);
}

void pool_close(struct lond *lond)
{
    pool_remove(lond);
    lond_close(lond);
}

void pool_close_list(struct host *host, enum pool_list list)
{
    struct lond *lond, *next;
    LIST_FOREACH_SAFE (lond, &host->pool[list], place.link, next)
        pool_close(lond);
}

struct lond *pool_first_idle(struct host *host)
{
    struct lond *lond;
    while ((lond = LIST_FIRST(&host->pool[POOL_IDLE])) != NULL && lond_has_stirred(lond))
        pool_close(lond);
    return lond;
}

void pool_settle(struct lond *lond)
{
    struct host *host = lond->place.host;
    bool unwanted = core_descriptors_are_short(host->core) && host->queued == 0;
    if (lond->closing || unwanted || !host->listed)
        pool_close(lond);
    else
        pool_move(lond, POOL_IDLE);
}

bool pool_has_moved(const struct lond *lond)
{
    const struct resolver_user *dns = &lond->place.host->dns;
    return dns->name != NULL && resolver_addresses(dns)->count > 0 &&
           !addresses_contain(resolver_addresses(dns), &lond->address);
}

void pool_leave_old_addresses(struct host *host)
{
    struct lond *lond, *next;
    LIST_FOREACH_SAFE (lond, &host->pool[POOL_IDLE], place.link, next)
        if (pool_has_moved(lond))
            pool_close(lond);
    LIST_FOREACH (lond, &host->pool[POOL_BUSY], place.link)
        if (pool_has_moved(lond))
            lond_close_after_reply(lond);
}
