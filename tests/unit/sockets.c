/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which sockets there should be, after the configuration; and the names of units.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "common/host_name.h"
#include "tests/unit/heard.h"
#include "units/lonc-hosts/dropins.h"
#include "units/lonc-hosts/sockets.h"

static struct hosts hosts;

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
    cr_assert(sockets_expect(&hosts, &config));
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

Test(sockets, each_host_of_the_table_is_wanted_at_its_paths)
{
    expect(s, ACTIVATION_PER_CONNECTION, "", three());
    cr_assert_eq(hosts.wanted, 3);
    cr_expect_eq(hosts.count, 3);
    cr_expect_not(hosts.incomplete);
    const struct host *host = sockets_find(&hosts, "msul2");
    cr_assert_not_null(host);
    cr_expect(host->wanted);
    cr_expect_eq(host->kind, ACTIVATION_PER_CONNECTION);
    cr_assert_eq(host->path_count, 2);
    cr_expect_str_eq(host->paths[0], "/s/msul2");
    cr_expect_str_eq(host->paths[1], "/s/msul2.edu");
    cr_expect_null(sockets_find(&hosts, "msul4"));
    cr_expect_null(sockets_find(&hosts, "msul2.edu"));
    sockets_free(&hosts);
}

Test(sockets, exceptions_are_served_the_other_way)
{
    static const char *const lists[] = {"msul1 msul3", "  msul3\tmsul1 ", "msul1 nobody msul3"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        for (enum activation usual = 0; usual < 2; usual++) {
            expect(s, usual, lists[i], three());
            cr_expect_eq(sockets_find(&hosts, "msul1")->kind, !usual, "%s", lists[i]);
            cr_expect_eq(sockets_find(&hosts, "msul2")->kind, usual, "%s", lists[i]);
            cr_expect_eq(sockets_find(&hosts, "msul3")->kind, !usual, "%s", lists[i]);
            sockets_free(&hosts);
        }
    expect(s, ACTIVATION_SHARED, "msul msul22", three());
    cr_expect_eq(sockets_find(&hosts, "msul2")->kind, ACTIVATION_SHARED, "a part of a name");
    sockets_free(&hosts);
}

/* A socket's path has 107 bytes at most: "/s/msul1.edu" has 12. */
Test(sockets, a_path_that_is_too_long_is_left_out_and_said)
{
    char directory[PATH_SIZE];
    memset(directory, 'd', sizeof(directory));
    directory[0] = '/';
    directory[PATH_SIZE - sizeof("/msul1.edu")] = '\0';
    expect(directory, ACTIVATION_PER_CONNECTION, "", three());
    cr_expect_not(hosts.incomplete);
    cr_expect_eq(hosts.list[0].path_count, 2);
    sockets_free(&hosts);

    cr_redirect_stderr();
    strcat(directory, "d");
    expect(directory, ACTIVATION_PER_CONNECTION, "", three());
    cr_expect(hosts.incomplete);
    cr_assert_eq(hosts.wanted, 3);
    cr_expect_eq(hosts.list[0].path_count, 1);
    sockets_free(&hosts);

    strcat(directory, "dddd");
    expect(directory, ACTIVATION_PER_CONNECTION, "", three());
    cr_expect(hosts.incomplete);
    cr_expect_eq(hosts.wanted, 0, "without a path a host has no socket");
    cr_expect_null(sockets_find(&hosts, "msul1"));
    sockets_free(&hosts);
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
    cr_assert(sockets_expect(&hosts, &config));
    hosttab_free(&table);
}

Test(sockets, one_more_is_where_lonnet_asks_for_them, .init = heard_begin, .fini = heard_end)
{
    expect_with_create("/t/common_parent", "msul1", "msul1.edu");
    cr_assert_eq(hosts.wanted, 2);
    cr_expect_not(hosts.incomplete);
    const struct host *host = sockets_find(&hosts, "common_parent");
    cr_assert_not_null(host);
    cr_expect(host->wanted);
    cr_expect_eq(host->kind, ACTIVATION_PER_CONNECTION, "an exception");
    cr_assert_eq(host->path_count, 1);
    cr_expect_str_eq(host->paths[0], "/t/common_parent");
    sockets_free(&hosts);
}

Test(sockets, there_is_none_where_a_host_has_its_name, .init = heard_begin, .fini = heard_end)
{
    static const char *const entries[][2] = {{"common_parent", "msul1.edu"},
                                             {"msul1", "Common_parent"}};
    for (size_t i = 0; i < 2; i++) {
        expect_with_create("/s/common_parent", entries[i][0], entries[i][1]);
        cr_assert_eq(hosts.wanted, 1);
        cr_expect_str_eq(hosts.list[0].id, entries[i][0]);
        cr_expect_eq(hosts.list[0].path_count, 2);
        sockets_free(&hosts);
    }
}

Test(sockets, a_path_that_it_cannot_have_is_said_and_costs_nothing_else, .init = heard_begin,
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
        cr_expect_not(hosts.incomplete);
        sockets_free(&hosts);
    }
    fflush(stderr);
    snprintf(said, sizeof(said),
             "lonc-hosts: lonSockCreate: \"%s\": %s\nlonc-hosts: lonSockCreate: \"%s\": %s\n"
             "lonc-hosts: lonSockCreate: \"%s\": expected a path that ends in " HOST_NAME_RULE "\n",
             paths[0], length, paths[1], length, paths[2]);
    cr_assert_stderr_eq_str(said);
}

/* --- The names of units ----------------------------------------------------------------------- */

static void expect_unit(const char *id, enum activation kind, const char *suffix,
                        const char *expected)
{
    struct host host = {.id = (char *)(uintptr_t)id};
    char name[UNIT_SIZE], back[UNIT_SIZE];
    sockets_unit_name(name, &host, kind, suffix);
    cr_expect_str_eq(name, expected);
    cr_assert(sockets_id_of(back, name, kind, suffix), "%s", name);
    cr_expect_str_eq(back, id);
}

Test(sockets, a_unit_is_named_after_its_host_and_tells_it)
{
    expect_unit("msul1", ACTIVATION_PER_CONNECTION, ".socket", "lonc-host-msul1.socket");
    expect_unit("s10-a.msu.edu", ACTIVATION_PER_CONNECTION, "@.service",
                "lonc-host-s10-a.msu.edu@.service");
    expect_unit("s10-a", ACTIVATION_SHARED, ".socket", "lonc-shared@s10-a.socket");
    expect_unit("a.socket", ACTIVATION_SHARED, ".service", "lonc-shared@a.socket.service");
}

Test(sockets, other_units_are_nobodys)
{
    static const char *const others[] = {
        "lonc-host-.socket", "lonc-host-.socket.d", "lonc-keeper.socket",    "lonc-shared@a.socket",
        "lonc-host-a",       "xlonc-host-a.socket", "lonc-host-a.socket.new"};
    char id[UNIT_SIZE];
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        cr_expect_not(sockets_id_of(id, others[i], ACTIVATION_PER_CONNECTION, ".socket"), "%s",
                      others[i]);
}

/* --- Drop-ins ------------------------------------------------------------------------------- */

static void expect_dead(const char *name, const char *expected)
{
    char why[600] = "";
    bool dead = dropins_is_dead(why, sizeof(why), &hosts, name);
    cr_expect_eq(dead, expected != NULL, "%s", name);
    if (dead && expected != NULL)
        cr_expect_str_eq(why, expected);
}

Test(sockets, drop_ins_that_nothing_reads_are_known)
{
    expect(s, ACTIVATION_SHARED, "msul2", three());
    expect_dead("lonc-host-msul1.socket.d", "msul1 is shared; lonc-shared@.socket.d has one");
    expect_dead("lonc-host-msul1@.service.d", "msul1 is shared; lonc-shared.service.d has one");
    expect_dead("lonc-shared@msul2.socket.d",
                "msul2 is served per connection; lonc-host-.socket.d has one");
    expect_dead("lonc-shared@.service.d",
                "there is one service for all hosts; lonc-shared.service.d has one");
    expect_dead("lonc-shared@msul1.service",
                "there is one service for all hosts; lonc-shared.service.d has one");
    static const char *const alive[] = {
        "lonc-host-msul2.socket.d", "lonc-host-msul2@.service.d", "lonc-shared@msul1.socket.d",
        "lonc-host-.socket.d",      "lonc-host-.service.d",       "lonc-shared@.socket.d",
        "lonc-shared.service.d",    "lonc-shared@msul1.socket",   "lonc-host-elsewhere.socket.d",
        "lonc-keeper.service.d"};
    for (size_t i = 0; i < sizeof(alive) / sizeof(*alive); i++)
        expect_dead(alive[i], NULL);
    sockets_free(&hosts);
    expect(s, ACTIVATION_SHARED, "", three());
    expect_dead("lonc-host-.service.d",
                "no host is served per connection; lonc-shared.service.d has one");
    expect_dead("lonc-host-.socket.d",
                "no host is served per connection; lonc-shared@.socket.d has one");
    sockets_free(&hosts);
}
