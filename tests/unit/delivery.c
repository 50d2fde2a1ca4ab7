/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which file of a host is delivered next, which has to wait, and what follows a delivery. The host
 * is paused, so that it never asks for a file: the tests ask in its place, and answer for its lond.
 *
 * In one piece because every test needs that folder and that host.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keeper/deferred/delivery.h"
#include "keeper/host/hosts.h"
#include "tests/unit/heard.h"

#define ID "msul1"

/* More files than are looked at in one turn of the loop. */
#define MANY 3000

/* A pause is 1 ms here, so if nothing has come within this, nothing will. */
#define LONG UINT64_C(5000000)

static struct core core;
static struct config config;
static struct hosts hosts;
static struct folder folder;
static struct delivery delivery;
static char name[64];
static unsigned refills;

static void on_names_wanted(struct delivery *of)
{
    (void)of;
    refills++;
}

static void begin(void)
{
    struct host *host;
    heard_begin();
    signal(SIGIO, SIG_IGN);
    cr_assert_geq(loop_open(&core.loop), 0);
    scarcity_init(&core.scarcity, &core.loop, &core.settings.buffers_limit);
    core.config = &config;
    core.settings = (struct settings){
        .deferred_memory = 1 << 20,
        .deferred_arrivals = 100,
        .deferred_attempts = 3,
        .deferred_hold = 1000,
        .deferred_still = 1000,
        .deferred_retry = 1000,
        .deferred_pace = 1000,
        .deferred_empty_timeout = 200000,
        .deferred_write_timeout = 1000000,
        .retry_delay = 1000,
        .line_limit = 1024,
        .state_dir = (char *)(uintptr_t) "state",
        .runtime_dir = (char *)(uintptr_t) "run",
    };
    cr_assert_eq(hosts_open(&hosts, &core), 0);
    host = host_new(&hosts, ID);
    cr_assert_not_null(host);
    host->listed = true;
    host->paused = true;
    RB_INSERT(hosts_by_id, &hosts.by_id, host);
    static const struct delivery_events events = {.names_wanted = on_names_wanted};
    cr_assert_eq(folder_init(&folder, &core), 0);
    delivery_init(&delivery, &hosts, &folder, &events);
    cr_assert_eq(mkdir("delayed", 0700), 0);
    cr_assert_eq(mkdir("logs", 0700), 0);
    folder.path = strdup("delayed");
    folder.permlog_path = strdup("logs/lonnet.perm.log");
    cr_assert_eq(folder_open(&folder), 0);
}

static void end(void)
{
    folder_free(&folder);
    loop_close(&core.loop);
    heard_end();
}

TestSuite(delivery, .init = begin, .fini = end, .timeout = 60);

static struct backlog *backlog(void)
{
    struct backlog *there = backlogs_obtain(&delivery.backlogs, ID);
    cr_assert_not_null(there);
    return there;
}

static const char *name_of(unsigned n)
{
    snprintf(name, sizeof(name), "1700000000.%u.4711.put." ID, n);
    return name;
}

/* deferred_hold is 1 ms, so the file is old enough to be sent almost at once. */
static void write_named(unsigned n, const char *text)
{
    int fd = openat(folder.fd, name_of(n), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void put_name(unsigned n)
{
    backlog_put(backlog(), name_of(n));
}

static void put_file(unsigned n, const char *text)
{
    write_named(n, text);
    put_name(n);
}

/* A file that has just arrived. */
static struct file *put_new(unsigned n)
{
    write_named(n, "put\n");
    struct file *file = file_new(backlog(), name_of(n), strstr(name, ID), FILE_NEW);
    cr_assert_not_null(file);
    return file;
}

/* Asks for the next file, as the host would. NULL: none may be sent now. */
static struct transaction *next_now(void)
{
    struct background *background = &backlog()->sender.background;
    if (background->next == NULL)
        delivery_advance(backlog());
    return background->next != NULL ? background->next(background) : NULL;
}

/* Asks for the next file, and goes on asking while the backlog says that it will look again. */
static struct transaction *next(void)
{
    struct transaction *asked;
    while ((asked = next_now()) == NULL)
        cr_assert_gt(loop_turn(&core.loop, LONG), 0, "nothing more comes");
    return asked;
}

static void expect_next(const char *text)
{
    struct transaction *asked = next();
    cr_assert_eq(asked->length, strlen(text));
    cr_assert_arr_eq(asked->request, text, asked->length);
}

/* What its lond replies. */
static void answer_with(const char *text)
{
    struct buffer reply = {0};
    size_t length = strlen(text);
    cr_assert_eq(buffer_append(&reply, text, length), 0);
    struct transaction *asked = &backlog()->sender.transaction;
    asked->done(asked, REASON_NONE, &reply, length);
    buffer_free(&reply);
}

static void answer(void)
{
    answer_with("ok\n");
}

/* There is no reply. */
static void fail(enum reason reason)
{
    struct transaction *asked = &backlog()->sender.transaction;
    asked->done(asked, reason, NULL, 0);
}

static bool lies_there(unsigned n)
{
    return faccessat(folder.fd, name_of(n), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(delivery, files_are_sent_in_order_recorded_and_removed)
{
    put_file(10, "ten\n");
    put_file(9, "nine\n");
    expect_next("nine\n");
    cr_expect_null(next_now(), "one at a time");
    answer();
    cr_expect_not(lies_there(9));
    expect_next("ten\n");
    answer();
    cr_expect_eq(delivery.backlogs.waiting, 0);
    cr_expect_eq(access("logs/lonnet.perm.log", F_OK), 0);
}

Test(delivery, a_file_behind_names_of_gone_files_is_sent)
{
    for (unsigned n = 0; n < MANY; n++)
        put_name(n);
    put_file(MANY, "there\n");
    cr_expect_eq(delivery.backlogs.waiting, MANY + 1);
    expect_next("there\n");
    cr_expect_eq(delivery.backlogs.waiting, 1, "the others are counted no longer");
}

/* As if nobody had touched the file for a minute. */
static void let_age(unsigned n)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - 60}};
    cr_assert_eq(utimensat(folder.fd, name_of(n), times, 0), 0);
}

Test(delivery, a_file_in_its_first_seconds_holds_up_those_behind_it_and_no_others)
{
    core.settings.deferred_hold = 300000;
    put_file(1, "one\n");
    let_age(1);
    put_file(3, "three\n");
    let_age(3);
    put_new(2);
    expect_next("one\n");
    answer();
    cr_expect_null(next_now());
    expect_next("put\n");
    answer();
    expect_next("three\n");
}

Test(delivery, an_empty_file_holds_up_nobody_and_is_set_aside_at_last)
{
    put_file(1, "");
    put_file(2, "two\n");
    expect_next("two\n");
    cr_expect(lies_there(1));
    answer();
    while (lies_there(1)) {
        cr_assert_gt(loop_turn(&core.loop, LONG), 0);
        (void)next_now();
    }
    cr_expect_eq(access("delayed/corrupt/1700000000.1.4711.put." ID, F_OK), 0);
}

Test(delivery, a_file_that_is_being_written_holds_up_nobody_and_goes_as_a_whole)
{
    put_file(1, "half");
    int fd = openat(folder.fd, name_of(1), O_WRONLY | O_APPEND | O_CLOEXEC);
    put_file(2, "two\n");
    expect_next("two\n");
    answer();
    cr_assert_eq(write(fd, " and half\n", 10), 10);
    close(fd);
    expect_next("half and half\n");
}

Test(delivery, what_is_past_the_bound_of_memory_is_counted_and_not_sent_before_it_is_known)
{
    core.settings.deferred_memory = 4096;
    for (unsigned n = 1; n <= 500; n++)
        put_name(n);
    cr_expect(backlog()->unnamed > 0);
    cr_expect_eq(delivery.backlogs.waiting, 500);
    cr_expect_lt(backlog()->names.count, 300);
    size_t known = backlog()->names.count;
    put_name(501);
    cr_expect_eq(backlog()->names.count, known, "no name behind the horizon is kept");
    cr_expect_eq(delivery.backlogs.waiting, 501);
    struct file *file = put_new(600);
    file_enter(file, FILE_READY);
    while (refills == 0) {
        cr_assert_null(next_now());
        cr_assert_gt(loop_turn(&core.loop, LONG), 0);
    }
    cr_expect_eq(file->state, FILE_READY, "it waits for those that are not known");
}

Test(delivery, nothing_is_sent_that_could_not_be_recorded)
{
    put_file(1, "one\n");
    cr_assert_eq(mkdir("logs/lonnet.perm.log", 0700), 0);
    cr_expect_null(next_now());
    cr_expect(trouble_is_present(&core, TROUBLE_PERM_LOG));
    cr_assert_eq(rmdir("logs/lonnet.perm.log"), 0);
    expect_next("one\n");
    cr_expect_not(trouble_is_present(&core, TROUBLE_PERM_LOG));
}

Test(delivery, what_is_delivered_and_cannot_be_recorded_is_finished_by_the_next_keeper)
{
    put_file(1, "one\n");
    expect_next("one\n");
    cr_assert_eq(mkdir("logs/lonnet.perm.log", 0700), 0);
    answer();
    cr_expect(lies_there(1));
    cr_expect_eq(delivery.backlogs.count[FILE_DELIVERED], 1);
    cr_expect(trouble_is_present(&core, TROUBLE_DEFERRED));
    /* This keeper ends, in whatever way. */
    file_forget(backlogs_find_file(&delivery.backlogs, name_of(1)));
    cr_assert_eq(rmdir("logs/lonnet.perm.log"), 0);
    cr_assert_eq(fchmodat(folder.fd, name_of(1), 0640, 0), 0);
    completion_resume(&delivery.completion);
    cr_expect_not(lies_there(1));
    cr_expect_eq(delivery.backlogs.count[FILE_DELIVERED], 0);
    char line[256] = "";
    FILE *log = fopen("logs/lonnet.perm.log", "r");
    cr_assert_not_null(log);
    cr_expect_not_null(fgets(line, sizeof(line), log));
    cr_expect_not_null(strstr(line, ":S:" ID ":one:"), "%s", line);
    fclose(log);
}

Test(delivery, a_mark_is_no_reason_to_remove_another_file)
{
    put_file(1, "one\n");
    expect_next("one\n");
    cr_assert_eq(mkdir("logs/lonnet.perm.log", 0700), 0);
    answer();
    file_forget(backlogs_find_file(&delivery.backlogs, name_of(1)));
    cr_assert_eq(rmdir("logs/lonnet.perm.log"), 0);
    write_named(1, "two\n");
    completion_resume(&delivery.completion);
    cr_expect(lies_there(1));
    cr_expect_eq(delivery.backlogs.count[FILE_DELIVERED], 0);
}

/* --- What a reply means ----------------------------------------------------------------------- */

static void expect_text(const char *path, const char *text)
{
    char content[256] = "";
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is missing", path);
    content[fread(content, 1, sizeof(content) - 1, file)] = 0;
    fclose(file);
    cr_expect_str_eq(content, text);
}

static unsigned recorded(const char *letter)
{
    char line[256];
    unsigned count = 0;
    FILE *log = fopen("logs/lonnet.perm.log", "r");
    while (log != NULL && fgets(line, sizeof(line), log) != NULL)
        count += strstr(line, letter) != NULL;
    if (log != NULL)
        fclose(log);
    return count;
}

Test(delivery, a_rejected_file_is_set_aside_with_the_reply)
{
    static const char *const rejections[] = {"refused\n", "rejected\n", "error: no such user\n",
                                             "unknown_cmd\n"};
    char path[128];
    for (unsigned n = 0; n < sizeof(rejections) / sizeof(*rejections); n++) {
        put_file(n, "put:a\n");
        expect_next("put:a\n");
        answer_with(rejections[n]);
        cr_expect_not(lies_there(n));
        snprintf(path, sizeof(path), "delayed/rejected/%s", name_of(n));
        expect_text(path, "put:a\n");
        strcat(path, ".reply");
        expect_text(path, rejections[n]);
    }
    cr_expect_eq(recorded(":S:"), 0);
    cr_expect_eq(delivery.backlogs.waiting, 0);
}

Test(delivery, any_other_reply_means_that_it_was_executed)
{
    static const char *const replies[] = {"\n", "ok\n", "refusedly\n", "con_lost_not\n",
                                          "no error\n"};
    for (unsigned n = 0; n < sizeof(replies) / sizeof(*replies); n++) {
        put_file(n, "put:a\n");
        expect_next("put:a\n");
        answer_with(replies[n]);
        cr_expect_not(lies_there(n));
    }
    cr_expect_eq(recorded(":S:"), 5);
}

Test(delivery, after_con_lost_the_same_file_is_next_again)
{
    put_file(1, "one\n");
    put_file(2, "two\n");
    expect_next("one\n");
    answer_with("con_lost\n");
    cr_expect_null(next_now(), "not without a pause");
    cr_expect(lies_there(1));
    expect_next("one\n");
    fail(REASON_DEAD);
    expect_next("one\n");
    answer();
    expect_next("two\n");
    answer();
    cr_expect_eq(recorded(":S:"), 2);
}

Test(delivery, a_file_that_costs_several_connections_lets_others_go_first)
{
    put_file(1, "one\n");
    put_file(2, "two\n");
    for (unsigned i = 0; i < core.settings.deferred_attempts; i++) {
        expect_next("one\n");
        fail(REASON_LOST);
    }
    expect_next("two\n");
    answer();
    expect_next("one\n");
    cr_expect_eq(backlog_oldest(backlog()), 1700000000,
                 "its age is known although its order is not");
    answer();
}

Test(delivery, failures_that_are_not_its_fault_cost_a_file_nothing)
{
    put_file(1, "one\n");
    put_file(2, "two\n");
    for (unsigned i = 0; i < 3 * core.settings.deferred_attempts; i++) {
        expect_next("one\n");
        fail(REASON_DEAD);
    }
    expect_next("one\n");
}

/* --- What others do meanwhile ----------------------------------------------------------------- */

Test(delivery, a_file_that_was_replaced_while_it_was_sent_stays_and_goes_later)
{
    put_file(1, "one\n");
    expect_next("one\n");
    cr_assert_eq(unlinkat(folder.fd, name_of(1), 0), 0);
    write_named(1, "another\n");
    answer();
    cr_expect(lies_there(1));
    cr_expect_eq(recorded(":S:"), 1);
    expect_next("another\n");
    answer();
    cr_expect_not(lies_there(1));
    cr_expect_eq(recorded(":S:"), 2);
}

Test(delivery, a_file_that_was_removed_while_it_was_sent_is_recorded_all_the_same)
{
    put_file(1, "one\n");
    expect_next("one\n");
    struct file *file = backlogs_find_file(&delivery.backlogs, name_of(1));
    cr_assert_eq(unlinkat(folder.fd, name, 0), 0);
    delivery_vanished(file);
    cr_assert_eq(delivery.backlogs.count[FILE_SENDING], 1);
    answer();
    cr_expect_eq(recorded(":S:"), 1);
    cr_expect_eq(delivery.backlogs.waiting, 0);
}

Test(delivery, a_file_that_changes_again_and_again_does_not_hold_up_others_for_good)
{
    core.settings.deferred_hold = 300000; /* far longer than it takes to touch the file again */
    put_file(2, "two\n");
    cr_assert_geq(loop_turn(&core.loop, 0), 0); /* brings the loop's clock up to date */
    struct file *file = put_new(1);
    uint64_t begun = core.loop.now;
    while (file->state == FILE_NEW && core.loop.now - begun < LONG) {
        cr_assert_null(next_now());
        delivery_touched(file);
        (void)loop_turn(&core.loop, 100);
    }
    cr_expect_eq(file->state, FILE_WAITING);
    cr_expect_geq(core.loop.now - begun, core.settings.deferred_hold);
    expect_next("two\n");
}

Test(delivery, what_is_postponed_is_tried_at_once_when_an_administrator_says_so)
{
    core.settings.deferred_retry = LONG;
    put_file(1, "one\n");
    struct file *file = backlog_take_first(backlog());
    cr_assert_not_null(file);
    file_postpone(file, "is at fault", EIO);
    cr_expect(trouble_is_present(&core, TROUBLE_DEFERRED));
    cr_expect_null(next_now());
    delivery_flush(backlog());
    expect_next("one\n");
    cr_expect_not(trouble_is_present(&core, TROUBLE_DEFERRED));
}

Test(delivery, nothing_is_sent_while_suspended)
{
    put_file(1, "one\n");
    delivery_suspend(&delivery, true);
    cr_expect_null(next_now());
    delivery_suspend(&delivery, false);
    expect_next("one\n");
}

/* --- Marks ------------------------------------------------------------------------------------ */

static void put_in_the_way(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
}

Test(delivery, nothing_more_is_sent_while_marks_cannot_be_written)
{
    put_in_the_way("state");
    put_in_the_way("run");
    put_file(1, "one\n");
    put_file(2, "two\n");
    expect_next("one\n");
    cr_assert_eq(mkdir("logs/lonnet.perm.log", 0700), 0);
    answer();
    cr_expect(delivery.completion.unmarked);
    cr_expect_null(next_now());
    cr_assert_eq(unlink("run"), 0);
    uint64_t begun = core.loop.now;
    while (delivery.completion.unmarked && core.loop.now - begun < LONG)
        cr_assert_geq(loop_turn(&core.loop, LONG), 0);
    cr_expect_not(delivery.completion.unmarked, "they are not tried again");
    cr_expect(lies_there(1), "which says nothing about the log");
    cr_assert_eq(rmdir("logs/lonnet.perm.log"), 0);
    expect_next("two\n");
    cr_expect_not(lies_there(1), "and what was delivered is completed");
}
