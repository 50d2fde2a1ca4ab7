/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop's hot half: batches of socket events, and deadlines. It knows nothing of who they
 * belong to.
 */
#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "keeper/loop.h"

uint64_t loop_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

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
static int on_hot(sd_event_source *source, int fd, uint32_t events, void *argument)
{
    struct loop *loop = argument;
    (void)source;
    (void)events;
    int n = epoll_wait(fd, loop->batch, LOOP_BATCH, 0);
    loop->now = loop_clock();
    loop->batch_count = n > 0 ? n : 0;
    deliver(loop, true);
    deliver(loop, false);
    loop->batch_count = 0;
    return 0;
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

/* --- Deadlines -------------------------------------------------------------------------------- */

static void arm(struct loop *loop, uint64_t when)
{
    if (when >= loop->armed)
        return;
    loop->armed = when;
    sd_event_source_set_time(loop->timer, when);
    sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT);
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

/* The timer is never put off when its deadline is stopped: it fires, finds nothing, and moves on.
 */
static int on_timer(sd_event_source *source, uint64_t when, void *argument)
{
    struct loop *loop = argument;
    struct deadline_queue *queue;
    (void)source;
    (void)when;
    loop->now = loop_clock();
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
    *loop = (struct loop){.epoll = -1, .armed = UINT64_MAX, .now = loop_clock()};
    LIST_INIT(&loop->queues);
    int r = sd_event_new(&loop->event);
    if (r < 0)
        return r;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        return -errno;
    r = sd_event_add_io(loop->event, &loop->hot, loop->epoll, EPOLLIN, on_hot, loop);
    if (r < 0)
        return r;
    r = sd_event_add_time(loop->event, &loop->timer, CLOCK_MONOTONIC, 0, LOOP_TIMER_ACCURACY,
                          on_timer, loop);
    if (r < 0)
        return r;
    return sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
}

void loop_close(struct loop *loop)
{
    loop->hot = sd_event_source_unref(loop->hot);
    loop->timer = sd_event_source_unref(loop->timer);
    loop->event = sd_event_unref(loop->event);
    if (loop->epoll >= 0)
        close(loop->epoll);
    loop->epoll = -1;
}
