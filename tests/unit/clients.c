/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations with clients, over real sockets: which lines are served, which are not, and when a
 * client's time is up. What a lond has to answer is tried in the scenarios.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "tests/unit/serving.h"

#define MS UINT64_C(1000)

TestSuite(clients, .init = serving_begin, .fini = serving_end, .timeout = 60);

/* --- Lines ------------------------------------------------------------------------------------ */

Test(clients, pipelined_lines_are_answered_one_by_one_and_in_order)
{
    int fd = serving_client("reset_retries\nclose_connection_exit\n\nreset_retries\n");
    serving_expect(fd, "ok\ncon_lost\n"); /* the empty line is a request, and waits */
    cr_assert_eq(serving.hosts.queued, 1);
    queue_fail(serving.host, REASON_LOST);
    serving_expect(fd, "con_lost\nok\n");
    close(fd);
    serving_turn_until_clients(0);
}

Test(clients, a_line_may_come_in_pieces)
{
    int fd = serving_client("reset_");
    serving_settle();
    serving_write(fd, "retries");
    serving_settle();
    serving_write(fd, "\nreset_");
    serving_expect(fd, "ok\n");
    serving_write(fd, "retries\n");
    serving_expect(fd, "ok\n");
    close(fd);
}

Test(clients, an_unterminated_line_at_the_end_of_the_stream_is_dropped)
{
    int fd = serving_client("reset_retries\nclose_connection_exit");
    serving_expect(fd, "ok\n");
    shutdown(fd, SHUT_WR);
    serving_expect_end(fd);
    cr_assert_eq(clients_count(serving.clients), 0);
    cr_assert_eq(serving.core.requests, 1, "it was no request");
    close(fd);
}

Test(clients, a_client_that_sends_no_more_still_gets_its_answers)
{
    int accepted, fd = serving_connect(&accepted);
    serving_write(fd, "reset_retries\nreset_retries\n");
    shutdown(fd, SHUT_WR);
    cr_assert_eq(clients_reserve(serving.clients, 1), 0);
    clients_start(serving.clients, accepted);
    serving_expect(fd, "ok\nok\n");
    serving_expect_end(fd);
    close(fd);
}

Test(clients, the_end_of_the_stream_may_come_together_with_the_last_line)
{
    int fd = serving_client("");
    serving_settle();
    serving_write(fd, "reset_retries\n");
    shutdown(fd, SHUT_WR);
    serving_expect(fd, "ok\n");
    serving_expect_end(fd);
    close(fd);
}

Test(clients, a_line_of_line_limit_is_served_and_a_longer_one_closes_its_client)
{
    char line[70] = "";
    serving.core.settings.line_limit = 64;
    memset(line, 'x', 63);
    line[63] = '\n';
    int longest = serving_client(line);
    cr_assert_eq(serving.hosts.queued, 1);
    queue_fail(serving.host, REASON_LOST);
    serving_expect(longest, "con_lost\n");

    memset(line, 'x', 64);
    line[64] = '\n';
    serving_write(longest, line);
    serving_expect_end(longest);
    line[64] = 'x'; /* and no end of it in sight */
    int endless = serving_client(line);
    serving_expect_end(endless);
    cr_assert_eq(serving.core.requests, 1, "neither is a request");
    cr_assert_eq(clients_count(serving.clients), 0);
    close(longest);
    close(endless);
}

Test(clients, a_line_without_memory_is_read_to_its_end_and_answered_con_lost)
{
    enum { SIZE = 200000 };
    char *line = malloc(SIZE + 1);
    cr_assert_not_null(line);
    memset(line, 'x', SIZE);
    line[SIZE] = '\0';
    buffers_set_limit(16384);
    int fd = serving_client("");
    for (size_t sent = 0; sent < SIZE;) {
        ssize_t n = send(fd, line + sent, SIZE - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        serving_settle();
    }
    cr_assert_eq(recv(fd, line, SIZE, MSG_DONTWAIT), -1, "there is no answer before its end");
    serving_write(fd, "\nreset_retries\n");
    serving_expect(fd, "con_lost\nok\n");
    cr_assert_eq(serving.core.answers[REASON_NO_MEMORY], 1);
    cr_assert_leq(buffers_used(), 16384);
    close(fd);
    free(line);
}

Test(clients, a_line_for_a_host_that_there_is_not_is_con_lost_and_the_next_one_looks_again)
{
    serving.config.valid = false;
    int fd = serving_client("reset_retries\n");
    serving_expect(fd, "con_lost\n");
    cr_assert_eq(serving.core.answers[REASON_NO_TABLE], 1);
    serving.config.valid = true;
    serving.config.loncapa.sock_dir[0] = 'S';
    serving_write(fd, "reset_retries\n");
    serving_expect(fd, "con_lost\n");
    cr_assert_eq(serving.core.answers[REASON_WRONG_DIRECTORY], 1);
    serving.config.loncapa.sock_dir[0] = 's';
    serving_write(fd, "reset_retries\n");
    serving_expect(fd, "ok\n");
    close(fd);
}

/* --- Clients that go -------------------------------------------------------------------------- */

Test(clients, the_request_of_a_client_that_vanishes_is_taken_out_of_the_queue)
{
    int stays = serving_client("one\n");
    int goes = serving_client("two\n");
    serving_settle();
    cr_assert_eq(serving.hosts.queued, 2);
    close(goes);
    serving_turn_until_clients(1);
    cr_assert_eq(serving.hosts.queued, 1);
    queue_fail(serving.host, REASON_LOST);
    serving_expect(stays, "con_lost\n");
    close(stays);
}

Test(clients, clients_that_have_gone_leave_no_memory_and_no_descriptors_in_use)
{
    for (int i = 0; i < 200; i++) {
        int fd = serving_client("reset_retries\n");
        serving_expect(fd, "ok\n");
        close(fd);
        serving_turn_until_clients(0);
    }
    cr_assert_leq(buffers_used(), BUFFER_KEPT);
    cr_assert_eq(serving.core.descriptors, 0);
    cr_assert_eq(serving.host->users, 0);
}

/* --- Time-outs -------------------------------------------------------------------------------- */

/* Lets so much time go by. */
static void pass(uint64_t time)
{
    uint64_t end = monotonic_now() + time;
    for (uint64_t now; (now = monotonic_now()) < end;)
        cr_assert_geq(loop_turn(&serving.core.loop, end - now), 0);
}

Test(clients, a_silent_client_is_closed_after_client_idle_timeout)
{
    serving.core.settings.client_idle_timeout = 30 * MS;
    uint64_t began = serving.core.loop.now; /* by which deadlines are started */
    int fd = serving_client("");
    serving_expect_end(fd);
    cr_assert_geq(monotonic_now() - began, 30 * MS);
    close(fd);

    fd = serving_client("");
    serving_settle();
    serving_write(fd, "one\n");
    pass(60 * MS);
    cr_assert_eq(serving.hosts.queued, 1);
    cr_assert_eq(clients_count(serving.clients), 1, "one that waits for its answer is not silent");
    close(fd);
}

Test(clients, silence_is_shorter_while_descriptors_are_short)
{
    serving.core.settings.client_idle_scarce = 20 * MS;
    int fd = serving_client("");
    clients_set_scarce(serving.clients, false);
    pass(50 * MS);
    cr_assert_eq(clients_count(serving.clients), 1);
    clients_set_scarce(serving.clients, true);
    serving_expect_end(fd);
    close(fd);
    clients_set_scarce(serving.clients, false);
    serving.core.settings.client_idle_timeout = 10 * MS;
    serving.core.settings.client_idle_scarce = SERVING_LONG;
    clients_set_scarce(serving.clients, true);
    fd = serving_client("");
    serving_expect_end(fd); /* it is never longer, either */
    close(fd);
}

Test(clients, the_time_for_a_line_runs_from_its_first_byte)
{
    serving.core.settings.client_line_timeout = 50 * MS;
    int fd = serving_client("");
    serving_settle();
    uint64_t began = monotonic_now(), give_up = began + SERVING_LONG;
    while (clients_count(serving.clients) > 0) {
        cr_assert_lt(monotonic_now(), give_up, "slow writing prolongs it");
        (void)send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        cr_assert_geq(loop_turn(&serving.core.loop, 5 * MS), 0);
    }
    cr_assert_geq(monotonic_now() - began, 50 * MS);
    close(fd);
}

/* --- A stop ----------------------------------------------------------------------------------- */

static size_t gone;

static void on_gone(void *argument)
{
    cr_assert_eq(argument, &gone);
    cr_assert_eq(clients_count(serving.clients), 0);
    gone++;
}

static void drain(void)
{
    serving.core.stopping = true;
    clients_drain(serving.clients, on_gone, &gone);
}

Test(clients, a_stop_without_clients_is_over_at_once)
{
    drain();
    cr_assert_eq(gone, 1);
}

Test(clients, a_stop_ends_clients_that_have_had_their_answer)
{
    int fd = serving_client("reset_retries\n");
    serving_expect(fd, "ok\n");
    serving_write(fd, "reset_retries\n"); /* written before the stop */
    drain();
    serving_expect(fd, "ok\n");
    serving_expect_end(fd);
    cr_assert_eq(gone, 1);
    close(fd);
}

Test(clients, a_stop_leaves_time_for_the_line_of_a_client_that_has_had_no_answer)
{
    serving.core.settings.drain_line_timeout = SERVING_LONG;
    int fd = serving_client("reset_");
    serving_settle();
    drain();
    serving_settle();
    cr_assert_eq(gone, 0);
    serving_write(fd, "retries\n");
    serving_expect(fd, "ok\n");
    serving_expect_end(fd);
    cr_assert_eq(gone, 1);
    close(fd);
}

Test(clients, which_is_drain_line_timeout)
{
    serving.core.settings.drain_line_timeout = 20 * MS;
    int fd = serving_client("reset_");
    serving_settle();
    drain();
    serving_turn_until(&gone, 1);
    serving_expect_end(fd);
    close(fd);
}
