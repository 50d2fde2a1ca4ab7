/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop's hot half. sd-event runs the loop, signals, timers and everything rare; the
 * sockets of clients, shims and londs share one epoll instance that is a single source of it. For
 * sd-event makes a system call and some bookkeeping for each event it dispatches, and here a batch
 * of up to LOOP_BATCH events costs one.
 *
 * Time-outs are deadlines in queues of equal span. Those that end first stand first, so starting
 * and stopping one is O(1), one timer serves all, and an idle keeper is not woken.
 */
#ifndef LONC_KEEPER_LOOP_H
#define LONC_KEEPER_LOOP_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

/* Events taken at once: enough to make the system call cheap, few enough to keep turns short. */
#define LOOP_BATCH 64

/* How late a time-out may be told, in microseconds: below the shortest setting; lets timers merge.
 */
#define LOOP_TIMER_ACCURACY 10000

/* A socket being watched; embedded in the object that owns the descriptor. */
struct watch {
    int fd; /* -1: not watched */
    /* Its events are handled before those of others of the batch. */
    bool urgent;
    void (*ready)(struct watch *watch, uint32_t events);
};

struct deadline {
    TAILQ_ENTRY(deadline) link;
    uint64_t since;
    struct deadline_queue *queue; /* NULL: not running */
};

struct deadline_queue {
    TAILQ_HEAD(, deadline) running;
    const uint64_t *span; /* microseconds; follows the setting when a reload changes it */
    void (*expired)(struct deadline *deadline); /* it is no longer running then */
    struct loop *loop;
    LIST_ENTRY(deadline_queue) link;
};

struct loop {
    sd_event *event;
    sd_event_source *hot, *timer;
    int epoll;
    uint64_t now;   /* CLOCK_MONOTONIC in microseconds, taken once a turn */
    uint64_t armed; /* when the timer fires; UINT64_MAX: not at all */
    LIST_HEAD(, deadline_queue) queues;
    struct epoll_event batch[LOOP_BATCH];
    int batch_next, batch_count;
};

/* 0 or a negative errno; loop_close frees what there is in either case. */
int loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/* CLOCK_MONOTONIC now, in microseconds. */
uint64_t loop_clock(void);

/* Watches `fd`, which stays the caller's, for epoll events. 0 or a negative errno. */
int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events);

/* Changes the events; with EPOLLET, what is already true is told again. */
void loop_change(struct loop *loop, struct watch *watch, uint32_t events);

/* Stops watching, before the descriptor is closed; no event of it is delivered any more. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* `span` must stay; `expired` may start and stop any deadline. */
void deadline_queue_add(struct loop *loop, struct deadline_queue *queue, const uint64_t *span,
                        void (*expired)(struct deadline *));

/* The spans have changed where queues point: what runs already ends by the new ones. */
void loop_spans_changed(struct loop *loop);

/* Starts, or starts again, from now; a deadline runs in one queue at a time. */
void deadline_start(struct deadline_queue *queue, struct deadline *deadline);
void deadline_stop(struct deadline *deadline);

/* The object of type `type` whose member `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
