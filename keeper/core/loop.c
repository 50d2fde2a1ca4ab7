/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop: batches of socket events, sd-event, and deadlines. It knows nothing about their
 * owners.
 */
#define LONC_LOOP_ITSELF

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/monotonic.h"
#include "keeper/core/loop.h"

/*
 * How many bytes of large buffers go back to the kernel in one turn: as many as can be filled in
 * it. Freeing a page costs a fifth of filling it, so 64 MiB at once would take milliseconds.
 */
#define LOOP_RELEASED LOOP_PORTION

/*
 * Memory kept for the next long line is given back after this many turns without one. While there
 * is some, an idle turn takes at most this many microseconds.
 */
#define KEEPING_TURNS 16
#define KEEPING_WAIT  1000

/* --- Descriptors ------------------------------------------------------------------------------ */

static void deliver(struct loop *loop, bool urgent)
{
    for (loop->batch_next = 0; loop->batch_next < loop->batch_count;) {
        struct epoll_event *event = &loop->batch[loop->batch_next++];
        struct watch *watch = event->data.ptr;
        if (watch == NULL || (urgent && !watch->urgent))
            continue;
        event->data.ptr = NULL;
        watch->ready(watch, event->events);
    }
}

/*
 * Events of londs go first: a peer's close that has arrived is seen before a request of the same
 * batch is sent into its connection.
 */
static int wait_and_deliver(struct loop *loop, int milliseconds)
{
    int n = epoll_wait(loop->epoll, loop->batch, LOOP_BATCH, milliseconds);
    loop->now = monotonic_now();
    loop->batch_count = n > 0 ? n : 0;
    deliver(loop, true);
    deliver(loop, false);
    loop->batch_count = 0;
    return n;
}

int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    watch->fd = fd;
    return 0;
}

void loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    /* It fails only for a descriptor that is not watched. */
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
    if (watch->fd < 0)
        return;
    /* Closing is not enough: the shim may still hold the same open socket. */
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
    for (int i = 0; i < loop->batch_count; i++)
        if (loop->batch[i].data.ptr == watch)
            loop->batch[i].data.ptr = NULL;
}

/* --- Long lines ------------------------------------------------------------------------------- */

/* Unless the owner of the loop points at another value. */
static const uint64_t standard_turn_bytes = 2 * LOOP_PORTION;

void loop_queue(struct loop *loop, struct bulk *bulk)
{
    if (bulk->waiting)
        return;
    bulk->waiting = true;
    TAILQ_INSERT_TAIL(&loop->bulk, bulk, link);
}

void loop_unqueue(struct loop *loop, struct bulk *bulk)
{
    if (!bulk->waiting)
        return;
    bulk->waiting = false;
    TAILQ_REMOVE(&loop->bulk, bulk, link);
}

size_t loop_portion(const struct loop *loop)
{
    size_t most = loop->at_bulk ? LOOP_PORTION : LOOP_SHORT;
    return *loop->turn_bytes < most ? (size_t)*loop->turn_bytes : most;
}

/* Bytes that events have moved in this turn count as well. */
static void move_bulk(struct loop *loop)
{
    struct bulk *first;
    loop->at_bulk = true;
    while ((first = TAILQ_FIRST(&loop->bulk)) != NULL) {
        loop_unqueue(loop, first);
        loop_moved(loop, LOOP_CALL);
        first->go_on(first);
        if (loop->moved >= *loop->turn_bytes)
            break;
    }
    loop->at_bulk = false;
    loop->moved = 0;
}

/* How long the loop may wait for events, in microseconds; at most `wait`. */
static uint64_t may_wait(const struct loop *loop, uint64_t wait)
{
    if (!TAILQ_EMPTY(&loop->bulk))
        return 0;
    if (buffers_unused() == 0)
        return wait;
    return loop->turns_without_bulk >= KEEPING_TURNS ? 0
           : wait < KEEPING_WAIT                     ? wait
                                                     : KEEPING_WAIT;
}

/* Gives back memory of long lines; while more of them come, some is kept for those. */
static void release_buffers(struct loop *loop, bool bulk)
{
    loop->turns_without_bulk = bulk ? 0 : loop->turns_without_bulk + 1;
    if (buffers_unused() > 0)
        buffers_release(LOOP_RELEASED, loop->turns_without_bulk < KEEPING_TURNS);
}

/* --- Turns ------------------------------------------------------------------------------------ */

static void on_event(struct watch *watch, uint32_t events)
{
    (void)events;
    CONTAINER_OF(watch, struct loop, event_watch)->asking = true;
}

static int milliseconds(uint64_t wait)
{
    return wait < (uint64_t)INT32_MAX * 1000 ? (int)((wait + 999) / 1000) : -1;
}

/*
 * sd-event's cycle is prepare, wait, dispatch (sd_event_prepare(3)). 1: something is to be
 * dispatched, behind which there may be more; 0: nothing is, and it stays prepared until it is
 * asked again; or a negative errno.
 */
static int ask(struct loop *loop)
{
    if (!loop->asking)
        return 0;
    int r = loop->prepared ? sd_event_wait(loop->event, 0) : 0;
    loop->prepared = false;
    if (r == -ENOMEM) /* events stay ready, so ask again in the next turn */
        return 0;
    if (r == 0)
        r = sd_event_prepare(loop->event);
    loop->prepared = r == 0;
    loop->asking = r > 0;
    return r;
}

int loop_turn(struct loop *loop, uint64_t wait)
{
    int pending = ask(loop);
    if (pending < 0)
        return pending;
    bool idle = pending == 0 && !loop->asking;
    int n = wait_and_deliver(loop, idle ? milliseconds(may_wait(loop, wait)) : 0);
    bool bulk = !TAILQ_EMPTY(&loop->bulk);
    move_bulk(loop);
    release_buffers(loop, bulk);
    if (pending == 0)
        pending = ask(loop);
    if (pending > 0)
        pending = sd_event_dispatch(loop->event);
    return pending < 0 ? pending : pending > 0 || n > 0 || bulk;
}

int loop_run(struct loop *loop)
{
    int r = 0;
    while (r >= 0 && sd_event_get_state(loop->event) != SD_EVENT_FINISHED)
        r = loop_turn(loop, UINT64_MAX);
    return r < 0 ? r : 0;
}

void loop_exit(struct loop *loop)
{
    (void)sd_event_exit(loop->event, 0); /* it fails only for a loop that has ended */
    loop->asking = true;
}

int loop_alarm(struct loop *loop, sd_event_source **source, clockid_t clock, uint64_t when,
               sd_event_time_handler_t fired, void *argument)
{
    int r;
    if (*source == NULL)
        r = sd_event_add_time(loop->event, source, clock, when, LOOP_TIMER_ACCURACY, fired,
                              argument);
    else if ((r = sd_event_source_set_time(*source, when)) >= 0)
        r = sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
    loop->asking = true;
    return r;
}

void loop_sources_changed(struct loop *loop)
{
    loop->asking = true;
}

void loop_enable(struct loop *loop, sd_event_source *source, int enabled)
{
    if (source != NULL)
        (void)sd_event_source_set_enabled(source, enabled);
    loop->asking = true;
}

/* --- Deadlines -------------------------------------------------------------------------------- */

static int on_timer(sd_event_source *source, uint64_t when, void *argument);

static void arm(struct loop *loop, uint64_t when)
{
    if (when >= loop->armed)
        return;
    loop->armed = when;
    (void)loop_alarm(loop, &loop->timer, CLOCK_MONOTONIC, when, on_timer, loop);
}

static void arm_for(struct deadline_queue *queue)
{
    const struct deadline *first = TAILQ_FIRST(&queue->running);
    if (first != NULL)
        arm(queue->loop, first->since + *queue->span);
}

static void expire(struct deadline_queue *queue)
{
    struct deadline *first;
    while ((first = TAILQ_FIRST(&queue->running)) != NULL &&
           first->since + *queue->span <= queue->loop->now) {
        deadline_stop(first);
        queue->expired(first);
    }
}

/* The timer is not moved when its deadline is stopped: it fires, finds nothing, and is set for the
 * next one. */
static int on_timer(sd_event_source *source, uint64_t when, void *argument)
{
    struct loop *loop = argument;
    struct deadline_queue *queue;
    (void)source;
    (void)when;
    loop->now = monotonic_now();
    loop->armed = UINT64_MAX;
    LIST_FOREACH (queue, &loop->queues, link)
        expire(queue);
    LIST_FOREACH (queue, &loop->queues, link)
        arm_for(queue);
    return 0;
}

void loop_spans_changed(struct loop *loop)
{
    struct deadline_queue *queue;
    LIST_FOREACH (queue, &loop->queues, link)
        arm_for(queue);
}

void deadline_queue_add(struct loop *loop, struct deadline_queue *queue, const uint64_t *span,
                        void (*expired)(struct deadline *))
{
    TAILQ_INIT(&queue->running);
    queue->span = span;
    queue->expired = expired;
    queue->loop = loop;
    LIST_INSERT_HEAD(&loop->queues, queue, link);
}

void deadline_queue_remove(struct deadline_queue *queue)
{
    if (queue->loop == NULL)
        return;
    LIST_REMOVE(queue, link);
    queue->loop = NULL;
}

void deadline_start(struct deadline_queue *queue, struct deadline *deadline)
{
    deadline_stop(deadline);
    deadline->since = queue->loop->now;
    deadline->queue = queue;
    TAILQ_INSERT_TAIL(&queue->running, deadline, link);
    arm_for(queue);
}

void deadline_stop(struct deadline *deadline)
{
    if (deadline->queue == NULL)
        return;
    TAILQ_REMOVE(&deadline->queue->running, deadline, link);
    deadline->queue = NULL;
}

/* --- Open and close --------------------------------------------------------------------------- */

int loop_open(struct loop *loop)
{
    *loop = (struct loop){
        .epoll = -1,
        .armed = UINT64_MAX,
        .now = monotonic_now(),
        .asking = true,
        .turn_bytes = &standard_turn_bytes,
        .event_watch = {.fd = -1, .ready = on_event},
    };
    LIST_INIT(&loop->queues);
    TAILQ_INIT(&loop->bulk);
    int r = sd_event_new(&loop->event);
    if (r < 0)
        return r;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        return -errno;
    r = loop_watch(loop, &loop->event_watch, sd_event_get_fd(loop->event), EPOLLIN);
    if (r < 0)
        return r;
    r = loop_alarm(loop, &loop->timer, CLOCK_MONOTONIC, 0, on_timer, loop);
    loop_enable(loop, loop->timer, SD_EVENT_OFF);
    return r;
}

void loop_close(struct loop *loop)
{
    loop->timer = sd_event_source_unref(loop->timer);
    loop->event = sd_event_unref(loop->event);
    if (loop->epoll >= 0)
        close(loop->epoll);
    loop->epoll = -1;
}
