/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Complaints: said in one form, counted, and the first of them kept for whoever has room for one.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "common/complaint.h"

static unsigned said;

static void hear(void *argument, const char *text)
{
    (void)argument;
    cr_assert_not_null(text);
    said++;
}

Test(complaint, the_first_is_kept_and_those_behind_it_are_counted)
{
    struct complaints complaints = {.say = hear};
    cr_assert_str_empty(complaints.first);
    complain(&complaints, "/etc/hosts.tab", 3, "id: " COMPLAINT_QUOTED ": expected a name", "a/b");
    complain(&complaints, "/etc/hosts.tab", 0, "cannot be read");
    cr_assert_str_eq(complaints.first, "/etc/hosts.tab:3: id: \"a/b\": expected a name");
    cr_assert_eq(complaints.count, 2);
    cr_assert_eq(said, 2);
}

Test(complaint, a_long_one_is_cut_where_it_is_kept)
{
    struct complaints complaints = {.say = hear};
    char path[2000];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    complain(&complaints, path, 0, "cannot be read");
    cr_assert_eq(strlen(complaints.first), sizeof(complaints.first) - 1);
}

Test(complaint, past_a_number_they_are_counted_and_not_said)
{
    struct complaints complaints = {.say = hear};
    for (unsigned i = 0; i < COMPLAINTS_SAID + 5; i++)
        complain(&complaints, "table", i + 1, "no");
    cr_assert_eq(complaints.count, COMPLAINTS_SAID + 5);
    cr_assert_eq(said, COMPLAINTS_SAID);
}
