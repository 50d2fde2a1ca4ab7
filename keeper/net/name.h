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
#ifndef LONC_KEEPER_NET_NAME_H
#define LONC_KEEPER_NET_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/net/address.h"

enum name_family { NAME_IPV4, NAME_IPV6, NAME_FAMILIES };

enum name_answer {
    NAME_UNKNOWN, /* never asked */
    NAME_ASKED,   /* the answer has not come yet */
    NAME_FOUND,
    NAME_ABSENT,
    NAME_UNANSWERED,
};

/* From the settings resolve_cache, resolve_failure_cache and resolve_addresses. */
struct name_rules {
    uint64_t cache, failure_cache; /* microseconds */
    unsigned most;                 /* addresses that are kept */
};

struct name_record {
    struct addresses addresses; /* the last good ones, in the order in which they are tried */
    union address preferred;    /* the one that answered last; of no family: none has */
    enum name_answer answer[NAME_FAMILIES];
    uint64_t fresh_until; /* until then nobody asks again */
};

/* Whether what is known, be it that there is nothing, holds without asking. */
bool name_is_fresh(const struct name_record *record, uint64_t now);

/* Both families are being asked now. */
void name_ask(struct name_record *record);

/* Whether an answer is still to come. */
bool name_is_asked(const struct name_record *record);

/*
 * The answer for one family, which must have been asked; `found` is read with NAME_FOUND only, and
 * an empty one means NAME_ABSENT. True: who waits for the name can be told. False: the other
 * family's answer must come first.
 */
bool name_take(struct name_record *record, const struct name_rules *rules, enum name_family family,
               enum name_answer answer, const struct addresses *found, uint64_t now);

/* All answers have come, and none of them has an address; last good ones may be known still. */
bool name_has_failed(const struct name_record *record);

/*
 * This address has answered: it is tried first from now on, in whatever order later answers have
 * it, until another answers. One that those have no more is remembered, should it come back.
 */
void name_prefer(struct name_record *record, const union address *address);

/* It is asked again at the next connection, whatever is known. */
void name_expire(struct name_record *record);

#endif
