/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which sockets there should be: of a valid table, and without one.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "common/host_name.h"
#include "tests/unit/heard.h"
#include "units/lonc-hosts/expected.h"

static struct host_list hosts;

/* --- What there should be --------------------------------------------------------------------- */

static void expect(char *sock_dir, enum activation activation, const char *exceptions,
                   const struct hosttab *table)
{
    struct config config = {
        .settings = {.activation = activation,
                     .activation_exceptions = (char *)(uintptr_t)exceptions,
                     .socket_names = SOCKET_NAMES_BOTH},
        .loncapa = {.sock_dir = sock_dir},
        .table = *table,
        .valid = true,
    };
    host_list_init(&hosts);
    cr_assert_eq(expected_from_table(&hosts, &config), 0);
}

static char s[] = "/s";

static struct hosttab *three(void)
{
    static struct hosttab_entry entries[3];
    static char names[3][2][16];
    static struct hosttab table = {.entries = entries, .count = 3};
    for (int i = 0; i < 3; i++) {
        snprintf(names[i][0], 16, "msul%d", 3 - i);
        snprintf(names[i][1], 16, "msul%d.edu", 3 - i);
        entries[i] = (struct hosttab_entry){.id = names[i][0], .name = names[i][1]};
    }
    return &table;
}

Test(expected, each_host_of_the_table_is_wanted_at_its_paths)
{
    expect(s, ACTIVATION_PER_CONNECTION, "", three());
    cr_assert_eq(hosts.wanted, 3);
    cr_expect_eq(hosts.count, 3);
    cr_expect_not(hosts.has_unservable);
    const struct host *host = host_list_find(&hosts, "msul2");
    cr_assert_not_null(host);
    cr_expect(host->wanted);
    cr_expect_eq(host->kind, ACTIVATION_PER_CONNECTION);
    cr_assert_eq(host->path_count, 2);
    cr_expect_str_eq(host->paths[0], "/s/msul2");
    cr_expect_str_eq(host->paths[1], "/s/msul2.edu");
    cr_expect_null(host_list_find(&hosts, "msul4"));
    cr_expect_null(host_list_find(&hosts, "msul2.edu"));
    host_list_free(&hosts);
}

Test(expected, exceptions_are_served_the_other_way)
{
    static const char *const lists[] = {"msul1 msul3", "  msul3\tmsul1 ", "msul1 nobody msul3"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (enum activation usual = 0; usual < 2; usual++) {
            expect(s, usual, lists[i], three());
            cr_expect_eq(host_list_find(&hosts, "msul1")->kind, !usual, "%s", lists[i]);
            cr_expect_eq(host_list_find(&hosts, "msul2")->kind, usual, "%s", lists[i]);
            cr_expect_eq(host_list_find(&hosts, "msul3")->kind, !usual, "%s", lists[i]);
            host_list_free(&hosts);
        }
    expect(s, ACTIVATION_SHARED, "msul msul22", three());
    cr_expect_eq(host_list_find(&hosts, "msul2")->kind, ACTIVATION_SHARED, "a part of a name");
    host_list_free(&hosts);
}

/* A socket's path has 107 bytes at most: "/s/msul1.edu" has 12. */
Test(expected, a_path_that_is_too_long_is_left_out_and_said)
{
    char directory[PATH_SIZE];
    memset(directory, 'd', sizeof(directory));
    directory[0] = '/';
    directory[PATH_SIZE - sizeof("/msul1.edu")] = '\0';
    expect(directory, ACTIVATION_PER_CONNECTION, "", three());
    cr_expect_not(hosts.has_unservable);
    cr_expect_eq(hosts.list[0].path_count, 2);
    host_list_free(&hosts);

    cr_redirect_stderr();
    strcat(directory, "d");
    expect(directory, ACTIVATION_PER_CONNECTION, "", three());
    cr_expect(hosts.has_unservable);
    cr_assert_eq(hosts.wanted, 3);
    cr_expect_eq(hosts.list[0].path_count, 1);
    host_list_free(&hosts);

    strcat(directory, "dddd");
    expect(directory, ACTIVATION_PER_CONNECTION, "", three());
    cr_expect(hosts.has_unservable);
    cr_expect_eq(hosts.wanted, 0, "without a path a host has no socket");
    cr_expect_null(host_list_find(&hosts, "msul1"));
    host_list_free(&hosts);
}

/* --- Where lonnet asks for sockets ------------------------------------------------------------ */

static void expect_with_create(const char *path, const char *id, const char *name)
{
    struct hosttab table;
    char text[128];
    snprintf(text, sizeof(text), "%s:msu:library:%s\n", id, name);
    write_file("hosts.tab", text);
    cr_assert_eq(hosttab_load(&table, "hosts.tab", &heard), 0);
    snprintf(text, sizeof(text), "%s", path);
    struct config config = {.settings = {.activation = ACTIVATION_SHARED,
                                         .activation_exceptions = (char[]){"common_parent"},
                                         .socket_names = SOCKET_NAMES_BOTH},
                            .loncapa = {.sock_dir = s, .sock_create = text},
                            .table = table,
                            .valid = true};
    host_list_init(&hosts);
    cr_assert_eq(expected_from_table(&hosts, &config), 0);
    hosttab_free(&table);
}

Test(expected, one_more_is_where_lonnet_asks_for_them, .init = heard_begin, .fini = heard_end)
{
    expect_with_create("/t/common_parent", "msul1", "msul1.edu");
    cr_assert_eq(hosts.wanted, 2);
    cr_expect_not(hosts.has_unservable);
    const struct host *host = host_list_find(&hosts, "common_parent");
    cr_assert_not_null(host);
    cr_expect(host->wanted);
    cr_expect_eq(host->kind, ACTIVATION_PER_CONNECTION, "an exception");
    cr_assert_eq(host->path_count, 1);
    cr_expect_str_eq(host->paths[0], "/t/common_parent");
    host_list_free(&hosts);
}

Test(expected, there_is_none_where_a_host_has_its_name, .init = heard_begin, .fini = heard_end)
{
    static const char *const entries[][2] = {{"common_parent", "msul1.edu"},
                                             {"msul1", "Common_parent"}};
    for (size_t i = 0; i < 2; i++) {
        expect_with_create("/s/common_parent", entries[i][0], entries[i][1]);
        cr_assert_eq(hosts.wanted, 1);
        cr_expect_str_eq(hosts.list[0].id, entries[i][0]);
        cr_expect_eq(hosts.list[0].path_count, 2);
        host_list_free(&hosts);
    }
}

Test(expected, a_path_that_it_cannot_have_is_said_and_costs_nothing_else, .init = heard_begin,
     .fini = heard_end)
{
    char path[120];
    char said[1024];
    snprintf(path, sizeof(path), "/%0107d", 1);
    const char *const paths[] = {path, "common_parent", "/s/a b"};
    const char *const length = "expected an absolute path of up to 107 bytes";
    cr_redirect_stderr();
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        expect_with_create(paths[i], "msul1", "msul1.edu");
        cr_expect_eq(hosts.wanted, 1);
        cr_expect_not(hosts.has_unservable);
        host_list_free(&hosts);
    }
    fflush(stderr);
    snprintf(said, sizeof(said),
             "lonc-hosts: lonSockCreate: \"%s\": %s\nlonc-hosts: lonSockCreate: \"%s\": %s\n"
             "lonc-hosts: lonSockCreate: \"%s\": expected a path that ends in " HOST_NAME_RULE "\n",
             paths[0], length, paths[1], length, paths[2]);
    cr_assert_stderr_eq_str(said);
}

/* --- Without a valid table -------------------------------------------------------------------- */

static void add_found(const char *id, enum activation kind, enum unit_state state)
{
    struct host *host = host_list_add(&hosts, id);
    cr_assert_not_null(host);
    host->found.socket[kind] = state;
}

Test(expected, sockets_that_are_there_stay_as_they_are, .init = heard_begin, .fini = heard_end)
{
    const struct unit_files files = {.units = "."};
    host_list_init(&hosts);
    add_found("stopped", ACTIVATION_SHARED, UNIT_INACTIVE);
    add_found("shared", ACTIVATION_SHARED, UNIT_ACTIVE);
    add_found("single", ACTIVATION_PER_CONNECTION, UNIT_FAILED);
    add_found("fileless", ACTIVATION_SHARED, UNIT_ACTIVE);
    write_file("lonc-shared@stopped.socket", "ListenStream=/s/stopped\n");
    write_file("lonc-shared@shared.socket", "ListenStream=/s/shared\nListenStream=/s/dns\n");
    write_file("lonc-host-single.socket", "ListenStream=/s/single\n");
    expected_from_found(&hosts, &files);
    cr_expect_eq(hosts.count, 4);
    cr_assert_eq(hosts.wanted, 2);
    cr_expect_not(hosts.from_table);
    const struct host *host = host_list_find(&hosts, "shared");
    cr_assert_not_null(host);
    cr_expect_eq(host->kind, ACTIVATION_SHARED);
    cr_assert_eq(host->path_count, 2);
    cr_expect_str_eq(host->paths[1], "/s/dns");
    host = host_list_find(&hosts, "single");
    cr_assert_not_null(host);
    cr_expect_eq(host->kind, ACTIVATION_PER_CONNECTION);
    cr_expect_str_eq(host->paths[0], "/s/single");
    cr_expect_null(host_list_find(&hosts, "stopped"));
    cr_expect_null(host_list_find(&hosts, "fileless"), "nobody knows its paths");
    host_list_free(&hosts);
}
