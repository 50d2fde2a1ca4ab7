/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known of one DNS name, and for how long. Pure: the answers and the time are arguments;
 * who asks them of a DNS server is resolver.c.
 *
 * Each family of addresses is a question of its own, since a name server may answer one and be
 * silent on the other. Three answers are told apart:
 *
 *     found       replaces the addresses of its family
 *     absent      the name has none of this family: what was known of it goes
 *     unanswered  the resolver is down, or failed: the last good addresses of the family stay
 *
 * The address that answered last comes first, then IPv4 does, and once it is found nobody waits for
 * IPv6: the londs of the real network listen on IPv4 (lonc-protocol(7) section 7).
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
    DNS_ASKED,   /* the answer has not come yet */
    DNS_FOUND,
    DNS_ABSENT,
    DNS_UNANSWERED,
};

/* From the settings resolve_cache, resolve_failure_cache and resolve_addresses. */
struct dns_rules {
    uint64_t cache, failure_cache; /* microseconds */
    unsigned most;                 /* addresses that are kept */
};

struct dns_record {
    struct addresses addresses; /* the last good ones, in the order in which they are tried */
    union address preferred;    /* the one that answered last; of no family: none has */
    enum dns_answer answer[DNS_FAMILIES];
    uint64_t fresh_until; /* until then nobody asks again */
};

/* Whether what is known, be it that there is nothing, holds without asking. */
bool dns_record_is_fresh(const struct dns_record *record, uint64_t now);

/* Both families are being asked now. */
void dns_record_ask(struct dns_record *record);

/* Whether an answer is still to come. */
bool dns_record_is_asked(const struct dns_record *record);

/*
 * The answer for one family, which must have been asked; `found` is read with DNS_FOUND only, and
 * an empty one means DNS_ABSENT. True: who waits for the name can be told. False: the other
 * family's answer must come first.
 */
MUST_CHECK bool dns_record_take(struct dns_record *record, const struct dns_rules *rules,
                                enum dns_family family, enum dns_answer answer,
                                const struct addresses *found, uint64_t now);

/* All answers have come, and none of them has an address; last good ones may be known still. */
bool dns_record_has_failed(const struct dns_record *record);

/*
 * This address has answered: it is tried first from now on, in whatever order later answers have
 * it, until another answers. One that those have no more is remembered, should it come back.
 */
void dns_record_prefer(struct dns_record *record, const union address *address);

/* It is asked again at the next connection, whatever is known. */
void dns_record_expire(struct dns_record *record);

#endif
