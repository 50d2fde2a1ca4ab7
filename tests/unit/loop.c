/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the loop watches: events of pipes, batches of them, and descriptors that are no longer
 * watched.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "tests/unit/one_loop.h"

TestSuite(loop, .init = one_loop_begin, .fini = one_loop_end, .timeout = 20);

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
    cr_assert_eq(loop_watch(&one_loop, &tube->watch, tube->out, events), 0);
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
    loop_unwatch(&one_loop, &tube->other->watch);
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
    loop_change(&one_loop, &tube.watch, EPOLLIN | EPOLLET);
    cr_assert(turn(LONG));
    cr_assert_eq(tube.told, 2);
}

Test(loop, changed_events_are_those_that_are_told)
{
    struct tube tube;
    tube_ready(&tube);
    loop_change(&one_loop, &tube.watch, EPOLLPRI);
    cr_assert_not(turn(0));
    loop_change(&one_loop, &tube.watch, EPOLLIN);
    cr_assert(turn(LONG));
    cr_assert_eq(tube.told, 1);
}

Test(loop, a_descriptor_that_cannot_be_watched_is_an_error_and_not_watched)
{
    struct tube tube;
    tube_open(&tube);
    cr_assert_eq(loop_watch(&one_loop, &tube.watch, -1, EPOLLIN), -EBADF);
    cr_assert_eq(tube.watch.fd, -1);
    tube_watch(&tube, EPOLLIN);
    struct watch second = {.fd = -1, .ready = on_ready};
    cr_assert_eq(loop_watch(&one_loop, &second, tube.out, EPOLLIN), -EEXIST);
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
    cr_assert_geq(one_loop.now, before);
    cr_assert_leq(one_loop.now, monotonic_now());
}

/* --- No longer watched ------------------------------------------------------------------------ */

Test(loop, an_unwatched_watch_is_told_nothing)
{
    struct tube tube;
    tube_ready(&tube);
    loop_unwatch(&one_loop, &tube.watch);
    cr_assert_eq(tube.watch.fd, -1);
    cr_assert_not(turn(0));
    loop_unwatch(&one_loop, &tube.watch);
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
    loop_unwatch(&one_loop, &tube->watch);
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
    loop_unwatch(&one_loop, &tube.watch);
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
    loop_unwatch(&one_loop, &tube->watch);
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
