/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of the cache of DNS answers.
 */
#include "keeper/net/dns_record.h"

static const sa_family_t families[] = {[DNS_IPV4] = AF_INET, [DNS_IPV6] = AF_INET6};

bool dns_record_is_fresh(const struct dns_record *record, uint64_t now)
{
    return now < record->fresh_until;
}

void dns_record_ask(struct dns_record *record)
{
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++)
        record->answer[family] = DNS_ASKED;
}

bool dns_record_is_asked(const struct dns_record *record)
{
    return record->answer[DNS_IPV4] == DNS_ASKED || record->answer[DNS_IPV6] == DNS_ASKED;
}

bool dns_record_has_failed(const struct dns_record *record)
{
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++)
        if (record->answer[family] != DNS_ABSENT && record->answer[family] != DNS_UNANSWERED)
            return false;
    return true;
}

void dns_record_expire(struct dns_record *record)
{
    record->fresh_until = 0;
}

static void add_family(struct addresses *to, const struct addresses *from, enum dns_family family,
                       unsigned most)
{
    for (unsigned i = 0; i < from->count; i++)
        if (from->at[i].any.sa_family == families[family])
            addresses_add(to, &from->at[i], most);
}

/*
 * Replaces the addresses of one family by those found. IPv4 comes first, except that the address
 * connected to last precedes all others: with an unreachable one before it, every connection would
 * have to wait for a time-out.
 */
static void replace_family(struct dns_record *record, enum dns_family replaced,
                           const struct addresses *found, unsigned most)
{
    const struct addresses old = record->addresses;
    const struct addresses *sources[DNS_FAMILIES];
    const union address *preferred = &record->preferred;
    record->addresses.count = 0;
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++) {
        sources[family] = family == replaced ? found : &old;
        if (families[family] == preferred->any.sa_family &&
            addresses_contain(sources[family], preferred))
            addresses_add(&record->addresses, preferred, most);
    }
    for (enum dns_family family = 0; family < DNS_FAMILIES; family++)
        add_family(&record->addresses, sources[family], family, most);
}

void dns_record_prefer(struct dns_record *record, const union address *address)
{
    record->preferred = *address;
    addresses_prefer(&record->addresses, address);
}

bool dns_record_take(struct dns_record *record, const struct dns_rules *rules,
                     enum dns_family family, enum dns_answer answer, const struct addresses *found,
                     uint64_t now)
{
    static const struct addresses none;
    if (answer == DNS_FOUND && found->count == 0)
        answer = DNS_ABSENT;
    record->answer[family] = answer;
    if (answer != DNS_UNANSWERED)
        replace_family(record, family, answer == DNS_FOUND ? found : &none, rules->most);
    if (record->answer[DNS_IPV4] != DNS_FOUND && dns_record_is_asked(record))
        return false;
    record->fresh_until =
        now + (dns_record_has_failed(record) ? rules->failure_cache : rules->cache);
    return true;
}
