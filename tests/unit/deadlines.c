/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Deadlines, run for real over spans of some milliseconds. A deadline that is told late may be a
 * busy machine; one that is told early, twice or not at all is a defect.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "tests/unit/one_loop.h"

TestSuite(deadlines, .init = one_loop_begin, .fini = one_loop_end, .timeout = 20);

/* --- Deadlines -------------------------------------------------------------------------------- */

/* A deadline, and what became of it. */
struct alarm {
    struct deadline deadline;
    unsigned told;
    uint64_t told_at;
    unsigned order;              /* the number of its last end among those of all alarms */
    void (*act)(struct alarm *); /* in its callback, when not NULL */
    struct alarm *other;         /* to act upon */
};

static struct deadline_queue queue;
static uint64_t span = 20 * MS;
static unsigned ended_in_all;

static void on_expired(struct deadline *deadline)
{
    struct alarm *alarm = CONTAINER_OF(deadline, struct alarm, deadline);
    cr_assert_null(deadline->queue, "it is still running");
    alarm->told++;
    alarm->told_at = monotonic_now();
    alarm->order = ++ended_in_all;
    if (alarm->act != NULL)
        alarm->act(alarm);
}

static void add_queue(void)
{
    deadline_queue_add(&one_loop, &queue, &span, on_expired);
}

/* As in a callback, where the loop has just looked at the clock. */
static void start_in(struct deadline_queue *in, struct alarm *alarm)
{
    one_loop.now = monotonic_now();
    deadline_start(in, &alarm->deadline);
}

static void start(struct alarm *alarm)
{
    start_in(&queue, alarm);
}

/* Turns until the alarm has ended so often. */
static void wait_for(const struct alarm *alarm, unsigned times)
{
    uint64_t give_up = monotonic_now() + LONG;
    while (alarm->told < times) {
        turn(LONG);
        cr_assert_lt(monotonic_now(), give_up, "it never ends");
    }
    cr_assert_eq(alarm->told, times);
}

static void expect_not_before(const struct alarm *alarm, uint64_t when)
{
    cr_assert_eq(alarm->told, 1);
    cr_assert_geq(alarm->told_at, when, "%lu us too early", (unsigned long)(when - alarm->told_at));
}

static bool timer_is_armed(void)
{
    int enabled;
    cr_assert_geq(sd_event_source_get_enabled(one_loop.timer, &enabled), 0);
    return enabled != SD_EVENT_OFF;
}

Test(deadlines, a_deadline_ends_once_and_not_early)
{
    struct alarm alarm = {0};
    add_queue();
    for (int i = 0; i < 5; i++) {
        alarm.told = 0;
        start(&alarm);
        uint64_t when = one_loop.now + span;
        wait_for(&alarm, 1);
        expect_not_before(&alarm, when);
    }
    cr_assert_eq(run_for(3 * span), 0);
    cr_assert_eq(alarm.told, 1);
}

Test(deadlines, deadlines_of_a_queue_end_in_the_order_of_their_start)
{
    struct alarm alarms[10] = {0};
    uint64_t when[10];
    add_queue();
    for (int i = 0; i < 10; i++) {
        start(&alarms[i]);
        when[i] = one_loop.now + span;
        sleep_for((unsigned)i % 3 * MS);
    }
    wait_for(&alarms[9], 1);
    for (unsigned i = 0; i < 10; i++) {
        expect_not_before(&alarms[i], when[i]);
        cr_assert_eq(alarms[i].order, i + 1);
    }
}

Test(deadlines, a_deadline_started_again_runs_its_whole_span_behind_the_others)
{
    struct alarm one = {0}, other = {0};
    add_queue();
    start(&one);
    start(&other);
    sleep_for(span / 2);
    start(&one);
    uint64_t when = one_loop.now + span;
    wait_for(&one, 1);
    expect_not_before(&one, when);
    cr_assert_eq(other.order, 1);
    cr_assert_eq(one.order, 2);
}

Test(deadlines, a_deadline_started_again_and_again_never_ends)
{
    struct alarm alarm = {0};
    uint64_t when = 0;
    add_queue();
    /* On a machine that stands still meanwhile it may end, but not before its span. */
    for (int i = 0; i < 20 && alarm.told == 0; i++) {
        start(&alarm);
        when = one_loop.now + span;
        run_for(span / 4);
    }
    wait_for(&alarm, 1);
    expect_not_before(&alarm, when);
}

Test(deadlines, a_stopped_deadline_does_not_end)
{
    struct alarm alarm = {0};
    add_queue();
    deadline_stop(&alarm.deadline);
    start(&alarm);
    deadline_stop(&alarm.deadline);
    deadline_stop(&alarm.deadline);
    cr_assert_null(alarm.deadline.queue);
    run_for(3 * span);
    cr_assert_eq(alarm.told, 0);
}

Test(deadlines, stopping_the_first_leaves_the_others_running)
{
    struct alarm alarms[3] = {0};
    uint64_t when = 0;
    add_queue();
    for (int i = 0; i < 3; i++) {
        start(&alarms[i]);
        when = one_loop.now + span;
        sleep_for(5 * MS);
    }
    deadline_stop(&alarms[0].deadline);
    deadline_stop(&alarms[1].deadline);
    wait_for(&alarms[2], 1);
    expect_not_before(&alarms[2], when);
    cr_assert_eq(ended_in_all, 1);
}

Test(deadlines, deadlines_that_end_together_take_one_turn)
{
    struct alarm alarms[50] = {0};
    add_queue();
    one_loop.now = monotonic_now();
    for (int i = 0; i < 50; i++)
        deadline_start(&queue, &alarms[i].deadline);
    wait_for(&alarms[0], 1);
    cr_assert_eq(ended_in_all, 50);
}

/* --- Deadlines in callbacks ------------------------------------------------------------------- */

static void stop_other(struct alarm *alarm)
{
    deadline_stop(&alarm->other->deadline);
}

Test(deadlines, a_deadline_stopped_in_the_callback_of_one_that_ends_with_it_does_not_end)
{
    struct alarm one = {.act = stop_other}, other = {.act = stop_other};
    one.other = &other;
    other.other = &one;
    add_queue();
    start(&one);
    start(&other);
    wait_for(&one, 1);
    run_for(3 * span);
    cr_assert_eq(other.told, 0);
}

static void free_other(struct alarm *alarm)
{
    deadline_stop(&alarm->other->deadline);
    memset(alarm->other, 0xff, sizeof(*alarm->other));
    free(alarm->other);
}

Test(deadlines, an_object_freed_in_the_callback_of_a_deadline_that_ends_with_it_is_not_touched)
{
    struct alarm *other = calloc(1, sizeof(*other));
    struct alarm one = {.act = free_other, .other = other}, last = {0};
    add_queue();
    start(&one);
    start(other);
    start(&last);
    wait_for(&last, 1);
    cr_assert_eq(ended_in_all, 2);
}

static void start_again(struct alarm *alarm)
{
    if (alarm->told < 3)
        deadline_start(&queue, &alarm->deadline);
}

Test(deadlines, a_deadline_may_start_itself_again_in_its_callback)
{
    struct alarm alarm = {.act = start_again};
    add_queue();
    start(&alarm);
    uint64_t when = one_loop.now + 3 * span;
    wait_for(&alarm, 3);
    cr_assert_geq(alarm.told_at, when);
    cr_assert_eq(run_for(3 * span), 0);
    cr_assert_eq(alarm.told, 3);
}

static struct deadline_queue second_queue;
static uint64_t second_span = 30 * MS;

static void add_second_queue(void)
{
    deadline_queue_add(&one_loop, &second_queue, &second_span, on_expired);
}

static void start_other_in_second(struct alarm *alarm)
{
    deadline_start(&second_queue, &alarm->other->deadline);
}

Test(deadlines, a_callback_may_start_another_in_another_queue)
{
    struct alarm other = {0}, one = {.act = start_other_in_second, .other = &other};
    add_queue();
    add_second_queue();
    start(&one);
    uint64_t when = one_loop.now + span + second_span;
    wait_for(&other, 1);
    expect_not_before(&other, when);
}

/* --- Several queues --------------------------------------------------------------------------- */

Test(deadlines, several_queues_share_a_timer_and_each_deadline_ends_in_its_time)
{
    static const uint64_t spans[4] = {90 * MS, 10 * MS, 60 * MS, 30 * MS};
    static const unsigned order[4] = {4, 1, 3, 2};
    struct deadline_queue queues[4];
    struct alarm alarms[4] = {0};
    uint64_t when[4];
    for (int i = 0; i < 4; i++) {
        deadline_queue_add(&one_loop, &queues[i], &spans[i], on_expired);
        start_in(&queues[i], &alarms[i]);
        when[i] = one_loop.now + spans[i];
    }
    wait_for(&alarms[0], 1);
    for (int i = 0; i < 4; i++) {
        expect_not_before(&alarms[i], when[i]);
        cr_assert_eq(alarms[i].order, order[i], "span %lu", (unsigned long)spans[i]);
    }
    cr_assert_not(timer_is_armed());
}

/* As a connection does that goes from one state with a bound to the next. */
Test(deadlines, a_deadline_started_in_another_queue_leaves_the_first)
{
    struct alarm alarm = {0};
    add_queue();
    add_second_queue();
    start(&alarm);
    sleep_for(span / 2);
    start_in(&second_queue, &alarm);
    uint64_t when = one_loop.now + second_span;
    cr_assert(TAILQ_EMPTY(&queue.running));
    wait_for(&alarm, 1);
    expect_not_before(&alarm, when);
}

Test(deadlines, a_short_deadline_started_behind_a_long_one_of_another_queue_is_not_late)
{
    static const uint64_t long_span = 600 * 1000 * MS;
    struct deadline_queue slow;
    struct alarm patient = {0}, hasty = {0};
    deadline_queue_add(&one_loop, &slow, &long_span, on_expired);
    add_queue();
    start_in(&slow, &patient);
    start(&hasty);
    wait_for(&hasty, 1);
    cr_assert_eq(patient.told, 0);
}

/* --- A reload changes a span ------------------------------------------------------------------ */

Test(deadlines, a_longer_span_holds_for_deadlines_that_run_already)
{
    struct alarm alarm = {0};
    uint64_t before = span;
    add_queue();
    start(&alarm);
    uint64_t since = one_loop.now;
    span = 4 * before;
    wait_for(&alarm, 1);
    expect_not_before(&alarm, since + 4 * before);
}

/* Else a new deadline would be as late as the oldest of its queue was allowed to be. */
Test(deadlines, a_shorter_span_holds_for_a_deadline_started_behind_an_older_one)
{
    struct alarm older = {0}, newer = {0};
    add_queue();
    span = 600 * 1000 * MS;
    start(&older);
    span = 20 * MS;
    start(&newer);
    run_for(500 * MS);
    cr_assert_eq(newer.told, 1, "it still waits for the old span");
    cr_assert_eq(older.told, 1);
}

Test(deadlines, a_shorter_span_holds_for_deadlines_that_run_already_once_it_is_told)
{
    struct alarm alarm = {0};
    add_queue();
    span = 600 * 1000 * MS;
    start(&alarm);
    span = 20 * MS;
    loop_spans_changed(&one_loop);
    run_for(500 * MS);
    cr_assert_eq(alarm.told, 1, "it still waits for the old span");
}

/* --- An idle loop ----------------------------------------------------------------------------- */

static void on_nothing(struct watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    cr_assert_fail("nothing has happened");
}

Test(deadlines, nothing_that_runs_means_no_timer_and_no_turn)
{
    int ends[2];
    struct watch watch = {.fd = -1, .ready = on_nothing};
    add_queue();
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(loop_watch(&one_loop, &watch, ends[0], EPOLLIN), 0);
    cr_assert_not(timer_is_armed());
    cr_assert_eq(run_for(50 * MS), 0);
    loop_unwatch(&one_loop, &watch);
    close(ends[0]);
    close(ends[1]);
}

Test(deadlines, after_the_last_deadline_the_timer_rests)
{
    struct alarm alarms[3] = {0};
    add_queue();
    for (int i = 0; i < 3; i++)
        start(&alarms[i]);
    cr_assert(timer_is_armed());
    wait_for(&alarms[2], 1);
    cr_assert_not(timer_is_armed());
    cr_assert_eq(run_for(3 * span), 0);
}

/* The timer is not put off when its deadline is stopped, so one turn finds nothing. */
Test(deadlines, stopped_deadlines_cost_one_turn_at_most_however_many)
{
    struct alarm alarms[100] = {0};
    add_queue();
    for (int i = 0; i < 100; i++)
        start(&alarms[i]);
    for (int i = 0; i < 100; i++)
        deadline_stop(&alarms[i].deadline);
    unsigned turns = run_for(4 * span);
    cr_assert_leq(turns, 1, "%u turns", turns);
    cr_assert_not(timer_is_armed());
    cr_assert_eq(ended_in_all, 0);
}

/* The timer may be armed for one that was stopped: the next is not forgotten. */
Test(deadlines, a_deadline_started_after_another_was_stopped_ends_in_its_time)
{
    struct alarm one = {0}, other = {0};
    add_queue();
    start(&one);
    deadline_stop(&one.deadline);
    sleep_for(span / 2);
    start(&other);
    uint64_t when = one_loop.now + span;
    wait_for(&other, 1);
    expect_not_before(&other, when);
    cr_assert_eq(one.told, 0);
}
