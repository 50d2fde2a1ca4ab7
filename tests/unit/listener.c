/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A listener, over real sockets, in a process that really may have no more descriptors.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "common/unix.h"
#include "keeper/net/listener.h"

#define MS UINT64_C(1000)

/* Nothing here takes as long as this unless it does not come at all. */
#define LONG (5000 * MS)

static struct loop loop;
static struct listener listener;
static char folder[] = "/tmp/lonc-listener-XXXXXX";
static char path[sizeof(folder) + 8];
static int accepted; /* what listener_accept said last */
static unsigned asked;

static void on_ready(struct listener *ready)
{
    cr_assert_eq(ready, &listener);
    asked++;
    accepted = listener_accept(ready);
    listener_want(ready, ready->wanted); /* as owners say it whenever something may have changed */
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    cr_assert_geq(loop_open(&loop), 0);
    int fd = unix_listen(path, SOCK_STREAM);
    cr_assert_geq(fd, 0);
    listener_open(&listener, &loop, fd, "a socket", on_ready);
}

static void end(void)
{
    listener_close(&listener);
    loop_close(&loop);
    unlink(path);
    rmdir(folder);
}

TestSuite(listener, .init = begin, .fini = end, .timeout = 20);

static void come(void)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(unix_address(&address, path), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "%m");
}

/* Turns until somebody has been asked for, or for so long. Whether so. */
static bool turn_until_asked(uint64_t time)
{
    unsigned before = asked;
    uint64_t end_time = monotonic_now() + time;
    for (uint64_t now; asked == before && (now = monotonic_now()) < end_time;)
        cr_assert_geq(loop_turn(&loop, end_time - now), 0);
    return asked != before;
}

/* No descriptor can be had beyond those that are. */
static void take_descriptors(void)
{
    int next = dup(listener.fd);
    cr_assert_geq(next, 0);
    close(next);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)next;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void give_descriptors(void)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

Test(listener, who_comes_is_accepted_while_somebody_is_wanted)
{
    come();
    cr_assert_not(turn_until_asked(20 * MS), "before anybody is wanted");
    listener_want(&listener, true);
    cr_assert(turn_until_asked(LONG));
    cr_assert_geq(accepted, 0);
    listener_want(&listener, false);
    come();
    cr_assert_not(turn_until_asked(20 * MS), "when nobody is wanted any more");
    listener_want(&listener, true);
    cr_assert(turn_until_asked(LONG));
    cr_assert_geq(accepted, 0);
}

Test(listener, when_nobody_is_there_it_goes_on_watching)
{
    listener_want(&listener, true);
    cr_assert_eq(listener_accept(&listener), -EAGAIN);
    cr_assert_not(listener_is_pausing(&listener));
    come();
    cr_assert(turn_until_asked(LONG));
    cr_assert_geq(accepted, 0);
}

/* Nothing of this process will come free, so nothing tells when there is a descriptor again. */
Test(listener, without_descriptors_it_is_tried_again_after_a_while_and_not_at_once)
{
    listener_want(&listener, true);
    come();
    take_descriptors();
    cr_assert(turn_until_asked(LONG));
    cr_assert_eq(accepted, -EMFILE);
    cr_assert(listener_is_pausing(&listener));
    uint64_t first = monotonic_now();
    for (unsigned times = 2; times <= 4; times++) {
        cr_assert(turn_until_asked(LONG));
        cr_assert_eq(accepted, -EMFILE);
        cr_assert_geq(monotonic_now() - first, (times - 1) * 100 * MS, "asked %u times", times);
    }
    give_descriptors();
    cr_assert(turn_until_asked(LONG));
    cr_assert_geq(accepted, 0);
    cr_assert_not(listener_is_pausing(&listener));
}

/* Which the kernel says before it looks who is there: the owner hears of the end all the same. */
Test(listener, without_descriptors_the_owner_is_called_again_though_nobody_has_come)
{
    listener_want(&listener, true);
    take_descriptors();
    cr_assert_eq(listener_accept(&listener), -EMFILE);
    give_descriptors();
    cr_assert(turn_until_asked(LONG));
    cr_assert_eq(accepted, -EAGAIN);
    cr_assert_not(listener_is_pausing(&listener));
    cr_assert_not(turn_until_asked(150 * MS));
}

Test(listener, who_is_no_longer_wanted_after_a_pause_is_not_asked_for)
{
    listener_want(&listener, true);
    come();
    take_descriptors();
    cr_assert(turn_until_asked(LONG));
    listener_want(&listener, false);
    give_descriptors();
    cr_assert_not(turn_until_asked(150 * MS));
    listener_want(&listener, true);
    cr_assert(turn_until_asked(LONG));
    cr_assert_geq(accepted, 0);
}
