/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc-shim hands client connections to lonc-keeper. No byte of a request passes through it: it
 * accepts, sends the descriptor over the private channel, waits for the acknowledgement and closes
 * its own copy. Where there is no keeper to take a client, it answers `con_lost` itself.
 *
 * One engine serves both ways of being started (shim/README.md, "Two ways to be started"): a
 * connection on descriptor 0 is a batch that is already there; listeners (descriptor 0, or
 * LISTEN_FDS from 3 on, those of all hosts) make batches as clients come. Batches wait in a ring,
 * oldest first, until the keeper has acknowledged them.
 *
 * While it acknowledges, there is one batch at a time, and all others wait at their own listeners:
 * so one host's crowd is not in the way of another's client, and little is lost with a shim that is
 * killed. When it does not, everybody is accepted, since from then on their time counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/log.h"
#include "common/monotonic.h"
#include "shim/con_lost.h"
#include "shim/listeners.h"
#include "shim/parking.h"
#include "shim/shim.h"

/*
 * Batches not acknowledged yet. A keeper that is merely busy is one behind; when it is stuck, this
 * many times 16 clients are counted down to their con_lost, and the rest wait in the backlogs.
 */
#define RING_SIZE 256

/*
 * A keeper that has acknowledged nothing for so long is stuck. A turn of its loop takes some
 * milliseconds, so a busy one is not taken for that; and who waits in a backlog has his con_lost
 * later by this.
 */
#define STUCK_TIME 100000

/*
 * Told to leave, clients are accepted for so long; the pause between two shims is everybody's. What
 * waits at the listeners, up to a full ring of them, is taken in a tenth of it. Listeners at which
 * there is always somebody are systemd's still, and their clients the next shim's.
 */
#define SWEEP_TIME 50000

/* Nothing tells when a full backlog has room again, or too many descriptors in flight are fewer. */
#define RETRY_INTERVAL 10000

/* How long clients gather in one batch, microseconds: they are given up together, none of them
 * sooner than it should by more than this. */
#define GATHER_TIME 10000

/* A channel nobody listens on: a keeper without systemd may be restarting; clients finish writing.
 */
#define UNREACHABLE_PATIENCE 1000000

struct batch {
    int fds[CHANNEL_BATCH];
    unsigned count;
    uint64_t since; /* when its first client was accepted, microseconds */
};

/* What becomes of the listeners. */
enum phase {
    PHASE_CLOSED,   /* there are none, or nobody more is accepted */
    PHASE_SERVING,  /* who comes is accepted */
    PHASE_SWEEPING, /* told to leave: who waits is accepted, once */
};

struct shim {
    struct shim_options options;
    int epoll;   /* all but the listeners; or a negative errno */
    int channel; /* -1 while there is none */
    bool broken; /* the channel takes nothing more; what it still answers is read */
    int error;   /* of the last try to connect: 0 or a negative errno */
    uint64_t retry_at;

    enum phase phase;
    struct listeners listeners;
    uint64_t sweep_end; /* when the sweep is over, even where clients wait */
    uint64_t accept_at; /* not before that: there was no descriptor for a client */
    uint64_t last_client;
    int term; /* serving listeners: readable when there is a SIGTERM */
    bool told_to_leave;

    /* ring[head .. sent) wait for an acknowledgement, ring[sent .. tail) for being sent. */
    struct batch ring[RING_SIZE];
    unsigned head, sent, tail;
    uint64_t progress; /* when a batch was last acknowledged, or came into an empty ring */
    struct parking parking;

    bool said; /* that there is no keeper; once until there is one again */
    enum shim_exit outcome;
};

int shim_milliseconds_until(uint64_t when)
{
    uint64_t t = monotonic_now();
    return when <= t ? 0 : (int)((when - t + 999) / 1000);
}

_Noreturn void shim_fail(enum shim_exit code, const char *what, const char *value)
{
    fprintf(stderr, "lonc-shim: %s%s\n", what, value);
    exit(code);
}

/* inetd puts the client on descriptor 2 as well; what is meant for a log must not reach it. */
static void keep_standard_error_from_client(void)
{
    struct stat client, error;
    if (fstat(STDIN_FILENO, &client) < 0 || fstat(STDERR_FILENO, &error) < 0 ||
        client.st_dev != error.st_dev || client.st_ino != error.st_ino || !S_ISSOCK(client.st_mode))
        return;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDERR_FILENO);
}

static struct batch *batch_at(struct shim *shim, unsigned index)
{
    return &shim->ring[index % RING_SIZE];
}

/* 0 or a negative errno: to watch one more needs memory. */
static int watch(struct shim *shim, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = (unsigned)fd};
    return epoll_ctl(shim->epoll, operation, fd, &event) < 0 ? -errno : 0;
}

/* --- Giving up -------------------------------------------------------------------------------- */

static void say_no_keeper(struct shim *shim, const char *why)
{
    if (shim->said)
        return;
    shim->said = true;
    if (con_lost_is_said(shim->options.path))
        return;
    log_open("lonc-shim", LOG_TARGET_AUTO, LOG_NOTICE, LOG_JOURNAL_SOCKET);
    log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_KEEPER_MISSING, .reason = why},
              "no keeper takes clients at %s (%s%s%s); they are answered con_lost",
              shim->options.path, why, shim->error != 0 ? ": " : "",
              shim->error != 0 ? strerror(-shim->error) : "");
}

/* Who has asked nothing need not be answered, while there is a keeper that may take him later. */
static void park_silent(struct shim *shim, struct batch *batch)
{
    unsigned count = batch->count;
    batch->count = 0;
    for (unsigned i = 0; i < count; i++)
        if (!parking_add(&shim->parking, shim->epoll, batch->fds[i]))
            batch->fds[batch->count++] = batch->fds[i];
}

/*
 * A client that is writing still has a little time from when its batch was due: batches that fell
 * due while an earlier one was waited for have no more of it, so the dawdlers of many do not add
 * up.
 */
static void give_up_oldest(struct shim *shim, uint64_t patience)
{
    struct batch *batch = batch_at(shim, shim->head);
    bool unreachable = shim->channel < 0 && shim->error != 0 && shim->error != -EAGAIN;
    shim->head++;
    if (!unreachable && !shim->told_to_leave)
        park_silent(shim, batch);
    if (batch->count == 0)
        return;
    shim->outcome = unreachable ? SHIM_UNREACHABLE : SHIM_UNANSWERED;
    say_no_keeper(shim, unreachable ? "unreachable" : "unanswered");
    con_lost_answer(batch->fds, batch->count, batch->since + patience);
}

/* --- The channel ------------------------------------------------------------------------------ */

/* What was sent and not acknowledged is sent again, to the next keeper. */
static void drop_channel(struct shim *shim)
{
    close(shim->channel);
    shim->channel = -1;
    shim->broken = false;
    shim->sent = shim->head;
}

static void connect_channel(struct shim *shim)
{
    int channel = channel_connect(shim->options.path);
    shim->error = channel < 0 ? channel : watch(shim, EPOLL_CTL_ADD, channel, EPOLLIN);
    shim->retry_at = monotonic_now() + RETRY_INTERVAL;
    if (shim->error == 0)
        shim->channel = channel;
    else if (channel >= 0)
        close(channel);
}

/*
 * Whether there is a batch to send. While the keeper has one that it has not acknowledged it is
 * busy, and would not look at another sooner for having it: clients gather in the next one, so that
 * under load a message, an acknowledgement and two wake-ups serve many of them.
 */
static bool has_due_batch(const struct shim *shim)
{
    if (shim->sent == shim->tail)
        return false;
    return shim->head == shim->sent || shim->tail - shim->sent > 1 ||
           shim->ring[shim->sent % RING_SIZE].count == CHANNEL_BATCH;
}

/* Sends what is due, as far as the channel takes it. */
static void flush(struct shim *shim)
{
    if (!has_due_batch(shim))
        return;
    if (shim->channel < 0 && monotonic_now() >= shim->retry_at)
        connect_channel(shim);
    while (shim->channel >= 0 && !shim->broken && has_due_batch(shim)) {
        struct batch *batch = batch_at(shim, shim->sent);
        int r = channel_send(shim->channel, batch->fds, batch->count);
        if (r == -EAGAIN || r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM) {
            shim->retry_at = monotonic_now() + RETRY_INTERVAL;
            return;
        }
        if (r < 0) {
            /* Acknowledgements may still lie in the channel; its end comes behind them. */
            shim->broken = true;
            return;
        }
        shim->sent++;
    }
}

static void close_oldest(struct shim *shim)
{
    struct batch *batch = batch_at(shim, shim->head);
    for (unsigned i = 0; i < batch->count; i++)
        close(batch->fds[i]);
    shim->head++;
    shim->progress = monotonic_now();
    shim->accept_at = 0;
    shim->said = false;
}

/* Takes the acknowledgements that are there, having waited a moment for the first if `wait`. False
 * at the channel's end. */
static bool read_acknowledgements(struct shim *shim, bool wait)
{
    for (; shim->head != shim->sent; wait = false) {
        int r = wait ? channel_await_acknowledgement(shim->channel)
                     : channel_read_acknowledgement(shim->channel);
        if (r == -EAGAIN)
            return true;
        if (r <= 0)
            return false;
        close_oldest(shim);
    }
    return true;
}

/* Idle, only the end can be there to read. A keeper that ends at once is not asked at once. */
static void channel_ended(struct shim *shim, bool idle)
{
    drop_channel(shim);
    shim->retry_at = monotonic_now() + (idle ? 0 : RETRY_INTERVAL);
}

static void channel_readable(struct shim *shim)
{
    bool idle = shim->head == shim->sent;
    if (!read_acknowledgements(shim, false) || idle)
        channel_ended(shim, idle);
}

/*
 * Sends what is due and waits for it to be acknowledged, which mostly takes some microseconds: who
 * connects meanwhile would only wake the shim, which can do nothing for him before that.
 */
static void hand_over(struct shim *shim)
{
    unsigned before = shim->sent;
    flush(shim);
    if (shim->sent != before && !shim->broken && !read_acknowledgements(shim, true))
        channel_ended(shim, false);
}

/*
 * The oldest batch has waited its time. From the shutdown on no acknowledgement can arrive, so what
 * is found now is final: the keeper either has a client or never will (shim/README.md, "The
 * hand-over").
 */
static void time_out(struct shim *shim, uint64_t patience)
{
    if (shim->channel >= 0) {
        shutdown(shim->channel, SHUT_RD);
        read_acknowledgements(shim, false);
        drop_channel(shim);
        shim->retry_at = 0;
    }
    uint64_t t = monotonic_now();
    while (shim->head != shim->tail && batch_at(shim, shim->head)->since + patience <= t)
        give_up_oldest(shim, patience);
    shim->sent = shim->head;
}

/* --- Clients ---------------------------------------------------------------------------------- */

static bool has_room(const struct shim *shim)
{
    return shim->tail - shim->head < RING_SIZE;
}

/* When the listeners are looked at: UINT64_MAX where only an acknowledgement brings that. */
static uint64_t accept_time(const struct shim *shim)
{
    if (shim->phase == PHASE_CLOSED || !has_room(shim))
        return UINT64_MAX;
    bool busy = shim->head != shim->tail && shim->phase != PHASE_SWEEPING;
    uint64_t when = busy ? shim->progress + STUCK_TIME : 0;
    return when > shim->accept_at ? when : shim->accept_at;
}

/* The batch that is still being gathered, or an empty one; NULL while the ring is full. */
static struct batch *open_batch(struct shim *shim)
{
    struct batch *last = batch_at(shim, shim->tail - 1);
    if (shim->tail != shim->sent && last->count < CHANNEL_BATCH &&
        last->since + GATHER_TIME > monotonic_now())
        return last;
    if (!has_room(shim))
        return NULL;
    struct batch *batch = batch_at(shim, shim->tail);
    batch->count = 0;
    return batch;
}

/* Somebody has joined the open batch, which had so many before. */
static void joined(struct shim *shim, struct batch *batch, unsigned before)
{
    shim->last_client = monotonic_now();
    if (before == 0) {
        batch->since = shim->last_client;
        if (shim->head == shim->tail)
            shim->progress = shim->last_client;
        shim->tail++;
    }
}

/* Those at the ready listeners join the open batch. */
static void accept_batch(struct shim *shim)
{
    struct batch *batch = open_batch(shim);
    if (batch == NULL)
        return;
    int n =
        listeners_accept(&shim->listeners, batch->fds + batch->count, CHANNEL_BATCH - batch->count);
    if (n < 0)
        shim->accept_at = monotonic_now() + RETRY_INTERVAL;
    if (n <= 0)
        return;
    batch->count += (unsigned)n;
    joined(shim, batch, batch->count - (unsigned)n);
}

/* Who was parked is offered again, as if he had just come. */
static void offer(struct shim *shim, int fd)
{
    struct batch *batch = open_batch(shim);
    if (batch == NULL) {
        con_lost_answer(&fd, 1, monotonic_now());
        return;
    }
    batch->fds[batch->count++] = fd;
    joined(shim, batch, batch->count - 1);
}

static void on_parked(struct shim *shim, uint64_t event)
{
    int fd = parking_take(&shim->parking, shim->epoll, event);
    if (fd >= 0)
        offer(shim, fd);
}

/* --- The engine ------------------------------------------------------------------------------- */

/* How long the oldest batch may wait, given what is known of the keeper. */
static uint64_t patience(const struct shim *shim)
{
    bool nobody = shim->channel < 0 && (shim->error == -ECONNREFUSED || shim->error == -ENOENT ||
                                        shim->error == -EACCES || shim->error == -ENAMETOOLONG);
    return nobody && UNREACHABLE_PATIENCE < shim->options.ack_timeout ? UNREACHABLE_PATIENCE
                                                                      : shim->options.ack_timeout;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Until when there is nothing to do but for who comes and what is acknowledged. */
static uint64_t next_time(struct shim *shim, bool accepting)
{
    uint64_t parked = parking_expire(&shim->parking, shim->epoll);
    uint64_t when = parked;
    if (shim->head != shim->tail)
        when = earlier(when, batch_at(shim, shim->head)->since + patience(shim));
    else if (parked == UINT64_MAX)
        when = shim->last_client + shim->options.linger;
    if (has_due_batch(shim) && !shim->broken)
        when = earlier(when, shim->retry_at);
    if (shim->phase == PHASE_SWEEPING)
        when = accepting ? 0 : earlier(when, shim->sweep_end);
    return accepting ? when : earlier(when, accept_time(shim));
}

/*
 * Told to leave, a shim may be the only one who still has a listener (its host was removed, or is
 * served the other way): who connected before must not be forgotten. Which one that is it cannot
 * tell, so who waits is taken everywhere, until each listener has had nobody for once.
 */
static void begin_sweep(struct shim *shim)
{
    close(shim->term); /* it is told of no more */
    shim->told_to_leave = true;
    shim->phase = PHASE_SWEEPING;
    shim->listeners.sweeping = true;
    shim->sweep_end = monotonic_now() + SWEEP_TIME;
    for (int fd; (fd = parking_take_any(&shim->parking, shim->epoll)) >= 0;)
        offer(shim, fd);
}

/* What the channel, those who are parked, and SIGTERM bring. */
static void wait_for_others(struct shim *shim, int milliseconds)
{
    struct epoll_event events[CHANNEL_BATCH];
    int n = epoll_wait(shim->epoll, events, CHANNEL_BATCH, milliseconds);
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 >= PARKING_EVENT)
            on_parked(shim, events[i].data.u64);
        else if (events[i].data.fd == shim->channel)
            channel_readable(shim);
        else if (events[i].data.fd == shim->term && !shim->told_to_leave)
            begin_sweep(shim);
    }
}

/* Takes from the listeners. Nobody waits at any of them, or time is up: that was the sweep. */
static void accept_clients(struct shim *shim, int milliseconds)
{
    bool others = listeners_wait(&shim->listeners, milliseconds);
    /* They come in turn, too; behind thousands of listeners SIGTERM would be heard late. */
    if (others || shim->listeners.ready_count == LISTENERS_TURN)
        wait_for_others(shim, 0);
    if (shim->phase == PHASE_SWEEPING && shim->listeners.ready_count == 0)
        shim->phase = PHASE_CLOSED;
    accept_batch(shim);
}

/* One turn: wait for something, do it. */
static void turn(struct shim *shim)
{
    bool accepting = accept_time(shim) <= monotonic_now();
    int wait = shim_milliseconds_until(next_time(shim, accepting));
    if (accepting)
        accept_clients(shim, wait);
    else
        wait_for_others(shim, wait);
    if (shim->phase == PHASE_SWEEPING && monotonic_now() >= shim->sweep_end)
        shim->phase = PHASE_CLOSED;

    if (shim->phase == PHASE_SWEEPING)
        flush(shim); /* it is quicker to take all who wait than to wait for them one by one */
    else
        hand_over(shim);
    uint64_t limit = patience(shim);
    if (shim->head != shim->tail && batch_at(shim, shim->head)->since + limit <= monotonic_now())
        time_out(shim, limit);
}

static bool has_clients(const struct shim *shim)
{
    return shim->head != shim->tail || shim->parking.head != shim->parking.tail;
}

static enum shim_exit serve_connection(struct shim *shim, int fd)
{
    if (shim->epoll < 0) { /* one of all the descriptors that this machine has not */
        con_lost_answer(&fd, 1, monotonic_now());
        return SHIM_SYSTEM;
    }
    shim->ring[0] = (struct batch){.fds = {fd}, .count = 1, .since = monotonic_now()};
    shim->tail = 1;
    hand_over(shim);
    while (has_clients(shim))
        turn(shim);
    return shim->outcome;
}

/*
 * From here on SIGTERM is an event like any other. As a signal that only a wait lets through it
 * would not be heard under load, since a wait that finds something ready lets none through.
 */
static void hear_term(struct shim *shim)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &term, NULL) < 0 ||
        (shim->term = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        shim_fail(SHIM_SYSTEM, "signals: ", strerror(errno));
    int r = watch(shim, EPOLL_CTL_ADD, shim->term, EPOLLIN);
    if (r < 0)
        shim_fail(SHIM_SYSTEM, "epoll_ctl: ", strerror(-r));
}

static bool may_leave(const struct shim *shim)
{
    if (has_clients(shim))
        return false;
    return shim->told_to_leave ? shim->phase == PHASE_CLOSED
                               : monotonic_now() >= shim->last_client + shim->options.linger;
}

static enum shim_exit serve_listeners(struct shim *shim, int first, unsigned count)
{
    if (shim->epoll < 0) /* nobody has been accepted */
        shim_fail(SHIM_SYSTEM, "epoll_create1: ", strerror(-shim->epoll));
    hear_term(shim); /* before the listeners: to open thousands takes some milliseconds */
    listeners_open(&shim->listeners, first, count, shim->epoll);
    shim->phase = PHASE_SERVING;
    shim->last_client = monotonic_now();
    while (!may_leave(shim))
        turn(shim);
    /* Who connects from here on waits in the backlog, which systemd or inetd watches again. */
    return SHIM_DONE;
}

/* --- Being started ---------------------------------------------------------------------------- */

static void require_stream_socket(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        shim_fail(SHIM_USAGE,
                  "expected a socket on descriptor 0 or from LISTEN_FDS: ", strerror(errno));
    if (type != SOCK_STREAM)
        shim_fail(SHIM_USAGE, "expected a stream socket", "");
}

static enum shim_exit serve(struct shim *shim)
{
    unsigned passed = listeners_passed();
    if (passed > 0)
        return serve_listeners(shim, LISTENERS_FIRST, passed);
    require_stream_socket(STDIN_FILENO);
    return listeners_is_listener(STDIN_FILENO) ? serve_listeners(shim, STDIN_FILENO, 1)
                                               : serve_connection(shim, STDIN_FILENO);
}

int main(int argc, char **argv)
{
    static struct shim shim = {.channel = -1};
    keep_standard_error_from_client();
    options_parse(&shim.options, argc, argv);
    shim.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (shim.epoll < 0)
        shim.epoll = -errno;
    return (int)serve(&shim);
}
