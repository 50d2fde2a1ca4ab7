/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known of a DNS name: which answers replace, which are kept, for how long, and when who
 * waits can be told. The clock is an argument, so that hours pass at once.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "keeper/net/dns_record.h"

#define SECOND UINT64_C(1000000)
#define START  (1000 * SECOND)

/* The settings' defaults. */
static struct dns_rules rules = {
    .cache = 60 * SECOND,
    .failure_cache = 15 * SECOND,
    .most = 8,
};

static struct dns_record record;
static const struct addresses none;

/* --- Helpers ---------------------------------------------------------------------------------- */

static union address address(const char *text)
{
    union address one = {.any.sa_family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
    void *bytes =
        one.any.sa_family == AF_INET ? (void *)&one.ipv4.sin_addr : (void *)&one.ipv6.sin6_addr;
    cr_assert_eq(inet_pton(one.any.sa_family, text, bytes), 1, "%s", text);
    return one;
}

/* Of a list of addresses with blanks between. */
static struct addresses addresses(const char *list)
{
    struct addresses result = {.count = 0};
    char copy[512];
    char *rest = copy, *word;
    snprintf(copy, sizeof(copy), "%s", list);
    while ((word = strsep(&rest, " ")) != NULL && *word != '\0') {
        union address one = address(word);
        addresses_add(&result, &one, ADDRESSES_MAX);
    }
    return result;
}

static void expect_known(const char *list)
{
    char text[512] = "";
    for (unsigned i = 0; i < record.addresses.count; i++) {
        char one[ADDRESS_TEXT_SIZE];
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? " " : "",
                 address_text(&record.addresses.at[i], one));
    }
    cr_expect_str_eq(text, list);
}

static bool take(enum dns_family family, enum dns_answer answer, const char *list, uint64_t now)
{
    struct addresses found = addresses(list);
    return dns_record_take(&record, &rules, family, answer, &found, now);
}

/* Asks, and gets both answers at once; a list that is empty means that there is none. */
static void learn(const char *ipv4, const char *ipv6, uint64_t now)
{
    dns_record_ask(&record);
    take(DNS_IPV4, DNS_FOUND, ipv4, now);
    cr_assert(take(DNS_IPV6, DNS_FOUND, ipv6, now));
}

/* Asks, and nobody answers either question. */
static void learn_nothing(uint64_t now)
{
    dns_record_ask(&record);
    cr_assert_not(take(DNS_IPV4, DNS_UNANSWERED, "", now));
    cr_assert(take(DNS_IPV6, DNS_UNANSWERED, "", now));
}

/* --- How long it holds ------------------------------------------------------------------------ */

Test(dns_record, nothing_is_known_of_a_new_name_and_nothing_is_asked)
{
    cr_expect_not(dns_record_is_fresh(&record, 0));
    cr_expect_not(dns_record_is_asked(&record));
    cr_expect_not(dns_record_has_failed(&record));
    expect_known("");
}

Test(dns_record, an_answer_holds_for_the_cache_time_and_not_longer)
{
    learn("10.0.0.1", "", START);
    cr_expect(dns_record_is_fresh(&record, START));
    cr_expect(dns_record_is_fresh(&record, START + 60 * SECOND - 1));
    cr_expect_not(dns_record_is_fresh(&record, START + 60 * SECOND));
    expect_known("10.0.0.1");
}

Test(dns_record, that_there_is_no_address_holds_for_the_time_of_a_failure)
{
    learn("", "", START);
    cr_expect(dns_record_has_failed(&record));
    cr_expect(dns_record_is_fresh(&record, START + 15 * SECOND - 1));
    cr_expect_not(dns_record_is_fresh(&record, START + 15 * SECOND));
}

Test(dns_record, that_nobody_answered_holds_for_the_time_of_a_failure)
{
    learn_nothing(START);
    cr_expect(dns_record_has_failed(&record));
    cr_expect(dns_record_is_fresh(&record, START + 15 * SECOND - 1));
    cr_expect_not(dns_record_is_fresh(&record, START + 15 * SECOND));
    expect_known("");
}

Test(dns_record, an_address_of_either_family_is_no_failure)
{
    learn("", "2001:db8::1", START);
    cr_expect_not(dns_record_has_failed(&record));
    cr_expect(dns_record_is_fresh(&record, START + 60 * SECOND - 1));
    learn("10.0.0.1", "", START);
    cr_expect_not(dns_record_has_failed(&record));
}

Test(dns_record, what_has_expired_is_known_still_but_not_fresh)
{
    learn("10.0.0.1", "", START);
    dns_record_expire(&record);
    cr_expect_not(dns_record_is_fresh(&record, START));
    expect_known("10.0.0.1");
}

/* --- Who can be told -------------------------------------------------------------------------- */

Test(dns_record, who_waits_is_told_when_IPv4_is_found_though_IPv6_is_not_answered_yet)
{
    dns_record_ask(&record);
    cr_expect(dns_record_is_asked(&record));
    cr_expect(take(DNS_IPV4, DNS_FOUND, "10.0.0.1", START));
    cr_expect(dns_record_is_asked(&record));
    cr_expect(dns_record_is_fresh(&record, START));
    cr_expect_not(dns_record_has_failed(&record));
    cr_expect(take(DNS_IPV6, DNS_UNANSWERED, "", START + SECOND));
    cr_expect_not(dns_record_is_asked(&record));
    cr_expect_not(dns_record_has_failed(&record));
}

Test(dns_record, without_IPv4_who_waits_is_told_when_both_are_answered)
{
    static const enum dns_answer answers[] = {DNS_ABSENT, DNS_UNANSWERED};
    for (size_t i = 0; i < 2; i++) {
        record = (struct dns_record){0};
        dns_record_ask(&record);
        cr_expect_not(take(DNS_IPV4, answers[i], "", START));
        cr_expect_not(dns_record_is_fresh(&record, START));
        cr_expect(take(DNS_IPV6, DNS_FOUND, "2001:db8::1", START));
        expect_known("2001:db8::1");
    }
}

Test(dns_record, IPv6_alone_must_wait_for_IPv4)
{
    dns_record_ask(&record);
    cr_expect_not(take(DNS_IPV6, DNS_FOUND, "2001:db8::1", START));
    cr_expect(take(DNS_IPV4, DNS_FOUND, "10.0.0.1", START));
    expect_known("10.0.0.1 2001:db8::1");
}

/* --- What replaces what ----------------------------------------------------------------------- */

Test(dns_record, an_answer_replaces_the_one_before)
{
    learn("10.0.0.1 10.0.0.2", "2001:db8::1", START);
    expect_known("10.0.0.1 10.0.0.2 2001:db8::1");
    learn("10.0.0.3", "2001:db8::2", START);
    expect_known("10.0.0.3 2001:db8::2");
}

Test(dns_record, the_last_good_addresses_stay_while_nobody_answers)
{
    learn("10.0.0.1", "2001:db8::1", START);
    for (uint64_t minute = 1; minute < 1000; minute++)
        learn_nothing(START + 60 * minute * SECOND);
    cr_expect(dns_record_has_failed(&record));
    expect_known("10.0.0.1 2001:db8::1");
}

Test(dns_record, that_there_is_none_is_an_answer_and_takes_the_addresses_away)
{
    learn("10.0.0.1", "2001:db8::1", START);
    learn("", "", START);
    expect_known("");
}

Test(dns_record, each_family_is_replaced_or_kept_by_its_own_answer)
{
    learn("10.0.0.1", "2001:db8::1", START);
    dns_record_ask(&record);
    take(DNS_IPV4, DNS_UNANSWERED, "", START);
    take(DNS_IPV6, DNS_FOUND, "2001:db8::2", START);
    expect_known("10.0.0.1 2001:db8::2");
    dns_record_ask(&record);
    take(DNS_IPV4, DNS_ABSENT, "", START);
    take(DNS_IPV6, DNS_UNANSWERED, "", START);
    cr_expect(dns_record_has_failed(&record));
    expect_known("2001:db8::2");
}

Test(dns_record, an_answer_with_addresses_of_the_other_family_only_is_none)
{
    dns_record_ask(&record);
    take(DNS_IPV4, DNS_FOUND, "2001:db8::1", START);
    take(DNS_IPV6, DNS_ABSENT, "", START);
    expect_known("");
}

Test(dns_record, no_more_addresses_are_kept_than_the_rules_allow_and_IPv4_goes_first)
{
    rules.most = 3;
    learn("10.0.0.1 10.0.0.2", "2001:db8::1 2001:db8::2", START);
    expect_known("10.0.0.1 10.0.0.2 2001:db8::1");
    learn("10.0.0.4 10.0.0.3 10.0.0.2 10.0.0.1", "2001:db8::1", START);
    expect_known("10.0.0.4 10.0.0.3 10.0.0.2");
    rules.most = 8;
}

static void prefer(const char *text)
{
    union address preferred = address(text);
    dns_record_prefer(&record, &preferred);
}

Test(dns_record, the_preferred_address_stands_first)
{
    learn("10.0.0.1 10.0.0.2", "2001:db8::1", START);
    prefer("10.0.0.2");
    expect_known("10.0.0.2 10.0.0.1 2001:db8::1");
    prefer("2001:db8::1");
    expect_known("2001:db8::1 10.0.0.2 10.0.0.1");
    prefer("10.0.0.9");
    expect_known("2001:db8::1 10.0.0.2 10.0.0.1");
}

Test(dns_record, the_preferred_address_stands_first_after_each_new_answer_in_any_order)
{
    learn("10.0.0.1 10.0.0.2 10.0.0.3", "2001:db8::1", START);
    prefer("10.0.0.2");
    learn("10.0.0.1 10.0.0.2 10.0.0.3", "2001:db8::1", START);
    expect_known("10.0.0.2 10.0.0.1 10.0.0.3 2001:db8::1");
    learn("10.0.0.3 10.0.0.1 10.0.0.2", "2001:db8::1", START);
    expect_known("10.0.0.2 10.0.0.3 10.0.0.1 2001:db8::1");
    prefer("10.0.0.1");
    learn("10.0.0.3 10.0.0.2 10.0.0.1", "", START);
    expect_known("10.0.0.1 10.0.0.3 10.0.0.2");
}

Test(dns_record, the_preferred_address_may_be_of_the_other_family)
{
    learn("10.0.0.1", "2001:db8::1 2001:db8::2", START);
    prefer("2001:db8::2");
    dns_record_ask(&record);
    cr_assert(take(DNS_IPV4, DNS_FOUND, "10.0.0.2 10.0.0.1", START));
    expect_known("2001:db8::2 10.0.0.2 10.0.0.1 2001:db8::1");
    cr_assert(take(DNS_IPV6, DNS_FOUND, "2001:db8::1 2001:db8::2", START));
    expect_known("2001:db8::2 10.0.0.2 10.0.0.1 2001:db8::1");
    learn_nothing(START);
    expect_known("2001:db8::2 10.0.0.2 10.0.0.1 2001:db8::1");
}

Test(dns_record, a_preferred_address_that_is_gone_is_gone_and_is_first_again_when_it_comes_back)
{
    learn("10.0.0.1 10.0.0.2", "", START);
    prefer("10.0.0.2");
    learn("10.0.0.1", "", START);
    expect_known("10.0.0.1");
    learn("", "", START);
    expect_known("");
    learn("10.0.0.1 10.0.0.2", "2001:db8::1", START);
    expect_known("10.0.0.2 10.0.0.1 2001:db8::1");
}

Test(dns_record, the_preferred_address_is_among_those_that_are_kept)
{
    rules.most = 2;
    learn("10.0.0.1 10.0.0.2", "", START);
    prefer("10.0.0.1");
    learn("10.0.0.3 10.0.0.2 10.0.0.1", "2001:db8::1", START);
    expect_known("10.0.0.1 10.0.0.3");
    rules.most = 8;
}

/* --- Addresses -------------------------------------------------------------------------------- */

Test(address, the_port_makes_no_difference)
{
    union address one = address("10.0.0.1"), other = address("10.0.0.1");
    cr_expect_eq(address_with_port(&one, 5663), sizeof(struct sockaddr_in));
    cr_expect_eq(ntohs(one.ipv4.sin_port), 5663);
    cr_expect(address_equal(&one, &other));
    one = address("2001:db8::1");
    cr_expect_not(address_equal(&one, &other));
    other = address("2001:db8::1");
    cr_expect_eq(address_with_port(&one, 5663), sizeof(struct sockaddr_in6));
    cr_expect_eq(ntohs(one.ipv6.sin6_port), 5663);
    cr_expect(address_equal(&one, &other));
    other = address("2001:db8::2");
    cr_expect_not(address_equal(&one, &other));
}

Test(address, none_stands_in_a_list_twice_and_a_list_has_an_end)
{
    struct addresses list = addresses("10.0.0.1 10.0.0.1 10.0.0.2");
    cr_expect_eq(list.count, 2);
    for (unsigned i = 0; i < 3 * ADDRESSES_MAX; i++) {
        union address one = address_ipv4((struct in_addr){.s_addr = i});
        addresses_add(&list, &one, 3 * ADDRESSES_MAX);
    }
    cr_expect_eq(list.count, ADDRESSES_MAX);
}

Test(address, a_list_contains_what_was_added)
{
    struct addresses list = addresses("10.0.0.1 2001:db8::1");
    union address there = address("2001:db8::1"), absent = address("10.0.0.2");
    cr_expect(addresses_contain(&list, &there));
    cr_expect_not(addresses_contain(&list, &absent));
    cr_expect_not(addresses_contain(&none, &there));
}
