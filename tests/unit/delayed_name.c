/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names in the deferred folder.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/host_name.h"
#include "keeper/deferred/delayed_name.h"

static const char *parse(const char *name)
{
    static struct delayed_order order;
    return delayed_parse_name(name, &order);
}

Test(delayed_name, a_name_is_epoch_count_anything_and_host)
{
    struct delayed_order order;
    const char *name = "1700000000.12.4711.putmsusmith.msul1";
    const char *host = delayed_parse_name(name, &order);
    cr_assert_not_null(host);
    cr_expect_eq(host, name + strlen(name) - 5, "the host points into the name");
    cr_expect_eq(order.epoch, 1700000000);
    cr_expect_eq(order.count, 12);
}

Test(delayed_name, the_host_is_what_follows_the_last_dot)
{
    cr_expect_str_eq(parse("1.2.3.a.b.c.msul1"), "msul1");
    cr_expect_str_eq(parse("1.2.msul1"), "msul1");
    cr_expect_str_eq(parse("1.2...msul1"), "msul1");
    cr_expect_str_eq(parse("1.2.3.put.ms_u-l1"), "ms_u-l1");
    cr_expect_str_eq(parse("1.2.3.put.4"), "4");
}

Test(delayed_name, numbers_are_numbers_whatever_their_length)
{
    struct delayed_order order;
    cr_assert_not_null(delayed_parse_name("0.0.1.x.h", &order));
    cr_expect(order.epoch == 0 && order.count == 0);
    cr_assert_not_null(delayed_parse_name("007.010.1.x.h", &order));
    cr_expect(order.epoch == 7 && order.count == 10);
    cr_assert_not_null(
        delayed_parse_name("18446744073709551615.18446744073709551615.1.x.h", &order));
    cr_expect(order.epoch == UINT64_MAX && order.count == UINT64_MAX);
}

Test(delayed_name, a_number_that_overflows_is_none)
{
    cr_expect_null(parse("18446744073709551616.1.1.x.h"));
    cr_expect_null(parse("1.18446744073709551616.1.x.h"));
    cr_expect_null(parse("99999999999999999999999999.1.1.x.h"));
}

Test(delayed_name, a_name_that_lacks_a_part_is_none)
{
    static const char *const names[] = {
        "",           ".",           "..",        "1",           "1.",
        "1.2",        "1.2.",        "msul1",     "a.b.c.d.e",   ".1.2.x.h",
        "1..2.h",     "1.x.1.put.h", "x.1.1.p.h", "-1.2.3.x.h",  "+1.2.3.x.h",
        " 1.2.3.x.h", "1 .2.3.x.h",  "1.-2.h",    "0x1.2.3.x.h", "1.2.3.x.",
        "1,2,3,x,h",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        cr_expect_null(parse(names[i]), "%s", names[i]);
}

Test(delayed_name, a_host_of_odd_characters_is_none)
{
    static const char *const names[] = {
        "1.2.3.x.ms ul1", "1.2.3.x.ms/ul1",  "1.2.3.x.ms\nul1", "1.2.3.x.ms\xc3\xa9",
        "1.2.3.x.h*",     "1.2.3.x.delayed", "1.2.3.x.a;b",     "1.2.3.x.$(x)",
        "1.2.3.x.h%s",    "1.2.3.x.h\x7f",   "1.2.3.x.h~",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        cr_expect_null(parse(names[i]), "%s", names[i]);
}

Test(delayed_name, a_host_of_any_length_does_no_harm)
{
    char name[5000] = "1.2.3.x.";
    memset(name + 8, 'h', sizeof(name) - 9);
    cr_expect_null(parse(name));
}

Test(delayed_name, its_own_folders_are_known_by_name)
{
    cr_expect(delayed_is_own("held"));
    cr_expect(delayed_is_own("rejected"));
    cr_expect(delayed_is_own("corrupt"));
    cr_expect(delayed_is_own("storing"));
    cr_expect_not(delayed_is_own("reject"));
    cr_expect_not(delayed_is_own("rejected2"));
    cr_expect_not(delayed_is_own(""));
    cr_expect_not(delayed_is_own("1700000000.1.4711.put.msul1"));
}
