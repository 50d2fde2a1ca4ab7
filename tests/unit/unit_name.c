/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of hosts' units.
 */
#include <criterion/criterion.h>

#include "units/lonc-hosts/unit_name.h"

static void expect_unit(const char *id, enum activation kind, const char *suffix,
                        const char *expected)
{
    char name[UNIT_SIZE], back[UNIT_SIZE];
    unit_name_make(name, id, kind, suffix);
    cr_expect_str_eq(name, expected);
    cr_assert(unit_name_is_of(back, name, kind, suffix), "%s", name);
    cr_expect_str_eq(back, id);
}

Test(unit_name, a_unit_is_named_after_its_host_and_tells_it)
{
    expect_unit("msul1", ACTIVATION_PER_CONNECTION, ".socket", "lonc-host-msul1.socket");
    expect_unit("s10-a.msu.edu", ACTIVATION_PER_CONNECTION, "@.service",
                "lonc-host-s10-a.msu.edu@.service");
    expect_unit("s10-a", ACTIVATION_SHARED, ".socket", "lonc-shared@s10-a.socket");
    expect_unit("a.socket", ACTIVATION_SHARED, ".service", "lonc-shared@a.socket.service");
}

Test(unit_name, other_units_are_nobodys)
{
    static const char *const others[] = {
        "lonc-host-.socket", "lonc-host-.socket.d", "lonc-keeper.socket",    "lonc-shared@a.socket",
        "lonc-host-a",       "xlonc-host-a.socket", "lonc-host-a.socket.new"};
    char id[UNIT_SIZE];
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        cr_expect_not(unit_name_is_of(id, others[i], ACTIVATION_PER_CONNECTION, ".socket"), "%s",
                      others[i]);
}
