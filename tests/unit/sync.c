/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lonc-hosts does about each state of the sockets, in which order: as a dry run says it.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "units/lonc-hosts/sync.h"

#define PER_CONNECTION ACTIVATION_PER_CONNECTION
#define SHARED         ACTIVATION_SHARED

static struct host list[4];
static struct host_list hosts;

static void begin(void)
{
    hosts = (struct host_list){.list = list};
    static const char *const names[OWN_UNITS] = {
        [OWN_CHANNEL] = "lonc-keeper.socket",
        [OWN_CONTROL] = "lonc-keeper-control.socket",
        [OWN_KEEPER] = "lonc-keeper.service",
        [OWN_TARGET] = "lonc.target",
        [OWN_SHIM] = "lonc-shared.service",
        "a.timer",
        "b.timer",
        "a.path",
        "b.path",
        "a.socket",
    };
    for (size_t i = 0; i < OWN_UNITS; i++)
        hosts.own[i] =
            (struct own_unit){.name = names[i], .state = UNIT_ACTIVE, .path_alive = true};
    memset(list, 0, sizeof(list));
    cr_redirect_stdout();
}

TestSuite(sync, .init = begin, .timeout = 30);

/* A host that is served as it should be. */
static struct host *add(char *id, enum activation kind)
{
    struct host *host = &list[hosts.count++];
    *host = (struct host){.id = id, .wanted = true, .kind = kind, .found.paths_alive = true};
    host->found.socket[kind] = UNIT_ACTIVE;
    hosts.wanted = hosts.count;
    return host;
}

/* What is not in the table is behind what is. */
static struct host *add_stray(char *id)
{
    struct host *host = &list[hosts.count++];
    *host = (struct host){.id = id};
    return host;
}

static void expect_steps(const char *expected)
{
    struct sync sync = {.dry_run = true};
    unsigned lines = 0;
    sync_stop_sockets(&sync, &hosts);
    puts("(units are written)");
    sync_start_sockets(&sync, &hosts);
    fflush(stdout);
    for (const char *c = expected; *c != '\0'; c++)
        lines += *c == '\n';
    cr_expect_eq(sync.done, lines - 1);
    cr_expect_eq(sync.failed, 0);
    cr_assert_stdout_eq_str(expected);
}

static char a[] = "a", b[] = "b";

Test(sync, where_all_is_right_there_is_nothing_to_do)
{
    add(a, PER_CONNECTION);
    add(b, SHARED);
    expect_steps("(units are written)\n");
}

Test(sync, a_new_host_is_started)
{
    add(a, PER_CONNECTION)->found.socket[PER_CONNECTION] = UNIT_INACTIVE;
    add(b, SHARED)->found.socket[SHARED] = UNIT_INACTIVE;
    expect_steps("(units are written)\n"
                 "start lonc-host-a.socket\n"
                 "start lonc-shared@b.socket\n");
}

Test(sync, a_socket_that_failed_is_started)
{
    add(a, PER_CONNECTION)->found.socket[PER_CONNECTION] = UNIT_FAILED;
    expect_steps("(units are written)\n"
                 "start lonc-host-a.socket: it had failed\n");
}

Test(sync, a_path_that_is_gone_is_made_again)
{
    add(a, PER_CONNECTION)->found.paths_alive = false;
    expect_steps("(units are written)\n"
                 "restart lonc-host-a.socket: its path was gone\n");
}

/* systemd restarts no socket whose service runs. */
Test(sync, a_shared_socket_is_stopped_first_and_started_with_all_that_are)
{
    add(a, SHARED)->found.paths_alive = false;
    add(b, SHARED);
    expect_steps("stop lonc-shared@a.socket: its path was gone\n"
                 "(units are written)\n"
                 "start lonc-shared@a.socket: its path was gone\n");
}

Test(sync, changed_paths_stop_a_socket_before_its_unit_is_written)
{
    add(a, PER_CONNECTION)->found.moved[PER_CONNECTION] = true;
    add(b, SHARED)->found.moved[SHARED] = true;
    expect_steps("stop lonc-host-a.socket: its paths have changed\n"
                 "stop lonc-shared@b.socket: its paths have changed\n"
                 "(units are written)\n"
                 "start lonc-host-a.socket: its paths have changed\n"
                 "start lonc-shared@b.socket: its paths have changed\n");
}

/* Starting the one stops the other (Conflicts=), so that the gap is short. */
Test(sync, switching_starts_the_other_kind)
{
    struct host *host = add(a, SHARED);
    host->found.socket[SHARED] = UNIT_INACTIVE;
    host->found.socket[PER_CONNECTION] = UNIT_ACTIVE;
    host = add(b, PER_CONNECTION);
    host->found.socket[PER_CONNECTION] = UNIT_INACTIVE;
    host->found.socket[SHARED] = UNIT_ACTIVE;
    expect_steps("(units are written)\n"
                 "start lonc-host-b.socket: it was shared\n"
                 "start lonc-shared@a.socket: it was served per connection\n");
}

/* The path that it leaves may be another host's by now. */
Test(sync, switching_with_changed_paths_stops_first)
{
    struct host *host = add(a, SHARED);
    host->found.socket[SHARED] = UNIT_INACTIVE;
    host->found.socket[PER_CONNECTION] = UNIT_ACTIVE;
    host->found.moved[PER_CONNECTION] = true;
    expect_steps("stop lonc-host-a.socket: its paths have changed\n"
                 "(units are written)\n"
                 "start lonc-shared@a.socket: it was served per connection\n");
}

Test(sync, both_kinds_at_once_are_one_too_many)
{
    add(a, PER_CONNECTION)->found.socket[SHARED] = UNIT_ACTIVE;
    expect_steps("(units are written)\n"
                 "stop lonc-shared@a.socket: it is served the other way\n");
}

Test(sync, what_is_not_wanted_is_stopped_before_anything_is_started)
{
    add(a, PER_CONNECTION)->found.socket[PER_CONNECTION] = UNIT_INACTIVE;
    struct host *stray = add_stray(b);
    stray->found.socket[SHARED] = UNIT_ACTIVE;
    stray->found.socket[PER_CONNECTION] = UNIT_FAILED;
    expect_steps("forget lonc-host-b.socket: no longer needed\n"
                 "stop lonc-shared@b.socket: no longer needed\n"
                 "(units are written)\n"
                 "start lonc-host-a.socket\n");
}

/* The one that takes over has the sockets before they leave. */
Test(sync, after_an_upgrade_a_shim_for_each_host_is_relieved)
{
    add(a, SHARED)->found.old_shim = true;
    add_stray(b)->found.old_shim = true;
    expect_steps("(units are written)\n"
                 "start lonc-shared.service: it replaces the shims of single hosts\n"
                 "stop lonc-shared@a.service: replaced by the shared shim\n"
                 "stop lonc-shared@b.service: replaced by the shared shim\n");
}

Test(sync, batches_take_as_long_as_clients_may_wait)
{
    cr_expect_eq(sync_next_batch(16, 80000), 16);
    cr_expect_eq(sync_next_batch(16, 20000), 64);
    cr_expect_eq(sync_next_batch(100, 1000000), 8);
    cr_expect_eq(sync_next_batch(1, 2000000), 1, "one is the least");
    cr_expect_eq(sync_next_batch(512, 1), SYNC_BATCH_MAX);
    cr_expect_eq(sync_next_batch(16, 0), SYNC_BATCH_MAX, "where nothing is measured");
}

static void stop(struct own_unit *unit, enum unit_state state)
{
    unit->state = state;
    unit->at_rest = true;
}

/* A restart of the channel restarts the keeper, which has the old one. */
Test(sync, the_keepers_own_sockets_are_only_mended)
{
    hosts.own[OWN_CHANNEL].path_alive = false;
    stop(&hosts.own[OWN_CONTROL], UNIT_FAILED);
    hosts.own[OWN_CONTROL].path_alive = false;
    expect_steps("(units are written)\n"
                 "restart lonc-keeper.socket: its path was gone\n"
                 "restart lonc-keeper-control.socket: it had failed\n");
}

Test(sync, a_control_socket_that_the_keeper_made_itself_will_do)
{
    stop(&hosts.own[OWN_CONTROL], UNIT_FAILED);
    expect_steps("(units are written)\n");
}

/* A restart would stop the keeper once a minute. */
Test(sync, where_a_folder_is_in_the_way_nothing_is_restarted)
{
    stop(&hosts.own[OWN_CONTROL], UNIT_FAILED);
    hosts.own[OWN_CONTROL].path_alive = false;
    hosts.own[OWN_CONTROL].path_blocked = true;
    struct sync sync = {.dry_run = true};
    sync_start_sockets(&sync, &hosts);
    cr_expect_eq(sync.done, 0);
    cr_expect_eq(sync.failed, 1);
}

Test(sync, keepers_sockets_that_were_stopped_stay_stopped)
{
    for (size_t i = 0; i < OWN_SOCKETS; i++) {
        stop(&hosts.own[i], UNIT_INACTIVE);
        hosts.own[i].path_alive = false;
    }
    expect_steps("(units are written)\n");
}

Test(sync, what_failed_is_started_whatever_it_is)
{
    for (size_t i = 0; i < OWN_UNITS; i++)
        stop(&hosts.own[i], UNIT_FAILED);
    hosts.own[OWN_CONTROL].path_alive = false;
    expect_steps("(units are written)\n"
                 "restart lonc-keeper.socket: it had failed\n"
                 "restart lonc-keeper-control.socket: it had failed\n"
                 "start lonc-keeper.service: it had failed\n"
                 "start lonc.target: it had failed\n"
                 "start lonc-shared.service: it had failed\n"
                 "start a.timer: it had failed\n"
                 "start b.timer: it had failed\n"
                 "start a.path: it had failed\n"
                 "start b.path: it had failed\n"
                 "start a.socket: it had failed\n");
}

Test(sync, a_timer_that_was_stopped_or_masked_is_left_alone)
{
    stop(&hosts.own[OWN_UNITS - 1], UNIT_INACTIVE);
    stop(&hosts.own[OWN_UNITS - 2], UNIT_FAILED);
    hosts.own[OWN_UNITS - 2].masked = true;
    expect_steps("(units are written)\n");
}

Test(sync, a_keeper_that_is_down_is_started_while_the_target_is_up)
{
    stop(&hosts.own[OWN_KEEPER], UNIT_INACTIVE);
    expect_steps("(units are written)\n"
                 "start lonc-keeper.service: it was down\n");
}

Test(sync, a_keeper_that_is_being_stopped_is_left_alone)
{
    stop(&hosts.own[OWN_KEEPER], UNIT_INACTIVE);
    hosts.own[OWN_KEEPER].at_rest = false;
    expect_steps("(units are written)\n");
}

Test(sync, a_masked_keeper_is_left_alone)
{
    stop(&hosts.own[OWN_KEEPER], UNIT_INACTIVE);
    hosts.own[OWN_KEEPER].masked = true;
    expect_steps("(units are written)\n");
}

Test(sync, without_the_target_a_keeper_stays_down)
{
    stop(&hosts.own[OWN_KEEPER], UNIT_INACTIVE);
    stop(&hosts.own[OWN_TARGET], UNIT_INACTIVE);
    expect_steps("(units are written)\n");
}
