/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sets of names: names come out in order, each once, and halving a set removes the last ones.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/deferred/name_set.h"

static size_t bytes;
static struct name_set set;

static void open_shelf(void)
{
    bytes = 0;
    name_set_init(&set, &bytes);
}

static void close_shelf(void)
{
    name_set_clear(&set);
    cr_expect_eq(bytes, 0, "an empty set takes up %zu bytes", bytes);
    cr_expect_eq(set.count, 0);
}

TestSuite(name_set, .init = open_shelf, .fini = close_shelf);

static void put(uint64_t epoch, uint64_t count)
{
    char name[64];
    snprintf(name, sizeof(name), "%" PRIu64 ".%" PRIu64 ".17.put.msul1", epoch, count);
    cr_assert_eq(name_set_put(&set, name), 0);
}

/*
 * Adds names 0 to `names` - 1 in no apparent order; `names` and 7919 must have no common factor.
 */
static void put_shuffled(uint64_t names)
{
    for (uint64_t i = 0; i < names; i++) {
        uint64_t n = i * 7919 % names;
        put(1000 + n / 10, n % 10);
    }
}

/* Removes the first name, which must be this one. */
static void expect_first(uint64_t n)
{
    struct delayed_order order;
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "%" PRIu64 ".%" PRIu64 ".17.put.msul1", 1000 + n / 10, n % 10);
    const char *name = name_set_first(&set, &order);
    cr_assert_not_null(name);
    cr_assert_str_eq(name, wanted);
    cr_assert_eq(order.epoch, 1000 + n / 10);
    cr_assert_eq(order.count, n % 10);
    name_set_drop_first(&set);
}

Test(name_set, an_empty_one_has_no_first)
{
    struct delayed_order order;
    cr_expect_null(name_set_first(&set, &order));
}

Test(name_set, names_of_many_runs_come_out_in_order)
{
    put_shuffled(20000);
    cr_expect_eq(set.count, 20000);
    for (uint64_t n = 0; n < 20000; n++)
        expect_first(n);
    cr_expect_eq(set.count, 0);
}

Test(name_set, counts_are_compared_as_numbers)
{
    put(1000, 10);
    put(1000, 9);
    struct delayed_order order;
    cr_expect_str_eq(name_set_first(&set, &order), "1000.9.17.put.msul1");
}

Test(name_set, a_name_that_comes_late_is_still_first)
{
    for (uint64_t n = 10; n < 5010; n++)
        put(1000 + n / 10, n % 10);
    expect_first(10);
    put(1000, 3);
    expect_first(3);
    expect_first(11);
    put(1000, 4);
    put(1000, 2);
    expect_first(2);
    expect_first(4);
    expect_first(12);
}

Test(name_set, a_name_that_is_there_twice_comes_twice)
{
    put_shuffled(5000);
    put_shuffled(5000);
    for (uint64_t n = 0; n < 5000; n++) {
        expect_first(n);
        expect_first(n);
    }
}

static bool has(uint64_t epoch, uint64_t count)
{
    char name[64];
    struct delayed_order order = {epoch, count};
    snprintf(name, sizeof(name), "%" PRIu64 ".%" PRIu64 ".17.put.msul1", epoch, count);
    return name_set_has(&set, name, &order);
}

Test(name_set, a_name_is_there_until_it_is_taken)
{
    cr_expect_not(has(1000, 0));
    put_shuffled(20000);
    put(9000, 1);
    for (uint64_t n = 0; n < 20000; n++)
        cr_assert(has(1000 + n / 10, n % 10), "%" PRIu64, n);
    cr_expect(has(9000, 1), "an unsorted name");
    cr_expect_not(has(999, 9));
    cr_expect_not(has(3000, 0));
    cr_expect_not(has(1000, 10), "nor is one between others");
    cr_expect_not(has(9000, 2));
    expect_first(0);
    cr_expect_not(has(1000, 0));
    cr_expect(has(1000, 1));
    struct delayed_order from;
    cr_assert(name_set_halve(&set, &from));
    cr_expect_not(has(from.epoch, from.count));
    cr_expect(has(1000, 1));
}

Test(name_set, halving_leaves_the_first_of_them)
{
    struct delayed_order from;
    put_shuffled(30000);
    size_t before = bytes;
    cr_assert(name_set_halve(&set, &from));
    uint64_t left = (from.epoch - 1000) * 10 + from.count;
    cr_expect_eq(set.count, left, "%zu stay, and %" PRIu64 " stand before the first that goes",
                 set.count, left);
    cr_expect(left > 10000 && left < 20000, "%" PRIu64 " of 30000 stay", left);
    cr_expect_lt(bytes, before * 2 / 3);
    for (uint64_t n = 0; n < left; n++)
        expect_first(n);
    cr_expect_eq(set.count, 0);
}

/*
 * Some file systems list the newest files first, so that each run comes before those added earlier.
 */
Test(name_set, halving_runs_that_do_not_overlap)
{
    struct delayed_order from;
    for (uint64_t n = 20000; n-- > 0;)
        put(1000 + n / 10, n % 10);
    cr_assert(name_set_halve(&set, &from));
    uint64_t left = (from.epoch - 1000) * 10 + from.count;
    cr_expect(left > 7000 && left < 13000, "%" PRIu64 " of 20000 stay", left);
    for (uint64_t n = 0; n < left; n++)
        expect_first(n);
    cr_expect_eq(set.count, 0);
}

Test(name_set, a_few_names_are_not_halved)
{
    struct delayed_order from;
    put_shuffled(30);
    cr_expect_not(name_set_halve(&set, &from));
    cr_expect_eq(set.count, 30);
}
