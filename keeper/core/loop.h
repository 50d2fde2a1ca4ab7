/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop. The sockets of clients, shims and londs share one epoll instance, whose events
 * come in batches of up to LOOP_BATCH for one system call. Signals, timers and everything rare are
 * sd-event's, which makes several for each event; its descriptor is one more in that instance, and
 * it is asked only when that can be read, or when something has been changed in it: through
 * loop_alarm, loop_enable, loop_sources_changed and loop_exit, since it learns of a change by
 * being asked.
 *
 * Time-outs are deadlines in queues of equal span. Those that end first stand first, so starting
 * and stopping one is O(1), one timer serves all, and an idle keeper is not woken.
 */
#ifndef LONC_KEEPER_CORE_LOOP_H
#define LONC_KEEPER_CORE_LOOP_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

/* Events taken at once: enough to make the system call cheap, few enough to keep turns short. */
#define LOOP_BATCH 64

/* A line up to this length is short: it is moved as its events come. */
#define LOOP_SHORT ((size_t)16 * 1024)

/* How much of a longer line is moved at once: enough to make the system calls cheap. */
#define LOOP_PORTION ((size_t)64 * 1024)

/* The fixed cost of moving a line or a portion, in bytes that could be moved instead. */
#define LOOP_CALL ((size_t)1024)

/* How late a time-out may fire, in microseconds: less than the shortest setting, enough to merge
 * timers. */
#define LOOP_TIMER_ACCURACY 10000

/* A socket being watched; embedded in the object that owns the descriptor. */
struct watch {
    int fd; /* -1: not watched */
    /* Its events are handled before those of others of the batch. */
    bool urgent;
    void (*ready)(struct watch *watch, uint32_t events);
};

/*
 * A long line to be moved. Long lines go in portions, after the short ones: a turn serves all
 * events of its batch and then moves a portion of each line that waits here, those that have waited
 * longest first, until it has moved `turn_bytes`. At least one portion is moved, so that a flood of
 * short lines cannot stop the long ones.
 */
struct bulk {
    TAILQ_ENTRY(bulk) link;
    bool waiting;
    void (*go_on)(
        struct bulk *bulk); /* moves a portion, see loop_portion; does not wait any more */
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
    struct watch event_watch; /* sd-event's descriptor */
    bool asking;              /* ask sd-event in the next turn, although its descriptor is silent */
    bool prepared;            /* see sd_event_prepare(3) */
    sd_event_source *timer;
    int epoll;
    uint64_t now;   /* monotonic_now(), taken once a turn */
    uint64_t armed; /* when the timer fires; UINT64_MAX: not at all */
    LIST_HEAD(, deadline_queue) queues;
    TAILQ_HEAD(, bulk) bulk;
    const uint64_t *turn_bytes; /* how much a turn moves; may be pointed at a setting */
    uint64_t moved;             /* in this turn */
    bool at_bulk;               /* events have been served */
    unsigned turns_without_bulk;
    struct epoll_event batch[LOOP_BATCH];
    int batch_next, batch_count;
};

/* 0 or a negative errno; loop_close frees what there is in either case. */
int loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/* Turns until loop_exit. 0 or a negative errno. */
int loop_run(struct loop *loop);

/*
 * One turn, which ends after `wait` microseconds where nothing happens (UINT64_MAX: never). Whether
 * something did, or a negative errno.
 */
int loop_turn(struct loop *loop, uint64_t wait);

void loop_exit(struct loop *loop);

/*
 * Has `fired` called once at `when`, in microseconds of `clock`, or up to LOOP_TIMER_ACCURACY
 * later. `*source` is made where it is NULL, else set anew. 0 or a negative errno.
 */
int loop_alarm(struct loop *loop, sd_event_source **source, clockid_t clock, uint64_t when,
               sd_event_time_handler_t fired, void *argument);

/* Sources were added to sd-event or removed from it, by calls other than these. */
void loop_sources_changed(struct loop *loop);

/* Turns a source SD_EVENT_ON, _OFF or _ONESHOT; NULL is allowed. */
void loop_enable(struct loop *loop, sd_event_source *source, int enabled);

/* Watches `fd`, which stays the caller's, for epoll events. 0 or a negative errno. */
int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events);

/* Changes the events; with EPOLLET, those that are pending are reported again. */
void loop_change(struct loop *loop, struct watch *watch, uint32_t events);

/* Stops watching; to be called before the descriptor is closed. No more of its events are
 * delivered. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Queues it for its next portion; does nothing if it is queued already. */
void loop_queue(struct loop *loop, struct bulk *bulk);
void loop_unqueue(struct loop *loop, struct bulk *bulk);

/* How many bytes may be read or written now before the rest must be queued: few while events are
 * served. Never 0. */
size_t loop_portion(const struct loop *loop);

/* Counts bytes that were moved, or work that takes as long. */
static inline void loop_moved(struct loop *loop, size_t bytes)
{
    loop->moved += bytes;
}

/* `span` must stay; `expired` may start and stop any deadline. */
void deadline_queue_add(struct loop *loop, struct deadline_queue *queue, const uint64_t *span,
                        void (*expired)(struct deadline *));

/*
 * Takes the queue out of the loop, before its memory is freed; none of its deadlines may run. Does
 * nothing for a queue that was never added.
 */
void deadline_queue_remove(struct deadline_queue *queue);

/* The spans that queues point at have changed; this also holds for deadlines that run already. */
void loop_spans_changed(struct loop *loop);

/* Starts, or starts again, from now; a deadline runs in one queue at a time. */
void deadline_start(struct deadline_queue *queue, struct deadline *deadline);
void deadline_stop(struct deadline *deadline);

/* The object of type `type` whose member `member` is at `pointer`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* A loop that waits would not notice what these change. */
#ifndef LONC_LOOP_ITSELF
#pragma GCC poison sd_event_run sd_event_loop sd_event_exit sd_event_add_time
#pragma GCC poison sd_event_add_time_relative sd_event_source_set_time sd_event_source_set_enabled
#endif

#endif
