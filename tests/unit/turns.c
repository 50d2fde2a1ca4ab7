/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sd-event inside the loop. While nothing is to be asked of it the loop waits without it, so what
 * is changed in it from a socket's callback must be noticed: else it would come with the next
 * event of something else, or never.
 */
#include <criterion/criterion.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "keeper/core/loop.h"

/* Nothing here takes as long as this unless it does not come at all. */
#define LONG UINT64_C(5000000)

static struct loop loop;
static int in, out;
static unsigned fired, readable;

/* What the socket's callback does. */
static void (*act)(void);
static sd_event_source *alarm_source, *deferred_source;

static void on_readable(struct watch *watch, uint32_t events)
{
    char byte;
    (void)events;
    cr_assert_eq(read(watch->fd, &byte, 1), 1);
    readable++;
    act();
}

static struct watch watch = {.fd = -1, .ready = on_readable};

static int on_alarm(sd_event_source *source, uint64_t when, void *argument)
{
    (void)source;
    (void)when;
    cr_assert_eq(argument, &fired);
    fired++;
    return 0;
}

static int on_deferred(sd_event_source *source, void *argument)
{
    (void)source;
    (void)argument;
    fired++;
    return 0;
}

static void begin(void)
{
    int ends[2];
    cr_assert_geq(loop_open(&loop), 0);
    cr_assert_eq(pipe(ends), 0);
    in = ends[0];
    out = ends[1];
    cr_assert_eq(loop_watch(&loop, &watch, in, EPOLLIN), 0);
    cr_assert_geq(sd_event_add_defer(loop.event, &deferred_source, on_deferred, NULL), 0);
    loop_enable(&loop, deferred_source, SD_EVENT_OFF);
    /* Twice: what is left of opening is dealt with, and sd-event is armed. */
    cr_assert_eq(loop_turn(&loop, 0), 0);
    cr_assert_eq(loop_turn(&loop, 0), 0);
}

static void end(void)
{
    sd_event_source_disable_unref(alarm_source);
    sd_event_source_disable_unref(deferred_source);
    loop_unwatch(&loop, &watch);
    loop_close(&loop);
    close(in);
    close(out);
}

TestSuite(turns, .init = begin, .fini = end, .timeout = 20);

static void tell_socket(void)
{
    cr_assert_eq(write(out, "x", 1), 1);
}

/* Turns until `fired` has come so far; a turn that waits in vain ends the test. */
static void turn_until(unsigned times)
{
    while (fired < times)
        cr_assert_gt(loop_turn(&loop, LONG), 0, "the loop waits, and %u of %u have come", fired,
                     times);
}

static void set_alarm(void)
{
    cr_assert_geq(
        loop_alarm(&loop, &alarm_source, CLOCK_MONOTONIC, monotonic_now() + 2000, on_alarm, &fired),
        0);
}

Test(turns, an_alarm_that_a_socket_sets_comes_and_comes_again)
{
    act = set_alarm;
    for (unsigned times = 1; times <= 3; times++) {
        tell_socket();
        turn_until(times);
        cr_assert_eq(readable, times);
    }
    cr_assert_eq(loop_turn(&loop, 20000), 0, "and no more often");
}

static void turn_deferred_on(void)
{
    loop_enable(&loop, deferred_source, SD_EVENT_ONESHOT);
}

Test(turns, work_that_a_socket_turns_on_is_done)
{
    act = turn_deferred_on;
    tell_socket();
    turn_until(1);
    cr_assert_eq(loop_turn(&loop, 0), 0, "once");
}

static void nothing(void)
{
}

Test(turns, sockets_are_served_while_there_is_always_work)
{
    act = nothing;
    loop_enable(&loop, deferred_source, SD_EVENT_ON);
    turn_until(3);
    tell_socket();
    unsigned before = fired;
    while (readable == 0)
        cr_assert_gt(loop_turn(&loop, LONG), 0);
    cr_assert_leq(fired, before + 1, "in the first turn");
}

Test(turns, work_is_done_while_sockets_are_always_busy)
{
    act = tell_socket; /* again and again */
    tell_socket();
    cr_assert_gt(loop_turn(&loop, LONG), 0);
    set_alarm();
    uint64_t give_up = monotonic_now() + LONG;
    while (fired == 0) {
        cr_assert_gt(loop_turn(&loop, LONG), 0);
        cr_assert_lt(monotonic_now(), give_up, "%u turns, and no alarm", readable);
    }
}

static void leave(void)
{
    loop_exit(&loop);
}

Test(turns, a_socket_ends_the_loop)
{
    act = leave;
    tell_socket();
    cr_assert_eq(loop_run(&loop), 0);
    cr_assert_eq(readable, 1);
}

/* --- Long lines ------------------------------------------------------------------------------- */

/* Somebody who has so much to move, in portions. */
struct mover {
    struct bulk bulk;
    size_t left, most;     /* most: that was moved in a portion */
    unsigned portions, at; /* at: when the last was, among those of all */
};

static unsigned portions;

static void move_portion(struct bulk *bulk)
{
    struct mover *mover = CONTAINER_OF(bulk, struct mover, bulk);
    size_t moved = mover->left < loop_portion(&loop) ? mover->left : loop_portion(&loop);
    mover->left -= moved;
    mover->portions++;
    mover->at = ++portions;
    if (moved > mover->most)
        mover->most = moved;
    loop_moved(&loop, moved);
    if (mover->left > 0)
        loop_queue(&loop, bulk);
}

static void queue(struct mover *mover, size_t bytes)
{
    *mover = (struct mover){.bulk.go_on = move_portion, .left = bytes};
    loop_queue(&loop, &mover->bulk);
    loop_queue(&loop, &mover->bulk); /* which is nothing */
}

Test(turns, a_turn_moves_so_many_bytes_and_the_loop_does_not_wait_before_all_are_moved)
{
    static const uint64_t limit = 100000;
    struct mover mover;
    loop.turn_bytes = &limit;
    queue(&mover, 1000000);
    for (size_t before = mover.left; mover.left > 0; before = mover.left) {
        cr_assert_gt(loop_turn(&loop, LONG), 0);
        cr_assert_lt(mover.left, before);
        cr_assert_leq(before - mover.left, limit + LOOP_PORTION);
    }
    cr_assert_leq(mover.most, LOOP_PORTION);
    cr_assert_eq(loop_turn(&loop, 0), 0, "there is nothing left to do");
}

Test(turns, a_portion_is_no_more_than_a_turn)
{
    static const uint64_t limit = 5000;
    struct mover mover;
    loop.turn_bytes = &limit;
    cr_assert_eq(loop_portion(&loop), limit);
    queue(&mover, 50000);
    while (mover.left > 0)
        cr_assert_gt(loop_turn(&loop, LONG), 0);
    cr_assert_eq(mover.most, limit);
}

Test(turns, those_who_have_long_lines_take_turns)
{
    struct mover movers[5];
    for (size_t i = 0; i < 5; i++)
        queue(&movers[i], 10 * LOOP_PORTION);
    while (movers[4].left > 0) {
        cr_assert_gt(loop_turn(&loop, LONG), 0);
        cr_assert_leq(movers[0].portions, movers[4].portions + 1);
    }
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(movers[i].at, movers[i + 1].at - 1, "in the order in which they came");
}

Test(turns, one_who_leaves_the_queue_gets_no_portion)
{
    struct mover one, other;
    queue(&one, 100);
    queue(&other, 100);
    loop_unqueue(&loop, &one.bulk);
    loop_unqueue(&loop, &one.bulk);
    cr_assert_gt(loop_turn(&loop, LONG), 0);
    cr_assert_eq(one.portions, 0);
    cr_assert_eq(other.portions, 1);
}

/* What events move counts, and yet those who wait go on. */
static void move_much(void)
{
    cr_assert_eq(loop_portion(&loop), LOOP_SHORT);
    loop_moved(&loop, 100 * LOOP_PORTION);
    tell_socket();
}

Test(turns, short_lines_go_first_and_a_flood_of_them_does_not_stop_the_long)
{
    struct mover mover;
    act = move_much;
    queue(&mover, 10 * LOOP_PORTION);
    tell_socket();
    for (unsigned turn = 1; turn <= 10; turn++) {
        cr_assert_gt(loop_turn(&loop, LONG), 0);
        cr_assert_eq(readable, turn);
        cr_assert_eq(mover.portions, turn, "one portion a turn, and no more");
    }
}
