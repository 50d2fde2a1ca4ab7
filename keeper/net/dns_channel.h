/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asks DNS servers, or /etc/hosts, through c-ares, whose sockets and timer are driven by the event
 * loop. This knows single queries only: which names are worth asking for, how long an answer holds,
 * and who waits for it is in resolver.c.
 */
#ifndef LONC_KEEPER_NET_DNS_CHANNEL_H
#define LONC_KEEPER_NET_DNS_CHANNEL_H

#include "common/attributes.h"
#include "keeper/core/core.h"
#include "keeper/net/dns_record.h"

struct dns_channel;

/* One query for the addresses of one family of a name. The channel owns it and frees it. */
struct dns_query {
    void *owner; /* as given to dns_channel_ask(); NULL once it has been abandoned */
    enum dns_family family;
    const char *name;
    struct dns_query **slot;
    struct dns_channel *channel;
    LIST_ENTRY(dns_query) link;
};

/*
 * `answered` is called once for each query when it ends, also for one without an owner; the query
 * is freed afterwards. `status` is c-ares's reason, for ares_strerror(3). It may be called from
 * inside any function of this header but dns_channel_free(), which drops its queries silently, and
 * it must not call one itself, because c-ares must not be entered from its own callbacks. Returns
 * NULL for lack of memory.
 */
MUST_CHECK struct dns_channel *dns_channel_new(
    struct core *core,
    void (*answered)(void *argument, const struct dns_query *query, enum dns_answer answer,
                     const struct addresses *found, int status),
    void *argument);
void dns_channel_free(struct dns_channel *channel); /* NULL is allowed */

/*
 * Prepares for queries: opens the channel, or opens it anew if /etc/resolv.conf has changed since,
 * so that a machine that gets its name servers after the keeper has started needs no reload.
 */
void dns_channel_prepare(struct dns_channel *channel);

/* The settings have changed: an open channel is opened anew. Queries in progress are asked again.
 */
void dns_channel_reload(struct dns_channel *channel);

/*
 * Asks for the addresses of `name`, which must stay valid until the query ends or is abandoned.
 * Meanwhile *slot points to the query, and then it is NULL; it may be NULL already when this
 * returns. Returns ARES_SUCCESS, or the status of c-ares that says why the query cannot be asked:
 * then *slot is as it was, and `answered` is not called.
 */
MUST_CHECK int dns_channel_ask(struct dns_channel *channel, const char *name,
                               enum dns_family family, void *owner, struct dns_query **slot);

/* Nobody wants the answer any more: the query in *slot loses its owner, and *slot is NULL. */
void dns_channel_abandon(struct dns_query **slot);

/* Number of queries that have not ended, including those that have been abandoned. */
size_t dns_channel_load(const struct dns_channel *channel);

#endif
