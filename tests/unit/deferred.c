/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue as a whole, in a real folder with inotify and a real loop. The test plays the
 * host: it takes what the queue offers, and answers for the host's lond.
 *
 * In one piece because every test needs that folder and that host.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "keeper/deferred/backlog.h"
#include "keeper/deferred/deferred.h"
#include "keeper/host/hosts.h"
#include "tests/unit/heard.h"

#define ID    "msul1"
#define OTHER "msul2"

/* How long a file is left alone, in microseconds. */
#define HOLD UINT64_C(50000)

/* What does not come within this does not come at all. */
#define LONG UINT64_C(5000000)

static struct core core;
static struct config config;
static struct hosts hosts;
static struct deferred *deferred;
static char directory[PATH_MAX];

static struct host *add_host(const char *id)
{
    struct host *host = host_new(&hosts, id);
    cr_assert_not_null(host);
    host->listed = true;
    host->paused = true;
    RB_INSERT(hosts_by_id, &hosts.by_id, host);
    return host;
}

static struct host *host, *other;

static void begin(void)
{
    heard_begin();
    signal(SIGIO, SIG_IGN);
    cr_assert_geq(loop_open(&core.loop), 0);
    scarcity_init(&core.scarcity, &core.loop, &core.settings.buffers_limit);
    cr_assert_not_null(getcwd(directory, sizeof(directory))); /* paths are watched from the root */
    config.loncapa.sock_dir = config.loncapa.daemons = directory;
    core.config = &config;
    core.settings = (struct settings){
        .deferred_memory = 1 << 20,
        .deferred_arrivals = 100,
        .deferred_attempts = 3,
        .deferred_hold = HOLD,
        .deferred_still = 1000,
        .deferred_retry = 20000,
        .deferred_pace = 1000,
        .deferred_poll = LONG,
        .deferred_empty_timeout = LONG,
        .deferred_write_timeout = LONG,
        .retry_delay = 1000,
        .line_limit = 1024,
        .state_dir = (char *)(uintptr_t) "state",
        .runtime_dir = (char *)(uintptr_t) "run",
    };
    cr_assert_eq(hosts_open(&hosts, &core), 0);
    host = add_host(ID);
    other = add_host(OTHER);
    cr_assert_eq(mkdir("logs", 0700), 0);
    cr_assert_eq(mkdir("delayed", 0700), 0);
    deferred = deferred_new(&hosts);
    cr_assert_not_null(deferred);
}

static void end(void)
{
    deferred_free(deferred);
    loop_close(&core.loop);
    heard_end();
}

TestSuite(deferred, .init = begin, .fini = end, .timeout = 60);

/* --- Helpers ---------------------------------------------------------------------------------- */

static const char *name_of(unsigned n, const char *id)
{
    static char name[64];
    snprintf(name, sizeof(name), "1700000000.%u.4711.put.%s", n, id);
    return name;
}

static const char *path_of(unsigned n)
{
    static char path[128];
    snprintf(path, sizeof(path), "delayed/%s", name_of(n, ID));
    return path;
}

/* Its content is "put:" and the number. */
static void write_numbered(unsigned n)
{
    char text[32];
    snprintf(text, sizeof(text), "put:%u\n", n);
    write_file(path_of(n), text);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The next file that the queue has for the host, or NULL after `wait` microseconds. */
static struct transaction *next_within(struct host *of, uint64_t wait)
{
    struct transaction *transaction = NULL;
    uint64_t begun = monotonic_now(), now = begun;
    while (now - begun < wait) {
        struct background *background = of->background;
        if (background != NULL && (transaction = background->next(background)) != NULL)
            break;
        cr_assert_geq(loop_turn(&core.loop, begun + wait - now), 0);
        now = monotonic_now();
    }
    return transaction;
}

static struct transaction *expect_next(unsigned n)
{
    char text[32];
    snprintf(text, sizeof(text), "put:%u\n", n);
    struct transaction *transaction = next_within(host, LONG);
    cr_assert_not_null(transaction, "file %u does not come", n);
    cr_assert_eq(transaction->length, strlen(text));
    cr_assert_arr_eq(transaction->request, text, transaction->length, "not file %u", n);
    return transaction;
}

static void answer(struct transaction *transaction, const char *text)
{
    struct buffer reply = {0};
    size_t length = strlen(text);
    cr_assert_eq(buffer_append(&reply, text, length), 0);
    transaction->done(transaction, REASON_NONE, &reply, length);
    buffer_free(&reply);
}

static void deliver(unsigned n)
{
    answer(expect_next(n), "ok\n");
    cr_expect_not(is_there(path_of(n)), "file %u is removed", n);
}

/* Turns until so many files are known to wait. */
static void await_count(size_t count)
{
    uint64_t begun = monotonic_now();
    while (deferred_count(deferred) != count && monotonic_now() - begun < LONG)
        cr_assert_geq(loop_turn(&core.loop, 10000), 0);
    cr_assert_eq(deferred_count(deferred), count, "%zu files are known", deferred_count(deferred));
}

/* Starts the queue and lets it read the folder to its end. */
static void start(size_t count)
{
    deferred_reload(deferred);
    await_count(count);
    while (!deferred_of(deferred, host).exact)
        cr_assert_geq(loop_turn(&core.loop, 10000), 0);
}

static const char *log_text(void)
{
    static char text[4096];
    FILE *file = fopen("logs/lonnet.perm.log", "r");
    size_t length = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[length] = '\0';
    if (file != NULL)
        fclose(file);
    return text;
}

/* --- How files become known ------------------------------------------------------------------- */

Test(deferred, what_lies_there_at_the_start_is_delivered_in_order)
{
    for (unsigned n = 12; n > 7; n--)
        write_numbered(n);
    start(5);
    cr_expect_eq(deferred_of(deferred, host).count, 5);
    cr_expect_eq(deferred_of(deferred, host).oldest, 1700000000);
    cr_expect_eq(deferred_of(deferred, other).count, 0);
    for (unsigned n = 8; n <= 12; n++)
        deliver(n);
    cr_expect_eq(deferred_count(deferred), 0);
}

Test(deferred, what_arrives_is_noticed_and_left_alone_at_first)
{
    start(0);
    uint64_t begun = monotonic_now();
    write_numbered(1);
    await_count(1);
    struct transaction *first = expect_next(1);
    cr_expect_geq(monotonic_now() - begun, HOLD);
    answer(first, "ok\n");
    cr_expect_not_null(strstr(log_text(), ":S:" ID ":put:1:"));
}

Test(deferred, a_file_that_arrives_waits_for_those_that_arrived_before_it)
{
    start(0);
    write_numbered(1);
    cr_assert_geq(loop_turn(&core.loop, LONG), 0);
    write_numbered(2);
    deliver(1);
    deliver(2);
}

Test(deferred, each_host_has_its_own_files)
{
    write_file("delayed/1700000000.1.4711.put." OTHER, "put:other\n");
    write_numbered(2);
    start(2);
    struct transaction *others = next_within(other, LONG);
    cr_assert_not_null(others);
    cr_expect_arr_eq(others->request, "put:other\n", others->length);
    deliver(2);
    answer(others, "ok\n");
    cr_expect_eq(deferred_count(deferred), 0);
}

Test(deferred, a_file_that_somebody_removes_is_counted_no_longer_and_counted_again_when_it_is_back)
{
    write_numbered(1);
    write_numbered(2);
    start(2);
    cr_assert_eq(unlink(path_of(1)), 0);
    await_count(1);
    write_numbered(1);
    await_count(2);
    deliver(1);
    deliver(2);
    cr_expect_null(next_within(host, 2 * HOLD), "nothing is sent twice");
}

Test(deferred, a_file_that_is_known_and_written_again_is_counted_once)
{
    write_numbered(1);
    start(1);
    write_numbered(1);
    write_numbered(2);
    await_count(2);
    cr_assert_geq(loop_turn(&core.loop, HOLD / 2), 0); /* no event is left */
    cr_expect_eq(deferred_count(deferred), 2);
    deliver(1);
    deliver(2);
    cr_expect_eq(deferred_count(deferred), 0);
}

Test(deferred, what_the_keeper_removes_is_told_from_what_others_remove)
{
    for (unsigned n = 1; n <= 3; n++)
        write_numbered(n);
    start(3);
    deliver(1);
    cr_assert_eq(unlink(path_of(2)), 0);
    await_count(1);
    deliver(3);
}

Test(deferred, a_file_that_is_held_is_not_sent_until_it_is_released)
{
    char held[128];
    write_numbered(1);
    start(1);
    cr_assert_eq(mkdir("delayed/held", 0700), 0);
    snprintf(held, sizeof(held), "delayed/held/%s", name_of(1, ID));
    cr_assert_eq(rename(path_of(1), held), 0);
    await_count(0);
    cr_expect_null(next_within(host, 2 * HOLD));
    cr_assert_eq(rename(held, path_of(1)), 0);
    deliver(1);
}

Test(deferred, more_files_than_names_fit_in_memory_are_all_delivered_in_order)
{
    core.settings.deferred_memory = 4096;
    for (unsigned n = 1; n <= 200; n++)
        write_numbered(n);
    start(200);
    for (unsigned n = 1; n <= 200; n++)
        deliver(n);
    await_count(0);
}

Test(deferred, what_is_no_transaction_or_for_no_known_host_stays)
{
    write_file("delayed/README", "text\n");
    write_file("delayed/1700000000.1.4711.put.nowhere", "put:1\n");
    write_numbered(2);
    start(1);
    deliver(2);
    cr_expect(is_there("delayed/README"));
    cr_expect(is_there("delayed/1700000000.1.4711.put.nowhere"));
}

/* --- Which folder ----------------------------------------------------------------------------- */

Test(deferred, the_folder_that_the_path_leads_to_counts)
{
    write_numbered(1);
    write_numbered(2);
    start(2);
    cr_assert_eq(mkdir("new", 0700), 0);
    write_file("new/1700000000.3.4711.put." ID, "put:3\n");
    cr_assert_eq(rename("delayed", "old"), 0);
    cr_assert_eq(rename("new", "delayed"), 0);
    await_count(1);
    deliver(3);
    cr_expect(is_there("old/1700000000.1.4711.put." ID));
    await_count(0);
}

Test(deferred, a_file_that_is_with_its_lond_is_finished_in_the_folder_it_is_in)
{
    write_numbered(1);
    start(1);
    struct transaction *first = expect_next(1);
    cr_assert_eq(mkdir("new", 0700), 0);
    write_file("new/1700000000.2.4711.put." ID, "put:2\n");
    cr_assert_eq(rename("delayed", "old"), 0);
    cr_assert_eq(rename("new", "delayed"), 0);
    while (loop_turn(&core.loop, 2 * HOLD) > 0)
        continue;
    answer(first, "ok\n");
    cr_expect_not(is_there("old/1700000000.1.4711.put." ID));
    deliver(2);
}

Test(deferred, a_folder_that_is_missing_is_created)
{
    cr_assert_eq(rmdir("delayed"), 0);
    start(0);
    cr_expect(is_there("delayed"));
    cr_expect_not_null(deferred_folder(deferred));
}

Test(deferred, a_folder_that_was_moved_away_is_created_anew_after_a_while)
{
    uint64_t begun = monotonic_now();
    start(0);
    cr_assert_eq(rename("delayed", "old"), 0);
    while (deferred_folder(deferred) != NULL)
        cr_assert_gt(loop_turn(&core.loop, LONG), 0);
    cr_expect_not(is_there("delayed"), "somebody may be about to put another in its place");
    while (!is_there("delayed") && monotonic_now() - begun < LONG)
        cr_assert_geq(loop_turn(&core.loop, 10000), 0);
    cr_assert(is_there("delayed"));
    write_numbered(1);
    deliver(1);
}

Test(deferred, a_folder_that_cannot_be_opened_is_a_trouble_until_it_can)
{
    cr_assert_eq(rmdir("delayed"), 0);
    write_file("delayed", "no folder\n");
    deferred_reload(deferred);
    cr_expect_null(deferred_folder(deferred));
    cr_expect(trouble_is_present(&core, TROUBLE_FOLDER));
    cr_assert_eq(unlink("delayed"), 0);
    cr_assert_eq(mkdir("delayed", 0700), 0);
    write_numbered(1);
    deliver(1);
    cr_expect_not(trouble_is_present(&core, TROUBLE_FOLDER));
}

/* --- The table, and the end ------------------------------------------------------------------- */

Test(deferred, files_of_a_host_that_has_left_the_table_are_forgotten_and_stay_on_disk)
{
    write_numbered(1);
    start(1);
    host->listed = false;
    RB_REMOVE(hosts_by_id, &hosts.by_id, host);
    deferred_reload(deferred);
    await_count(0);
    cr_expect(is_there(path_of(1)));
}

Test(deferred, a_file_that_has_just_arrived_is_forgotten_with_its_host)
{
    start(0);
    write_numbered(1);
    await_count(1);
    host->listed = false;
    RB_REMOVE(hosts_by_id, &hosts.by_id, host);
    deferred_reload(deferred);
    await_count(0);
    cr_expect(is_there(path_of(1)));
}

static void count_call(void *argument)
{
    ++*(unsigned *)argument;
}

Test(deferred, a_drain_waits_for_the_file_that_is_with_its_lond)
{
    unsigned quiet = 0;
    write_numbered(1);
    start(1);
    struct transaction *first = expect_next(1);
    deferred_drain(deferred, count_call, &quiet);
    cr_expect_eq(quiet, 0);
    answer(first, "ok\n");
    cr_expect_eq(quiet, 1);
}

Test(deferred, a_drain_of_an_idle_queue_is_over_at_once)
{
    unsigned quiet = 0;
    start(0);
    deferred_drain(deferred, count_call, &quiet);
    cr_expect_eq(quiet, 1);
}

/* --- Storing for clients ---------------------------------------------------------------------- */

struct stored {
    unsigned times;
    bool stored;
};

static void on_stored(void *argument, bool stored)
{
    struct stored *result = argument;
    result->times++;
    result->stored = stored;
}

static void await_stored(const struct stored *result)
{
    uint64_t begun = monotonic_now();
    while (result->times == 0 && monotonic_now() - begun < LONG)
        cr_assert_geq(loop_turn(&core.loop, 10000), 0);
    cr_assert_eq(result->times, 1);
}

Test(deferred, what_a_client_defers_is_stored_recorded_and_then_delivered)
{
    struct stored result = {0};
    start(0);
    deferred_enqueue(deferred, ID, "put:7\n", 6, on_stored, &result);
    await_stored(&result);
    cr_expect(result.stored);
    cr_expect_not_null(strstr(log_text(), ":D:" ID ":put:7:"));
    answer(expect_next(7), "ok\n");
    cr_expect_not_null(strstr(log_text(), ":S:" ID ":put:7:"));
    await_count(0);
}

Test(deferred, what_cannot_be_stored_is_told_and_recorded)
{
    struct stored result = {0};
    start(0);
    write_file("delayed/storing", "in the way\n");
    deferred_enqueue(deferred, ID, "put:7\n", 6, on_stored, &result);
    await_stored(&result);
    cr_expect_not(result.stored);
    cr_expect_not_null(strstr(log_text(), ":F:" ID ":put:7:"));
    await_count(0);
}

Test(deferred, whoever_waits_for_storing_is_told_when_the_keeper_ends)
{
    struct stored result = {0};
    start(0);
    deferred_enqueue(deferred, ID, "put:7\n", 6, on_stored, &result);
    deferred_free(deferred);
    deferred = NULL;
    cr_expect_eq(result.times, 1);
    cr_expect(result.stored);
}
