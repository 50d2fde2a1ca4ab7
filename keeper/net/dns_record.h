/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known about one DNS name, and for how long it holds. Rules without I/O: answers and time
 * are arguments, and resolver.c sends the queries.
 *
 * Each family of addresses is a query of its own, because a name server may answer one and be
 * silent on the other. There are three kinds of answer:
 *
 *     found       replaces the addresses of the family
 *     absent      the name has no address of the family; those known are dropped
 *     unanswered  the resolver is down or has failed; the last good addresses of the family stay
 *
 * The address that was connected to last is tried first, and then IPv4 before IPv6. Once an IPv4
 * address is found, nobody waits for IPv6, because the londs of the real network listen on IPv4
 * (lonc-protocol(7) section 7).
 */
#ifndef LONC_KEEPER_NET_DNS_RECORD_H
#define LONC_KEEPER_NET_DNS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "keeper/net/address.h"

enum dns_family { DNS_IPV4, DNS_IPV6, DNS_FAMILIES };

enum dns_answer {
    DNS_UNKNOWN, /* never asked */
    DNS_ASKED,   /* the query is in progress */
    DNS_FOUND,
    DNS_ABSENT,
    DNS_UNANSWERED,
};

/* From the settings resolve_cache, resolve_failure_cache and resolve_addresses. */
struct dns_rules {
    uint64_t cache, failure_cache; /* microseconds */
    unsigned most;                 /* addresses to keep */
};

struct dns_record {
    struct addresses addresses; /* the last good ones, in the order in which they are tried */
    union address preferred;    /* connected to last; without a family there is none */
    enum dns_answer answer[DNS_FAMILIES];
    uint64_t fresh_until; /* microseconds on the monotonic clock; no query before that */
};

/* Whether what is known still holds, even if it is that there is no address. */
bool dns_record_is_fresh(const struct dns_record *record, uint64_t now);

/* Queries for both families are being sent. */
void dns_record_ask(struct dns_record *record);

/* Whether an answer has not come yet. */
bool dns_record_is_asked(const struct dns_record *record);

/*
 * Records the answer for one family, whose query must be in progress. `found` is read with
 * DNS_FOUND only; if it is empty, the answer counts as DNS_ABSENT. Returns whether those who wait
 * for the name can be informed; if not, the answer for the other family has to come first.
 */
MUST_CHECK bool dns_record_take(struct dns_record *record, const struct dns_rules *rules,
                                enum dns_family family, enum dns_answer answer,
                                const struct addresses *found, uint64_t now);

/* Whether all answers have come and none had an address. The last good ones may still be known. */
bool dns_record_has_failed(const struct dns_record *record);

/*
 * A connection to this address has succeeded. It is tried first from now on, in whatever order
 * later answers list it, until a connection to another one succeeds. It is remembered even while
 * answers do not contain it.
 */
void dns_record_prefer(struct dns_record *record, const union address *address);

/* The name is resolved again at the next connection, whatever is known. */
void dns_record_expire(struct dns_record *record);

#endif
