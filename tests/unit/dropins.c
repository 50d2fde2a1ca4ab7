/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which drop-ins for hosts' units have lost their effect.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <sys/stat.h>

#include "units/lonc-hosts/dropins.h"
#include "tests/unit/heard.h"

static struct host_list hosts;

/* msul1 is shared, msul2 has the given kind. */
static void make_hosts(enum activation kind)
{
    host_list_init(&hosts);
    for (int i = 0; i < 2; i++) {
        struct host *host = host_list_add(&hosts, i == 0 ? "msul1" : "msul2");
        cr_assert_not_null(host);
        host->wanted = true;
        host->kind = i == 0 ? ACTIVATION_SHARED : kind;
    }
    host_list_sort(&hosts);
}

static void expect_dead(const char *name, const char *expected)
{
    char why[600] = "";
    bool dead = dropins_is_dead(why, sizeof(why), &hosts, name);
    cr_expect_eq(dead, expected != NULL, "%s", name);
    if (dead && expected != NULL)
        cr_expect_str_eq(why, expected);
}

Test(dropins, a_drop_in_of_a_host_that_is_served_the_other_way_is_dead)
{
    make_hosts(ACTIVATION_PER_CONNECTION);
    expect_dead("lonc-host-msul1.socket.d", "msul1 is shared; lonc-shared@.socket.d has one");
    expect_dead("lonc-host-msul1@.service.d", "msul1 is shared; lonc-shared.service.d has one");
    expect_dead("lonc-shared@msul2.socket.d",
                "msul2 is served per connection; lonc-host-.socket.d has one");
    host_list_free(&hosts);
}

Test(dropins, a_drop_in_of_a_shim_for_one_host_is_dead)
{
    make_hosts(ACTIVATION_PER_CONNECTION);
    expect_dead("lonc-shared@.service.d",
                "there is one service for all hosts; lonc-shared.service.d has one");
    expect_dead("lonc-shared@msul1.service",
                "there is one service for all hosts; lonc-shared.service.d has one");
    host_list_free(&hosts);
}

Test(dropins, a_drop_in_of_all_hosts_is_dead_when_no_host_is_served_that_way)
{
    make_hosts(ACTIVATION_SHARED);
    expect_dead("lonc-host-.service.d",
                "no host is served per connection; lonc-shared.service.d has one");
    expect_dead("lonc-host-.socket.d",
                "no host is served per connection; lonc-shared@.socket.d has one");
    expect_dead("lonc-shared@.socket.d", NULL);
    host_list_free(&hosts);
}

Test(dropins, a_drop_in_that_systemd_reads_is_not_dead)
{
    static const char *const alive[] = {
        "lonc-host-msul2.socket.d", "lonc-host-msul2@.service.d", "lonc-shared@msul1.socket.d",
        "lonc-host-.socket.d",      "lonc-host-.service.d",       "lonc-shared@.socket.d",
        "lonc-shared.service.d",    "lonc-shared@msul1.socket",   "lonc-host-elsewhere.socket.d",
        "lonc-keeper.service.d"};
    make_hosts(ACTIVATION_PER_CONNECTION);
    for (size_t i = 0; i < sizeof(alive) / sizeof(*alive); i++)
        expect_dead(alive[i], NULL);
    host_list_free(&hosts);
}

Test(dropins, each_dead_one_of_a_folder_is_reported, .init = heard_begin, .fini = heard_end)
{
    make_hosts(ACTIVATION_PER_CONNECTION);
    cr_assert_eq(mkdir("folder", 0755), 0);
    cr_assert_eq(mkdir("folder/lonc-host-msul1.socket.d", 0755), 0);
    cr_assert_eq(mkdir("folder/lonc-host-msul2.socket.d", 0755), 0);
    cr_redirect_stderr();
    dropins_report_folder(&hosts, "folder");
    dropins_report_folder(&hosts, "nowhere");
    fflush(stderr);
    cr_assert_stderr_eq_str("lonc-hosts: folder/lonc-host-msul1.socket.d: without effect, since "
                            "msul1 is shared; lonc-shared@.socket.d has one\n");
    host_list_free(&hosts);
}
