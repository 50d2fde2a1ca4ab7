/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A backlog whose shelf begins with names of files that are gone, as a scan leaves them there that
 * runs while files are delivered. What is behind them must be offered to the host all the same,
 * without an event of the folder. The host is paused, so that nothing is sent.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keeper/backlog.h"
#include "keeper/hosts.h"

#define ID "msul1"

/* More than a shelf is asked for at once, and more than are looked at in a turn of the loop. */
#define SOME 100
#define MANY 3000

/* A pause is 1 ms here: no turn takes as long as this unless nothing comes at all. */
#define LONG UINT64_C(5000000)

static struct service service;
static struct hosts hosts;
static struct backlogs all;
static struct backlog *backlog;
static char folder[] = "/tmp/lonc-backlog-XXXXXX";
static char last[64];

static void no_refill(struct backlogs *of)
{
    (void)of;
}

static void begin(void)
{
    struct host *host;
    cr_assert_geq(loop_open(&service.loop), 0);
    service.settings.deferred_memory = 1 << 20;
    service.settings.retry_delay = 1000;
    hosts_setup(&hosts, &service);
    service.hosts = &hosts;
    host = host_new(&service, ID);
    cr_assert_not_null(host);
    host->listed = true;
    host->paused = true;
    RB_INSERT(hosts_by_id, &hosts.by_id, host);
    backlogs_setup(&all, &service, no_refill);
    cr_assert_not_null(mkdtemp(folder));
    all.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(all.folder, 0);
    backlog = backlog_need(&all, ID);
    cr_assert_not_null(backlog);
}

static void end(void)
{
    unlinkat(all.folder, last, 0);
    close(all.folder);
    rmdir(folder);
    loop_close(&service.loop);
}

TestSuite(backlog, .init = begin, .fini = end, .timeout = 60);

/* So many names of files that are gone, and behind them one whose file is there. */
static void shelve(unsigned gone)
{
    struct spool_order order;
    for (unsigned n = 0; n <= gone; n++) {
        snprintf(last, sizeof(last), "1700000000.%u.4711.put." ID, n);
        cr_assert_not_null(spool_parse_name(last, &order));
        backlog_shelve(backlog, last, &order);
    }
    int fd = openat(all.folder, last, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    backlog_count(backlog, gone + 1);
}

static bool is_offered(void)
{
    return backlog->host->background == &backlog->background;
}

/* Only the file that is there is left. */
static void check_left(void)
{
    cr_expect_eq(backlog->ready_count, 1);
    cr_expect_eq(backlog->shelf.count, 0);
    cr_expect_eq(backlog->count, 1);
    cr_expect_not_null(backlog_find_file(&all, last));
}

Test(backlog, a_file_behind_names_of_gone_files_is_offered_at_once)
{
    shelve(SOME);
    backlog_pump(backlog);
    cr_assert(is_offered());
    check_left();
}

Test(backlog, a_file_behind_more_of_them_than_a_turn_takes_is_offered_after_pauses)
{
    shelve(MANY);
    backlog_pump(backlog);
    cr_expect_not(is_offered(), "%d names are too few for this test", MANY);
    while (!is_offered())
        cr_assert_gt(loop_turn(&service.loop, LONG), 0, "nobody comes back, and %zu names are left",
                     backlog->shelf.count);
    check_left();
}
