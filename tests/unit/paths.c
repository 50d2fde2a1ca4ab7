/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Under which names each host of a table is reached, by each value of socket_names.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units/lonc-hosts/paths.h"

/* A table of "id=DNS name" words. */
static void make_table(struct hosttab *table, char *words)
{
    static struct hosttab_entry entries[8];
    *table = (struct hosttab){.entries = entries};
    for (char *word; (word = strsep(&words, " ")) != NULL;) {
        cr_assert_lt(table->count, sizeof(entries) / sizeof(*entries));
        struct hosttab_entry *entry = &entries[table->count++];
        entry->id = strsep(&word, "=");
        entry->name = word;
    }
}

/* What the table's hosts are reached as: the names of one with commas, the hosts with blanks. */
static void expect_names(const char *words, enum socket_names which, const char *expected)
{
    struct hosttab table;
    char copy[256], found[512] = "";
    cr_assert_lt(snprintf(copy, sizeof(copy), "%s", words), (int)sizeof(copy));
    make_table(&table, copy);
    struct path_names *names = paths_names(&table, which);
    cr_assert_not_null(names);
    for (size_t i = 0; i < table.count; i++) {
        size_t length = strlen(found);
        snprintf(found + length, sizeof(found) - length, "%s%s%s%s", i > 0 ? " " : "",
                 names[i].name[0] != NULL ? names[i].name[0] : "-",
                 names[i].name[1] != NULL ? "," : "",
                 names[i].name[1] != NULL ? names[i].name[1] : "");
    }
    free(names);
    cr_expect_str_eq(found, expected, "%s: %s, not %s", words, found, expected);
}

Test(paths, a_host_is_reached_by_its_id_its_name_or_both)
{
    expect_names("b=b.msu.edu a=a.msu.edu", SOCKET_NAMES_ID, "b a");
    expect_names("b=b.msu.edu a=a.msu.edu", SOCKET_NAMES_DNS, "b.msu.edu a.msu.edu");
    expect_names("b=b.msu.edu a=a.msu.edu", SOCKET_NAMES_BOTH, "b,b.msu.edu a,a.msu.edu");
}

Test(paths, a_name_that_several_ids_have_is_the_first_ones)
{
    expect_names("c=x.edu a=x.edu b=x.edu", SOCKET_NAMES_BOTH, "c,x.edu a b");
    expect_names("c=x.edu a=x.edu b=x.edu", SOCKET_NAMES_DNS, "x.edu - -");
    expect_names("c=x.edu a=y.edu b=x.edu d=y.edu", SOCKET_NAMES_BOTH, "c,x.edu a,y.edu b d");
}

Test(paths, names_are_compared_without_case_and_spelt_as_in_the_table)
{
    expect_names("b=X.Edu a=x.edu", SOCKET_NAMES_BOTH, "b,X.Edu a");
}

Test(paths, a_name_that_is_an_id_means_that_id)
{
    expect_names("a=b b=b.edu", SOCKET_NAMES_BOTH, "a b,b.edu");
    expect_names("a=b b=b.edu", SOCKET_NAMES_DNS, "- b.edu");
    expect_names("a=b b=b", SOCKET_NAMES_BOTH, "a b");
    expect_names("a=b b=b", SOCKET_NAMES_DNS, "- b");
}

Test(paths, a_host_whose_id_is_its_name_has_one_path)
{
    expect_names("a.edu=a.edu", SOCKET_NAMES_BOTH, "a.edu");
    expect_names("a.edu=a.edu", SOCKET_NAMES_DNS, "a.edu");
    expect_names("a.edu=a.edu", SOCKET_NAMES_ID, "a.edu");
}

/* Paths are told apart by case, and so are ids. */
Test(paths, an_id_in_other_letters_is_another_path)
{
    expect_names("a=B b=b.edu", SOCKET_NAMES_BOTH, "a,B b,b.edu");
}

Test(paths, no_path_is_given_twice_in_a_large_table)
{
    enum { COUNT = 5000 };
    static struct hosttab_entry entries[COUNT];
    static char ids[COUNT][16], dns[COUNT][16];
    struct hosttab table = {.entries = entries, .count = COUNT};
    for (int i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "h%d", (i * 7919) % COUNT);
        /* Three of a kind, and every tenth is the id of another. */
        snprintf(dns[i], sizeof(dns[i]), i % 10 == 0 ? "h%d" : "n%d", i / 3);
        entries[i] = (struct hosttab_entry){.id = ids[i], .name = dns[i]};
    }
    struct path_names *names = paths_names(&table, SOCKET_NAMES_BOTH);
    cr_assert_not_null(names);
    static bool seen[2][COUNT];
    size_t of_names = 0;
    for (int i = 0; i < COUNT; i++)
        for (int n = 0; n < PATHS_MAX && names[i].name[n] != NULL; n++) {
            const char *name = names[i].name[n];
            bool is_name = name[0] == 'n';
            bool *before = &seen[is_name][atoi(name + 1)];
            cr_assert_not(*before, "%s is there twice", name);
            *before = true;
            of_names += is_name;
        }
    free(names);
    cr_expect_eq(of_names, (COUNT + 2) / 3);
}
