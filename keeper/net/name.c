/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known of one DNS name: the rules of the cache.
 */
#include "keeper/net/name.h"

static const sa_family_t families[] = {[NAME_IPV4] = AF_INET, [NAME_IPV6] = AF_INET6};

bool name_is_fresh(const struct name_record *record, uint64_t now)
{
    return now < record->fresh_until;
}

void name_ask(struct name_record *record)
{
    for (enum name_family family = 0; family < NAME_FAMILIES; family++)
        record->answer[family] = NAME_ASKED;
}

bool name_is_asked(const struct name_record *record)
{
    return record->answer[NAME_IPV4] == NAME_ASKED || record->answer[NAME_IPV6] == NAME_ASKED;
}

bool name_has_failed(const struct name_record *record)
{
    for (enum name_family family = 0; family < NAME_FAMILIES; family++)
        if (record->answer[family] != NAME_ABSENT && record->answer[family] != NAME_UNANSWERED)
            return false;
    return true;
}

void name_expire(struct name_record *record)
{
    record->fresh_until = 0;
}

static void add_family(struct addresses *to, const struct addresses *from, enum name_family family,
                       unsigned most)
{
    for (unsigned i = 0; i < from->count; i++)
        if (from->at[i].any.sa_family == families[family])
            addresses_add(to, &from->at[i], most);
}

/*
 * The family's addresses give way to those found, and the others stay. IPv4 stands first, but for
 * the address that answered last: a silent one before it would cost every connection its time-out.
 */
static void replace(struct name_record *record, enum name_family replaced,
                    const struct addresses *found, unsigned most)
{
    const struct addresses old = record->addresses;
    const struct addresses *sources[NAME_FAMILIES];
    const union address *preferred = &record->preferred;
    record->addresses.count = 0;
    for (enum name_family family = 0; family < NAME_FAMILIES; family++) {
        sources[family] = family == replaced ? found : &old;
        if (families[family] == preferred->any.sa_family &&
            addresses_contain(sources[family], preferred))
            addresses_add(&record->addresses, preferred, most);
    }
    for (enum name_family family = 0; family < NAME_FAMILIES; family++)
        add_family(&record->addresses, sources[family], family, most);
}

void name_prefer(struct name_record *record, const union address *address)
{
    record->preferred = *address;
    addresses_prefer(&record->addresses, address);
}

bool name_take(struct name_record *record, const struct name_rules *rules, enum name_family family,
               enum name_answer answer, const struct addresses *found, uint64_t now)
{
    static const struct addresses none;
    if (answer == NAME_FOUND && found->count == 0)
        answer = NAME_ABSENT;
    record->answer[family] = answer;
    if (answer != NAME_UNANSWERED)
        replace(record, family, answer == NAME_FOUND ? found : &none, rules->most);
    if (record->answer[NAME_IPV4] != NAME_FOUND && name_is_asked(record))
        return false;
    record->fresh_until = now + (name_has_failed(record) ? rules->failure_cache : rules->cache);
    return true;
}
