/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Complaints: said in one form, counted, and the first of them kept for whoever has room for one.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/diagnostics.h"

static unsigned said;

static void hear(void *argument, const char *text)
{
    (void)argument;
    cr_assert_not_null(text);
    said++;
}

Test(diagnostics, the_first_is_kept_and_those_behind_it_are_counted)
{
    struct diagnostics diagnostics = {.say = hear};
    cr_assert_str_empty(diagnostics.first);
    diagnostics_add(&diagnostics, "/etc/hosts.tab", 3, "id: " DIAGNOSTIC_QUOTED ": expected a name",
                    "a/b");
    diagnostics_add(&diagnostics, "/etc/hosts.tab", 0, "cannot be read");
    cr_assert_str_eq(diagnostics.first, "/etc/hosts.tab:3: id: \"a/b\": expected a name");
    cr_assert_eq(diagnostics.count, 2);
    cr_assert_eq(said, 2);
}

Test(diagnostics, a_long_one_is_cut_where_it_is_kept)
{
    struct diagnostics diagnostics = {.say = hear};
    char path[2000];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    diagnostics_add(&diagnostics, path, 0, "cannot be read");
    cr_assert_eq(strlen(diagnostics.first), sizeof(diagnostics.first) - 1);
}

Test(diagnostics, past_a_number_they_are_counted_and_not_said)
{
    struct diagnostics diagnostics = {.say = hear};
    for (unsigned i = 0; i < DIAGNOSTICS_REPORTED + 5; i++)
        diagnostics_add(&diagnostics, "table", i + 1, "no");
    cr_assert_eq(diagnostics.count, DIAGNOSTICS_REPORTED + 5);
    cr_assert_eq(said, DIAGNOSTICS_REPORTED);
}
