/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A host and its lond, over real TCP: how requests get to connections, what ends a reply, how the
 * pool grows, and what a lost connection means.
 *
 * In one piece because every test needs that host and the lond that the test plays.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/host/hosts.h"
#include "keeper/lond/londs.h"
#include "tests/unit/played_lond.h"

#define ID "msul1"

#define SECONDS   UINT64_C(1000000)
#define REQUESTS  16
#define LINE_SIZE 64

static struct core core;
static struct config *config;
static struct hosts hosts;
static struct host *host;
static struct hosttab_entry entry;

/* A request, and its answer. */
static struct asked {
    struct transaction transaction;
    char line[LINE_SIZE];
    bool done;
    enum reason reason;
    char reply[LINE_SIZE];
} asked[REQUESTS];

static struct config *new_config(void)
{
    struct config *made = calloc(1, sizeof(*made));
    cr_assert_not_null(made);
    made->references = 1;
    made->valid = true;
    made->loncapa.host_id = strdup("own1");
    made->loncapa.lond_port = lond_port();
    made->loncapa.allow_insecure = true;
    return made;
}

static void begin(void)
{
    cr_assert_eq(cipher_initialize(), 0);
    cr_assert_geq(loop_open(&core.loop), 0);
    scarcity_init(&core.scarcity, &core.loop, &core.settings.buffers_limit);
    lond_listens(&core.loop);
    config = core.config = new_config();
    core.settings = (struct settings){
        .log_level = LOG_ERR,
        .connections_per_host = 10,
        .queue_per_host = REQUESTS,
        .queue_total = REQUESTS,
        .failures_until_dead = 2,
        .retry_delay = 1000,
        .probe_min = 3600 * SECONDS,
        .probe_max = 3600 * SECONDS,
        .dead_reminder = 3600 * SECONDS,
        .line_limit = 256 * 1024,
        .buffers_limit = 64 << 20,
        .turn_bytes = 1 << 20,
        .connect_timeout = 60 * SECONDS,
        .handshake_timeout = 60 * SECONDS,
        .reply_timeout = 60 * SECONDS,
        .queue_timeout = 60 * SECONDS,
        .request_timeout = 60 * SECONDS,
        .connection_idle_timeout = 60 * SECONDS,
        .unacknowledged_timeout = 60 * SECONDS,
        .keepalive_idle = 60 * SECONDS,
        .keepalive_interval = 10 * SECONDS,
        .keepalive_count = 3,
    };
    core.descriptors_max = 1000;
    core.memory_limit.name = core.descriptor_limit.name = "test";
    buffers_set_limit(64 << 20);
    log_open("unit-tests", LOG_TARGET_STDERR, LOG_ERR, LOG_JOURNAL_SOCKET);
    stats_init(&core.stats, core.loop.now);
    cr_assert_eq(hosts_open(&hosts, &core), 0);
    londs_use_credentials(&hosts.londs, calloc(1, sizeof(struct credentials)));
    cr_assert_not_null(hosts.londs.credentials);
    entry = (struct hosttab_entry){.id = (char *)(uintptr_t)ID,
                                   .name = (char *)(uintptr_t) "msul1.example.edu",
                                   .has_address = true,
                                   .address.s_addr = htonl(INADDR_LOOPBACK)};
    host = host_new(&hosts, ID);
    cr_assert_not_null(host);
    RB_INSERT(hosts_by_id, &hosts.by_id, host);
    cr_assert_eq(host_configure(host, &entry), 0);
    host_hold(host);
}

/* Nothing is left of whatever a test did. */
static void end(void)
{
    core.stopping = true;
    hosts_stop(&hosts);
    hosts_abandon(&hosts);
    hosts_close(&hosts);
    cr_expect_eq(core.descriptors, 0);
    cr_expect_eq(buffers_used(), 0);
    loop_close(&core.loop);
    config_unref(core.config);
}

TestSuite(host, .init = begin, .fini = end, .timeout = 60);

/* --- Helpers ---------------------------------------------------------------------------------- */

static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length)
{
    struct asked *one = CONTAINER_OF(transaction, struct asked, transaction);
    cr_assert_not(one->done, "answered twice");
    one->done = true;
    one->reason = reason;
    if (reply == NULL)
        return;
    size_t kept = length < sizeof(one->reply) ? length : sizeof(one->reply) - 1;
    memcpy(one->reply, reply->data + reply->start, kept);
}

static struct asked *ask(unsigned i, const char *line)
{
    struct asked *one = &asked[i];
    *one = (struct asked){.done = false};
    snprintf(one->line, sizeof(one->line), "%s", line);
    one->transaction =
        (struct transaction){.request = one->line, .length = strlen(one->line), .done = on_done};
    host_submit(host, &one->transaction);
    return one;
}

static void expect_reply(struct asked *one, const char *reply)
{
    turn_until(&core.loop, &one->done);
    cr_expect_eq(one->reason, REASON_NONE, "%s", reason_word(one->reason));
    cr_expect_str_eq(one->reply, reply);
}

static void expect_con_lost(struct asked *one, enum reason reason)
{
    turn_until(&core.loop, &one->done);
    cr_expect_str_eq(reason_word(one->reason), reason_word(reason));
}

/* A connection that has answered one request, and is idle. */
static int connection(void)
{
    struct asked *one = ask(REQUESTS - 1, "hello\n");
    int fd = lond_accepts();
    lond_greets(fd, ID);
    lond_hears(fd, "hello\n");
    lond_says(fd, "there\n");
    expect_reply(one, "there\n");
    cr_assert_eq(host->pool_count[POOL_IDLE], 1);
    return fd;
}

/* Until what lond said, or its close, can be read at the idle connection. */
static void await_at_keeper(void)
{
    struct pollfd wanted = {.fd = LIST_FIRST(&host->pool[POOL_IDLE])->watch.fd, .events = POLLIN};
    cr_assert_eq(poll(&wanted, 1, 10000), 1);
}

static void kill_host(void)
{
    struct asked *one;
    lond_refuses();
    one = ask(0, "ping\n");
    expect_con_lost(one, REASON_DEAD);
    cr_assert_eq(host->health.state, HEALTH_DEAD);
}

/* --- Requests and replies --------------------------------------------------------------------- */

Test(host, a_request_waits_for_the_handshake_and_is_answered)
{
    struct asked *one = ask(0, "ping\n");
    cr_expect_eq(host->queued, 1);
    cr_expect_not(host_has_connected(host));
    int fd = lond_accepts();
    lond_greets(fd, ID);
    lond_hears(fd, "ping\n");
    cr_expect_eq(host->queued, 0);
    lond_says(fd, "pong\n");
    expect_reply(one, "pong\n");
    cr_expect(host_has_connected(host));
    cr_expect_str_eq(host_lond_version(host), "$Revision: 1.500 $");
    close(fd);
}

Test(host, an_idle_connection_is_used_again)
{
    int fd = connection();
    for (unsigned i = 0; i < 3; i++) {
        struct asked *one = ask(0, "ping\n");
        lond_hears(fd, "ping\n");
        lond_says(fd, "pong\n");
        expect_reply(one, "pong\n");
    }
    cr_expect_not(lond_has_caller());
    close(fd);
}

Test(host, a_reply_ends_at_its_lf_and_not_before)
{
    int fd = connection();
    struct asked *one = ask(0, "ping\n");
    lond_hears(fd, "ping\n");
    lond_says(fd, "po");
    turn_quiet(&core.loop);
    cr_expect_not(one->done);
    lond_says(fd, "ng\n");
    expect_reply(one, "pong\n");
    close(fd);
}

Test(host, what_stands_behind_a_reply_is_no_other_requests_reply)
{
    int fd = connection();
    struct asked *one = ask(0, "ping\n");
    lond_hears(fd, "ping\n");
    lond_says(fd, "pong\nforged\n");
    expect_reply(one, "pong\n");
    lond_hears_end(fd);
    cr_expect_eq(host->pool_count[POOL_IDLE], 0);
}

Test(host, an_idle_peer_that_speaks_or_leaves_is_not_asked)
{
    int fd = connection();
    lond_says(fd, "forged\n");
    await_at_keeper(); /* the loop does not turn, so it has not noticed when the request comes */
    struct asked *one = ask(0, "ping\n");
    lond_hears_end(fd);
    fd = lond_accepts();
    lond_greets(fd, ID);
    lond_hears(fd, "ping\n");
    lond_says(fd, "pong\n");
    expect_reply(one, "pong\n");
    close(fd);
    await_at_keeper();
    one = ask(0, "again\n");
    fd = lond_accepts();
    lond_greets(fd, ID);
    lond_hears(fd, "again\n");
    lond_says(fd, "pong\n");
    expect_reply(one, "pong\n");
    close(fd);
}

Test(host, a_reply_that_is_too_large_is_dropped_and_its_connection_lives)
{
    int fd = connection();
    struct asked *one = ask(0, "ping\n");
    lond_hears(fd, "ping\n");
    lond_says_bytes(fd, 'x', core.settings.line_limit + 100);
    expect_con_lost(one, REASON_TOO_LARGE);
    cr_expect_eq(host->pool_count[POOL_BUSY], 1, "busy until the rest has come");
    lond_says_bytes(fd, 'x', 100000);
    lond_says(fd, "\n");
    one = ask(1, "more\n");
    lond_hears(fd, "more\n");
    lond_says(fd, "pong\n");
    expect_reply(one, "pong\n");
    close(fd);
}

Test(host, a_long_reply_comes_whole)
{
    int fd = connection();
    struct asked *one = ask(0, "dump\n");
    lond_hears(fd, "dump\n");
    lond_says_bytes(fd, 'x', core.settings.line_limit - 1);
    lond_says(fd, "\n");
    turn_until(&core.loop, &one->done);
    cr_expect_eq(one->reason, REASON_NONE);
    close(fd);
}

Test(host, the_buffer_of_a_reply_may_be_taken_away)
{
    int fd = connection();
    cr_expect_not_null(hosts.londs.spare.data, "the one before was given back");
    struct asked *one = ask(0, "ping\n");
    lond_hears(fd, "ping\n");
    lond_says(fd, "pong\n");
    expect_reply(one, "pong\n");
    cr_expect_eq(buffer_length(&hosts.londs.spare), 0);
    close(fd);
}

/* --- Lost connections ------------------------------------------------------------------------- */

Test(host, a_request_that_was_sent_is_never_sent_again)
{
    int fd = connection();
    struct asked *one = ask(0, "put\n");
    lond_hears(fd, "put\n");
    close(fd);
    expect_con_lost(one, REASON_LOST);
    turn_quiet(&core.loop);
    cr_expect_not(lond_has_caller(), "and nothing is to be sent");
}

Test(host, a_request_that_waits_outlives_a_failed_handshake)
{
    struct asked *one = ask(0, "put\n");
    int fd = lond_accepts();
    lond_hears(fd, "init\n");
    lond_says(fd, "refused\n");
    lond_hears_end(fd);
    cr_expect_not(one->done);
    cr_expect_eq(host->health.state, HEALTH_FAILING);
    fd = lond_accepts();
    lond_greets(fd, ID);
    lond_hears(fd, "put\n");
    lond_says(fd, "ok\n");
    expect_reply(one, "ok\n");
    close(fd);
}

Test(host, a_client_that_leaves_takes_its_request_back_only_from_the_queue)
{
    struct asked *first = ask(0, "first\n"), *second = ask(1, "second\n");
    cr_expect(host_withdraw(&second->transaction));
    int fd = lond_accepts();
    lond_greets(fd, ID);
    lond_hears(fd, "first\n");
    cr_expect_not(host_withdraw(&first->transaction));
    lond_says(fd, "ok\n");
    expect_reply(first, "ok\n");
    cr_expect_not(second->done);
    close(fd);
}

/* --- Bounds and health ------------------------------------------------------------------------ */

Test(host, past_a_full_queue_the_answer_comes_at_once)
{
    core.settings.queue_per_host = 2;
    struct asked *first = ask(0, "a\n"), *second = ask(1, "b\n"), *third = ask(2, "c\n");
    cr_expect(third->done);
    cr_expect_eq(third->reason, REASON_QUEUE_FULL);
    cr_expect_not(first->done);
    cr_expect(host_withdraw(&second->transaction));
    cr_expect_not(ask(3, "d\n")->done, "there is room again");
}

Test(host, all_queues_together_have_a_bound)
{
    core.settings.queue_total = 1;
    ask(0, "a\n");
    cr_expect_eq(ask(1, "b\n")->reason, REASON_QUEUE_FULL);
    cr_expect(hosts.queue_limit.reached);
}

Test(host, a_dead_host_answers_at_once)
{
    kill_host();
    struct asked *one = ask(1, "ping\n");
    cr_expect(one->done, "before host_submit returns");
    cr_expect_eq(one->reason, REASON_DEAD);
    cr_expect_eq(host->queued, 0);
}

Test(host, a_pool_grows_by_one_one_two_and_four_behind_a_death)
{
    static const unsigned waves[] = {1, 1, 2, 4};
    int fds[8];
    size_t count = 0;
    kill_host();
    lond_listens(&core.loop);
    host_retry(host);
    for (unsigned i = 0; i < REQUESTS; i++)
        ask(i, "ping\n");
    for (size_t wave = 0; wave < sizeof(waves) / sizeof(*waves); wave++) {
        cr_assert_eq(host->pool_count[POOL_OPENING], waves[wave], "wave %zu: %u", wave,
                     host->pool_count[POOL_OPENING]);
        for (unsigned i = 0; i < waves[wave]; i++) {
            fds[count] = lond_accepts();
            lond_greets(fds[count], ID);
            lond_hears(fds[count++], "ping\n");
        }
    }
    cr_expect_eq(count, 8);
    while (count > 0)
        close(fds[--count]);
}

Test(host, no_more_connections_than_requests_or_than_allowed)
{
    core.settings.connections_per_host = 3;
    ask(0, "a\n");
    cr_expect_eq(host->pool_count[POOL_OPENING], 1);
    for (unsigned i = 1; i < 6; i++)
        ask(i, "b\n");
    cr_expect_eq(host->pool_count[POOL_OPENING], 3);
}

Test(host, a_paused_host_sends_nothing_until_it_is_resumed)
{
    int fd = connection();
    host_pause(host);
    struct asked *one = ask(0, "ping\n");
    turn_quiet(&core.loop);
    cr_expect_not(one->done);
    cr_expect_eq(host->queued, 1);
    host_resume(host);
    lond_hears(fd, "ping\n");
    lond_says(fd, "pong\n");
    expect_reply(one, "pong\n");
    close(fd);
}

Test(host, a_host_paused_while_it_connects_sends_nothing_when_it_has)
{
    struct asked *one = ask(0, "ping\n");
    host_pause(host);
    int fd = lond_accepts();
    lond_greets(fd, ID);
    turn_quiet(&core.loop);
    cr_expect_eq(host->queued, 1);
    host_resume(host);
    lond_hears(fd, "ping\n");
    lond_says(fd, "pong\n");
    expect_reply(one, "pong\n");
    close(fd);
}

/* --- The background --------------------------------------------------------------------------- */

static unsigned offers;

static struct transaction *next_file(struct background *background)
{
    struct asked *one = &asked[REQUESTS - 2];
    (void)background;
    if (offers++ > 0)
        return NULL;
    *one = (struct asked){.line = "file\n"};
    one->transaction = (struct transaction){
        .request = one->line, .length = strlen(one->line), .done = on_done, .background = true};
    return &one->transaction;
}

Test(host, the_background_goes_when_no_client_waits)
{
    static struct background background = {.next = next_file};
    struct asked *one = ask(0, "live\n");
    host_offer(host, &background);
    int fd = lond_accepts(), other = lond_accepts();
    lond_greets(fd, ID);
    lond_hears(fd, "live\n");
    cr_expect_eq(offers, 0);
    lond_says(fd, "ok\n");
    expect_reply(one, "ok\n");
    lond_hears(fd, "file\n");
    lond_says(fd, "ok\n");
    expect_reply(&asked[REQUESTS - 2], "ok\n");
    cr_expect_eq(offers, 1);
    host_offer(host, &background);
    cr_expect_eq(offers, 2, "asked again, and there is none");
    cr_expect_null(host->background);
    close(fd);
    close(other);
}

/* --- Configuration ---------------------------------------------------------------------------- */

Test(host, a_host_holds_the_configuration_that_it_points_into)
{
    struct config *other = new_config();
    cr_expect_eq(config->references, 2);
    core.config = other;
    config_unref(config); /* as a reload does, before the host is configured */
    cr_expect_str_eq(host->identity.own_id, "own1");
    cr_assert_eq(host_configure(host, &entry), 0);
    cr_expect_eq(other->references, 2);
    cr_expect_eq(host->identity.own_id, other->loncapa.host_id);
    host_retire(host);
    cr_expect_eq(other->references, 1, "a retired host points nowhere");
}

Test(host, another_address_closes_connections_and_the_same_keeps_them)
{
    int fd = connection();
    cr_assert_eq(host_configure(host, &entry), 0);
    cr_expect_eq(host->pool_count[POOL_IDLE], 1);
    entry.address.s_addr = htonl(INADDR_LOOPBACK + 1);
    cr_assert_eq(host_configure(host, &entry), 0);
    lond_hears_end(fd);
    cr_expect_not(host_has_connected(host));
}

Test(host, a_retired_host_answers_its_queue_and_finishes_what_is_in_flight)
{
    int fd = connection();
    struct asked *flying = ask(0, "put\n");
    lond_hears(fd, "put\n");
    struct asked *waiting = ask(1, "get\n");
    host_retire(host);
    cr_expect_eq(waiting->reason, REASON_REMOVED);
    cr_expect_not(flying->done);
    lond_says(fd, "ok\n");
    expect_reply(flying, "ok\n");
    lond_hears_end(fd);
    cr_expect_eq(ask(2, "ping\n")->reason, REASON_REMOVED);
}
