/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop's hot half, run for real over pipes and spans of some milliseconds. A deadline
 * that is told late may be a busy machine; one that is told early, twice or not at all is a defect.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "keeper/core/loop.h"

#define MS UINT64_C(1000)

/* Nothing here takes as long as this unless it does not come at all. */
#define LONG (5000 * MS)

static struct loop loop;

static void begin(void)
{
    cr_assert_geq(loop_open(&loop), 0);
}

static void end(void)
{
    loop_close(&loop);
}

TestSuite(loop, .init = begin, .fini = end, .timeout = 20);

/* --- Helpers ---------------------------------------------------------------------------------- */

/* One turn of the loop, which ends without an event after `wait`. Whether there was one. */
static bool turn(uint64_t wait)
{
    int r = loop_turn(&loop, wait);
    cr_assert_geq(r, 0, "%s", strerror(-r));
    return r > 0;
}

/* Turns for as long as this. Returns how many had an event. */
static unsigned run_for(uint64_t time)
{
    unsigned turns = 0;
    uint64_t end_time = monotonic_now() + time;
    for (uint64_t now; (now = monotonic_now()) < end_time;)
        turns += turn(end_time - now);
    return turns;
}

static void sleep_for(uint64_t time)
{
    usleep((useconds_t)time);
}

/* --- Pipes that are watched ------------------------------------------------------------------- */

/* A pipe whose reading end is watched, and what became of it. */
struct tube {
    struct watch watch;
    int in, out;
    unsigned told; /* how often */
    uint32_t events;
    unsigned order;             /* the number of its last event among those of all tubes */
    void (*act)(struct tube *); /* in its callback, when not NULL */
    struct tube *other;         /* to act upon */
};

static unsigned told_in_all;

static void on_ready(struct watch *watch, uint32_t events)
{
    struct tube *tube = CONTAINER_OF(watch, struct tube, watch);
    tube->told++;
    tube->events = events;
    tube->order = ++told_in_all;
    if (tube->act != NULL)
        tube->act(tube);
}

static void tube_open(struct tube *tube)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    *tube = (struct tube){.watch = {.fd = -1, .ready = on_ready}, .in = ends[1], .out = ends[0]};
}

static void tube_watch(struct tube *tube, uint32_t events)
{
    cr_assert_eq(loop_watch(&loop, &tube->watch, tube->out, events), 0);
    cr_assert_eq(tube->watch.fd, tube->out);
}

static void tube_write(const struct tube *tube)
{
    cr_assert_eq(write(tube->in, "x", 1), 1);
}

static void tube_drain(struct tube *tube)
{
    char byte;
    cr_assert_eq(read(tube->out, &byte, 1), 1);
}

/* A tube that has something to read from the start. */
static void tube_ready(struct tube *tube)
{
    tube_open(tube);
    tube_watch(tube, EPOLLIN);
    tube_write(tube);
}

static void unwatch_other(struct tube *tube)
{
    tube_drain(tube);
    loop_unwatch(&loop, &tube->other->watch);
}

Test(loop, an_event_is_delivered_to_its_watch)
{
    struct tube one, other;
    tube_open(&one);
    tube_open(&other);
    tube_watch(&one, EPOLLIN);
    tube_watch(&other, EPOLLIN);
    cr_assert_not(turn(0));

    tube_write(&one);
    cr_assert(turn(LONG));
    cr_assert_eq(one.told, 1);
    cr_assert_eq(one.events, EPOLLIN);
    cr_assert_eq(other.told, 0);
    tube_drain(&one);
    cr_assert_not(turn(0));
    cr_assert_eq(one.told, 1);
}

Test(loop, what_is_not_dealt_with_is_told_again)
{
    struct tube tube;
    tube_ready(&tube);
    for (unsigned i = 1; i <= 5; i++) {
        cr_assert(turn(LONG));
        cr_assert_eq(tube.told, i);
    }
}

Test(loop, the_end_of_a_stream_is_told)
{
    struct tube tube;
    tube_open(&tube);
    tube_watch(&tube, EPOLLIN);
    close(tube.in);
    cr_assert(turn(LONG));
    cr_assert(tube.events & EPOLLHUP);
}

Test(loop, edges_are_told_once_and_again_after_a_change)
{
    struct tube tube;
    tube_open(&tube);
    tube_watch(&tube, EPOLLIN | EPOLLET);
    tube_write(&tube);
    cr_assert(turn(LONG));
    cr_assert_not(turn(0));
    loop_change(&loop, &tube.watch, EPOLLIN | EPOLLET);
    cr_assert(turn(LONG));
    cr_assert_eq(tube.told, 2);
}

Test(loop, changed_events_are_those_that_are_told)
{
    struct tube tube;
    tube_ready(&tube);
    loop_change(&loop, &tube.watch, EPOLLPRI);
    cr_assert_not(turn(0));
    loop_change(&loop, &tube.watch, EPOLLIN);
    cr_assert(turn(LONG));
    cr_assert_eq(tube.told, 1);
}

Test(loop, a_descriptor_that_cannot_be_watched_is_an_error_and_not_watched)
{
    struct tube tube;
    tube_open(&tube);
    cr_assert_eq(loop_watch(&loop, &tube.watch, -1, EPOLLIN), -EBADF);
    cr_assert_eq(tube.watch.fd, -1);
    tube_watch(&tube, EPOLLIN);
    struct watch second = {.fd = -1, .ready = on_ready};
    cr_assert_eq(loop_watch(&loop, &second, tube.out, EPOLLIN), -EEXIST);
    cr_assert_eq(second.fd, -1);
}

Test(loop, the_time_in_a_callback_is_that_of_its_turn)
{
    struct tube tube;
    tube_open(&tube);
    tube_watch(&tube, EPOLLIN);
    sleep_for(20 * MS);
    tube_write(&tube);
    uint64_t before = monotonic_now();
    cr_assert(turn(LONG));
    cr_assert_geq(loop.now, before);
    cr_assert_leq(loop.now, monotonic_now());
}

/* --- No longer watched ------------------------------------------------------------------------ */

Test(loop, an_unwatched_watch_is_told_nothing)
{
    struct tube tube;
    tube_ready(&tube);
    loop_unwatch(&loop, &tube.watch);
    cr_assert_eq(tube.watch.fd, -1);
    cr_assert_not(turn(0));
    loop_unwatch(&loop, &tube.watch);
    tube_watch(&tube, EPOLLIN);
    cr_assert(turn(LONG));
    cr_assert_eq(tube.told, 1);
}

Test(loop, an_unwatched_watch_is_told_nothing_within_the_same_batch)
{
    struct tube one, other;
    tube_ready(&one);
    tube_ready(&other);
    one.other = &other;
    other.other = &one;
    one.act = other.act = unwatch_other;
    cr_assert(turn(LONG));
    cr_assert_eq(one.told + other.told, 1, "%u and %u", one.told, other.told);
    cr_assert_not(turn(0));
}

static void destroy_other(struct tube *tube)
{
    unwatch_other(tube);
    close(tube->other->out);
    close(tube->other->in);
    memset(tube->other, 0xff, sizeof(*tube->other));
    free(tube->other);
}

/* An object dies in another's callback with an event of its own waiting behind. */
Test(loop, an_object_freed_within_the_same_batch_is_not_touched)
{
    struct tube first;
    tube_open(&first);
    tube_watch(&first, EPOLLIN);
    struct tube *second = malloc(sizeof(*second));
    tube_open(second);
    tube_watch(second, EPOLLIN);
    tube_write(&first);
    tube_write(second);
    first.act = destroy_other;
    first.other = second;
    cr_assert(turn(LONG));
    cr_assert_eq(told_in_all, 1);
    cr_assert_not(turn(0));
}

static void unwatch_itself(struct tube *tube)
{
    loop_unwatch(&loop, &tube->watch);
    close(tube->out);
}

Test(loop, a_watch_may_end_itself_in_its_callback)
{
    struct tube tubes[5];
    for (int i = 0; i < 5; i++) {
        tube_ready(&tubes[i]);
        tubes[i].act = unwatch_itself;
    }
    cr_assert(turn(LONG));
    for (int i = 0; i < 5; i++)
        cr_assert_eq(tubes[i].told, 1);
    cr_assert_not(turn(0));
}

static void renew_other(struct tube *tube)
{
    unwatch_other(tube);
    tube_drain(tube->other);
    tube_watch(tube->other, EPOLLIN);
}

/* The old event was of a state that is over. */
Test(loop, a_watch_renewed_within_the_same_batch_is_not_told_the_old_event)
{
    struct tube first, second;
    tube_ready(&first);
    tube_ready(&second);
    first.act = renew_other;
    first.other = &second;
    cr_assert(turn(LONG));
    cr_assert_eq(first.told, 1);
    cr_assert_eq(second.told, 0);
    tube_write(&second);
    cr_assert(turn(LONG));
    cr_assert_eq(second.told, 1);
}

static struct tube heir;

/* The other's descriptor is closed, and the heir's new one gets the same number. */
static void replace_other(struct tube *tube)
{
    unwatch_other(tube);
    int number = tube->other->out;
    tube_open(&heir);
    cr_assert_eq(dup2(heir.out, number), number);
    heir.out = number;
    tube_watch(&heir, EPOLLIN);
}

Test(loop, who_inherits_a_descriptors_number_does_not_inherit_its_events)
{
    struct tube first, second;
    tube_ready(&first);
    tube_ready(&second);
    first.act = replace_other;
    first.other = &second;
    cr_assert(turn(LONG));
    cr_assert_eq(second.told, 0);
    cr_assert_eq(heir.told, 0);
    tube_write(&heir);
    cr_assert(turn(LONG));
    cr_assert_eq(heir.told, 1);
}

/* As the shim does, which keeps its copy of a client until the keeper acknowledged. */
Test(loop, a_copy_held_elsewhere_does_not_keep_a_closed_descriptors_events_coming)
{
    struct tube tube;
    tube_open(&tube);
    tube_watch(&tube, EPOLLIN);
    int copy = dup(tube.out);
    loop_unwatch(&loop, &tube.watch);
    close(tube.out);
    tube_write(&tube);
    cr_assert_not(turn(0));
    close(copy);
}

/* --- Batches ---------------------------------------------------------------------------------- */

Test(loop, the_urgent_are_told_first)
{
    struct tube tubes[30];
    for (int i = 0; i < 30; i++) {
        tube_ready(&tubes[i]);
        tubes[i].watch.urgent = i % 3 == 2;
    }
    cr_assert(turn(LONG));
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(tubes[i].told, 1);
        cr_assert_eq(tubes[i].order <= 10, tubes[i].watch.urgent, "tube %d was told as number %u",
                     i, tubes[i].order);
    }
}

/* A lond's close is seen before a request goes into it: this is what urgency is for. */
Test(loop, an_urgent_one_may_unwatch_an_ordinary_one_that_was_ready_before)
{
    struct tube client, lond;
    tube_ready(&client);
    tube_ready(&lond);
    lond.watch.urgent = true;
    lond.act = unwatch_other;
    lond.other = &client;
    cr_assert(turn(LONG));
    cr_assert_eq(lond.told, 1);
    cr_assert_eq(client.told, 0);
}

static void unwatch_once_read(struct tube *tube)
{
    tube_drain(tube);
    loop_unwatch(&loop, &tube->watch);
}

Test(loop, more_than_a_batch_are_all_told)
{
    static struct tube tubes[3 * LOOP_BATCH + 1];
    unsigned count = sizeof(tubes) / sizeof(tubes[0]);
    for (unsigned i = 0; i < count; i++) {
        tube_ready(&tubes[i]);
        tubes[i].act = unwatch_once_read;
    }
    unsigned turns = 0;
    while (turn(0))
        turns++;
    cr_assert_eq(turns, 4, "%u turns", turns);
    for (unsigned i = 0; i < count; i++)
        cr_assert_eq(tubes[i].told, 1, "tube %u", i);
}

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
    deadline_queue_add(&loop, &queue, &span, on_expired);
}

/* As in a callback, where the loop has just looked at the clock. */
static void start_in(struct deadline_queue *in, struct alarm *alarm)
{
    loop.now = monotonic_now();
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
    cr_assert_geq(sd_event_source_get_enabled(loop.timer, &enabled), 0);
    return enabled != SD_EVENT_OFF;
}

Test(loop, a_deadline_ends_once_and_not_early)
{
    struct alarm alarm = {0};
    add_queue();
    for (int i = 0; i < 5; i++) {
        alarm.told = 0;
        start(&alarm);
        uint64_t when = loop.now + span;
        wait_for(&alarm, 1);
        expect_not_before(&alarm, when);
    }
    cr_assert_eq(run_for(3 * span), 0);
    cr_assert_eq(alarm.told, 1);
}

Test(loop, deadlines_of_a_queue_end_in_the_order_of_their_start)
{
    struct alarm alarms[10] = {0};
    uint64_t when[10];
    add_queue();
    for (int i = 0; i < 10; i++) {
        start(&alarms[i]);
        when[i] = loop.now + span;
        sleep_for((unsigned)i % 3 * MS);
    }
    wait_for(&alarms[9], 1);
    for (unsigned i = 0; i < 10; i++) {
        expect_not_before(&alarms[i], when[i]);
        cr_assert_eq(alarms[i].order, i + 1);
    }
}

Test(loop, a_deadline_started_again_runs_its_whole_span_behind_the_others)
{
    struct alarm one = {0}, other = {0};
    add_queue();
    start(&one);
    start(&other);
    sleep_for(span / 2);
    start(&one);
    uint64_t when = loop.now + span;
    wait_for(&one, 1);
    expect_not_before(&one, when);
    cr_assert_eq(other.order, 1);
    cr_assert_eq(one.order, 2);
}

Test(loop, a_deadline_started_again_and_again_never_ends)
{
    struct alarm alarm = {0};
    uint64_t when = 0;
    add_queue();
    /* On a machine that stands still meanwhile it may end, but not before its span. */
    for (int i = 0; i < 20 && alarm.told == 0; i++) {
        start(&alarm);
        when = loop.now + span;
        run_for(span / 4);
    }
    wait_for(&alarm, 1);
    expect_not_before(&alarm, when);
}

Test(loop, a_stopped_deadline_does_not_end)
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

Test(loop, stopping_the_first_leaves_the_others_running)
{
    struct alarm alarms[3] = {0};
    uint64_t when = 0;
    add_queue();
    for (int i = 0; i < 3; i++) {
        start(&alarms[i]);
        when = loop.now + span;
        sleep_for(5 * MS);
    }
    deadline_stop(&alarms[0].deadline);
    deadline_stop(&alarms[1].deadline);
    wait_for(&alarms[2], 1);
    expect_not_before(&alarms[2], when);
    cr_assert_eq(ended_in_all, 1);
}

Test(loop, deadlines_that_end_together_take_one_turn)
{
    struct alarm alarms[50] = {0};
    add_queue();
    loop.now = monotonic_now();
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

Test(loop, a_deadline_stopped_in_the_callback_of_one_that_ends_with_it_does_not_end)
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

Test(loop, an_object_freed_in_the_callback_of_a_deadline_that_ends_with_it_is_not_touched)
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

Test(loop, a_deadline_may_start_itself_again_in_its_callback)
{
    struct alarm alarm = {.act = start_again};
    add_queue();
    start(&alarm);
    uint64_t when = loop.now + 3 * span;
    wait_for(&alarm, 3);
    cr_assert_geq(alarm.told_at, when);
    cr_assert_eq(run_for(3 * span), 0);
    cr_assert_eq(alarm.told, 3);
}

static struct deadline_queue second_queue;
static uint64_t second_span = 30 * MS;

static void add_second_queue(void)
{
    deadline_queue_add(&loop, &second_queue, &second_span, on_expired);
}

static void start_other_in_second(struct alarm *alarm)
{
    deadline_start(&second_queue, &alarm->other->deadline);
}

Test(loop, a_callback_may_start_another_in_another_queue)
{
    struct alarm other = {0}, one = {.act = start_other_in_second, .other = &other};
    add_queue();
    add_second_queue();
    start(&one);
    uint64_t when = loop.now + span + second_span;
    wait_for(&other, 1);
    expect_not_before(&other, when);
}

/* --- Several queues --------------------------------------------------------------------------- */

Test(loop, several_queues_share_a_timer_and_each_deadline_ends_in_its_time)
{
    static const uint64_t spans[4] = {90 * MS, 10 * MS, 60 * MS, 30 * MS};
    static const unsigned order[4] = {4, 1, 3, 2};
    struct deadline_queue queues[4];
    struct alarm alarms[4] = {0};
    uint64_t when[4];
    for (int i = 0; i < 4; i++) {
        deadline_queue_add(&loop, &queues[i], &spans[i], on_expired);
        start_in(&queues[i], &alarms[i]);
        when[i] = loop.now + spans[i];
    }
    wait_for(&alarms[0], 1);
    for (int i = 0; i < 4; i++) {
        expect_not_before(&alarms[i], when[i]);
        cr_assert_eq(alarms[i].order, order[i], "span %lu", (unsigned long)spans[i]);
    }
    cr_assert_not(timer_is_armed());
}

/* As a connection does that goes from one state with a bound to the next. */
Test(loop, a_deadline_started_in_another_queue_leaves_the_first)
{
    struct alarm alarm = {0};
    add_queue();
    add_second_queue();
    start(&alarm);
    sleep_for(span / 2);
    start_in(&second_queue, &alarm);
    uint64_t when = loop.now + second_span;
    cr_assert(TAILQ_EMPTY(&queue.running));
    wait_for(&alarm, 1);
    expect_not_before(&alarm, when);
}

Test(loop, a_short_deadline_started_behind_a_long_one_of_another_queue_is_not_late)
{
    static const uint64_t long_span = 600 * 1000 * MS;
    struct deadline_queue slow;
    struct alarm patient = {0}, hasty = {0};
    deadline_queue_add(&loop, &slow, &long_span, on_expired);
    add_queue();
    start_in(&slow, &patient);
    start(&hasty);
    wait_for(&hasty, 1);
    cr_assert_eq(patient.told, 0);
}

/* --- A reload changes a span ------------------------------------------------------------------ */

Test(loop, a_longer_span_holds_for_deadlines_that_run_already)
{
    struct alarm alarm = {0};
    uint64_t before = span;
    add_queue();
    start(&alarm);
    uint64_t since = loop.now;
    span = 4 * before;
    wait_for(&alarm, 1);
    expect_not_before(&alarm, since + 4 * before);
}

/* Else a new deadline would be as late as the oldest of its queue was allowed to be. */
Test(loop, a_shorter_span_holds_for_a_deadline_started_behind_an_older_one)
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

Test(loop, a_shorter_span_holds_for_deadlines_that_run_already_once_it_is_told)
{
    struct alarm alarm = {0};
    add_queue();
    span = 600 * 1000 * MS;
    start(&alarm);
    span = 20 * MS;
    loop_spans_changed(&loop);
    run_for(500 * MS);
    cr_assert_eq(alarm.told, 1, "it still waits for the old span");
}

/* --- An idle loop ----------------------------------------------------------------------------- */

Test(loop, nothing_that_runs_means_no_timer_and_no_turn)
{
    struct tube tube;
    add_queue();
    tube_open(&tube);
    tube_watch(&tube, EPOLLIN);
    cr_assert_not(timer_is_armed());
    cr_assert_eq(run_for(50 * MS), 0);
}

Test(loop, after_the_last_deadline_the_timer_rests)
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
Test(loop, stopped_deadlines_cost_one_turn_at_most_however_many)
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
Test(loop, a_deadline_started_after_another_was_stopped_ends_in_its_time)
{
    struct alarm one = {0}, other = {0};
    add_queue();
    start(&one);
    deadline_stop(&one.deadline);
    sleep_for(span / 2);
    start(&other);
    uint64_t when = loop.now + span;
    wait_for(&other, 1);
    expect_not_before(&other, when);
    cr_assert_eq(one.told, 0);
}

/* --- Open and close --------------------------------------------------------------------------- */

static int count_open(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

Test(loop, a_closed_loop_leaves_no_descriptor)
{
    struct loop other;
    int before = count_open();
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(loop_open(&other), 0);
        cr_assert_gt(count_open(), before);
        loop_close(&other);
        loop_close(&other);
        cr_assert_eq(count_open(), before);
    }
}

Test(loop, the_clock_is_in_microseconds_and_never_goes_back)
{
    uint64_t before = monotonic_now();
    sleep_for(10 * MS);
    uint64_t after = monotonic_now();
    cr_assert_geq(after, before + 10 * MS);
    cr_assert_lt(after, before + LONG);
}
