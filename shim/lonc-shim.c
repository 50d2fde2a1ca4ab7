/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc-shim hands client connections to lonc-keeper. No byte of a request passes through it: it
 * accepts, sends the descriptor over the private channel, waits for the acknowledgement and closes
 * its own copy. Where there is no keeper to take a client, it answers `con_lost` itself.
 *
 * One engine serves both ways of being started (DESIGN.md, "The shape"): a connection on descriptor
 * 0 is a batch that is already there; listeners (descriptor 0, or LISTEN_FDS from 3 on) make
 * batches as clients come. Batches wait in a ring, oldest first, until the keeper has acknowledged
 * them.
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/log.h"
#include "shim/farewell.h"
#include "shim/parking.h"
#include "shim/shim.h"

/*
 * Batches not acknowledged yet. A keeper that is merely busy is one or two behind; when it is
 * stuck, this many times 16 clients are counted down to their con_lost, and the rest wait in the
 * backlog.
 */
#define RING_SIZE 256

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

struct shim {
    struct shim_options options;
    int epoll;   /* or a negative errno */
    int channel; /* -1 while there is none */
    bool broken; /* the channel takes nothing more; what it still answers is read */
    int error;   /* of the last try to connect: 0 or a negative errno */
    uint64_t retry_at;

    int *listeners;
    unsigned listener_count;
    bool accepting;
    uint64_t last_client;
    sigset_t signals; /* serving listeners: those blocked while waiting; SIGTERM is not */

    /* ring[head .. sent) wait for an acknowledgement, ring[sent .. tail) for being sent. */
    struct batch ring[RING_SIZE];
    unsigned head, sent, tail;
    struct parking parking;

    bool said; /* that there is no keeper; once until there is one again */
    enum shim_exit outcome;
};

/* SIGTERM: the listeners are to be closed. Who is waiting there is still handed over. */
static volatile sig_atomic_t told_to_leave;

static void on_term(int signal)
{
    (void)signal;
    told_to_leave = 1;
}

uint64_t shim_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int shim_milliseconds_until(uint64_t when)
{
    uint64_t t = shim_now();
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
    if (farewell_is_said(shim->options.path))
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
    if (!unreachable && !told_to_leave)
        park_silent(shim, batch);
    if (batch->count == 0)
        return;
    shim->outcome = unreachable ? SHIM_UNREACHABLE : SHIM_UNANSWERED;
    say_no_keeper(shim, unreachable ? "unreachable" : "unanswered");
    farewell_answer(batch->fds, batch->count, batch->since + patience);
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
    shim->retry_at = shim_now() + RETRY_INTERVAL;
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
    if (shim->channel < 0 && shim_now() >= shim->retry_at)
        connect_channel(shim);
    while (shim->channel >= 0 && !shim->broken && has_due_batch(shim)) {
        struct batch *batch = batch_at(shim, shim->sent);
        int r = channel_send(shim->channel, batch->fds, batch->count);
        if (r == -EAGAIN || r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM) {
            shim->retry_at = shim_now() + RETRY_INTERVAL;
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
    shim->retry_at = shim_now() + (idle ? 0 : RETRY_INTERVAL);
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
 * is found now is final: the keeper either has a client or never will (DESIGN.md, "The hand-over").
 */
static void time_out(struct shim *shim, uint64_t patience)
{
    if (shim->channel >= 0) {
        shutdown(shim->channel, SHUT_RD);
        read_acknowledgements(shim, false);
        drop_channel(shim);
        shim->retry_at = 0;
    }
    uint64_t t = shim_now();
    while (shim->head != shim->tail && batch_at(shim, shim->head)->since + patience <= t)
        give_up_oldest(shim, patience);
    shim->sent = shim->head;
}

/* --- Clients ---------------------------------------------------------------------------------- */

/* Listeners are watched while the ring has room for another batch. */
static void update_accepting(struct shim *shim)
{
    bool accepting = shim->tail - shim->head < RING_SIZE;
    if (accepting == shim->accepting)
        return;
    for (unsigned i = 0; i < shim->listener_count; i++)
        (void)watch(shim, EPOLL_CTL_MOD, shim->listeners[i], accepting ? EPOLLIN : 0);
    shim->accepting = accepting;
}

/* The batch that is still being gathered, or an empty one; NULL while the ring is full. */
static struct batch *open_batch(struct shim *shim)
{
    struct batch *last = batch_at(shim, shim->tail - 1);
    if (shim->tail != shim->sent && last->count < CHANNEL_BATCH &&
        last->since + GATHER_TIME > shim_now())
        return last;
    if (shim->tail - shim->head == RING_SIZE)
        return NULL;
    struct batch *batch = batch_at(shim, shim->tail);
    batch->count = 0;
    return batch;
}

/* Somebody has joined the open batch, which had so many before. */
static void joined(struct shim *shim, struct batch *batch, unsigned before)
{
    shim->last_client = shim_now();
    if (before == 0) {
        batch->since = shim->last_client;
        shim->tail++;
    }
}

static void accept_batch(struct shim *shim, int listener)
{
    struct batch *batch = open_batch(shim);
    if (batch == NULL)
        return;
    unsigned before = batch->count;
    while (batch->count < CHANNEL_BATCH) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            batch->fds[batch->count++] = fd;
        else if (errno != EINTR && errno != ECONNABORTED)
            break;
    }
    bool full = batch->count == before &&
                (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
    if (full) /* The listener stays readable: wait for a descriptor instead of asking again. */
        poll(NULL, 0, RETRY_INTERVAL / 1000);
    if (batch->count > before)
        joined(shim, batch, before);
}

/* Who was parked is offered again, as if he had just come. */
static void offer(struct shim *shim, int fd)
{
    struct batch *batch = open_batch(shim);
    if (batch == NULL) {
        farewell_answer(&fd, 1, shim_now());
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

static int next_wait(struct shim *shim)
{
    uint64_t parked = parking_expire(&shim->parking, shim->epoll);
    uint64_t when = parked;
    if (shim->head != shim->tail)
        when = batch_at(shim, shim->head)->since + patience(shim);
    else if (parked == UINT64_MAX)
        when = shim->last_client + shim->options.linger;
    if (has_due_batch(shim) && !shim->broken && shim->retry_at < when)
        when = shim->retry_at;
    return shim_milliseconds_until(parked < when ? parked : when);
}

/* One turn: wait for something, do it. */
static void turn(struct shim *shim)
{
    struct epoll_event events[CHANNEL_BATCH];
    const sigset_t *signals = shim->listener_count > 0 ? &shim->signals : NULL;
    int n = epoll_pwait(shim->epoll, events, CHANNEL_BATCH, next_wait(shim), signals);
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 >= PARKING_EVENT)
            on_parked(shim, events[i].data.u64);
        else if (events[i].data.fd != shim->channel)
            accept_batch(shim, events[i].data.fd);
        else
            channel_readable(shim);
    }
    for (int fd; told_to_leave && (fd = parking_take_any(&shim->parking, shim->epoll)) >= 0;)
        offer(shim, fd);
    hand_over(shim);
    uint64_t limit = patience(shim);
    if (shim->head != shim->tail && batch_at(shim, shim->head)->since + limit <= shim_now())
        time_out(shim, limit);
    update_accepting(shim);
}

static bool has_clients(const struct shim *shim)
{
    return shim->head != shim->tail || shim->parking.head != shim->parking.tail;
}

static enum shim_exit serve_connection(struct shim *shim, int fd)
{
    if (shim->epoll < 0) { /* one of all the descriptors that this machine has not */
        farewell_answer(&fd, 1, shim_now());
        return SHIM_SYSTEM;
    }
    shim->ring[0] = (struct batch){.fds = {fd}, .count = 1, .since = shim_now()};
    shim->tail = 1;
    hand_over(shim);
    while (has_clients(shim))
        turn(shim);
    return shim->outcome;
}

/* From here on SIGTERM is heard while waiting, and only then. */
static void hear_term(struct shim *shim)
{
    struct sigaction action = {.sa_handler = on_term};
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigaction(SIGTERM, &action, NULL) < 0 || sigprocmask(SIG_BLOCK, &term, &shim->signals) < 0)
        shim_fail(SHIM_SYSTEM, "signals: ", strerror(errno));
    sigdelset(&shim->signals, SIGTERM);
}

static bool somebody_waits(const struct shim *shim)
{
    for (unsigned i = 0; i < shim->listener_count; i++) {
        struct pollfd listener = {.fd = shim->listeners[i], .events = POLLIN};
        if (poll(&listener, 1, 0) > 0 && (listener.revents & POLLIN) != 0)
            return true;
    }
    return false;
}

/*
 * Told to leave, a shim may be the only one who still has the listener (its host is now served the
 * other way): who connected before must not be forgotten.
 */
static bool may_leave(const struct shim *shim)
{
    if (has_clients(shim))
        return false;
    return told_to_leave ? !somebody_waits(shim)
                         : shim_now() >= shim->last_client + shim->options.linger;
}

static enum shim_exit serve_listeners(struct shim *shim)
{
    if (shim->epoll < 0) /* nobody has been accepted */
        shim_fail(SHIM_SYSTEM, "epoll_create1: ", strerror(-shim->epoll));
    shim->accepting = true;
    hear_term(shim);
    for (unsigned i = 0; i < shim->listener_count; i++) {
        /* A client may have left by the time it is accepted; that must not stop the others. */
        int on = 1;
        if (ioctl(shim->listeners[i], FIONBIO, &on) < 0)
            shim_fail(SHIM_SYSTEM, "FIONBIO: ", strerror(errno));
        int r = watch(shim, EPOLL_CTL_ADD, shim->listeners[i], EPOLLIN);
        if (r < 0)
            shim_fail(SHIM_SYSTEM, "epoll_ctl: ", strerror(-r));
    }
    shim->last_client = shim_now();
    while (!may_leave(shim))
        turn(shim);
    /* Who connects from here on waits in the backlog, which systemd or inetd watches again. */
    return SHIM_DONE;
}

/* --- Being started ---------------------------------------------------------------------------- */

/* The number of listeners systemd passed to this process (sd_listen_fds(3)), 0 for none. */
static unsigned listeners_passed(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
        return 0;
    long n = strtol(count, NULL, 10);
    return n > 0 && n <= 65536 ? (unsigned)n : 0;
}

static bool is_listener(int fd)
{
    int yes = 0;
    socklen_t size = sizeof(yes);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes != 0;
}

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
    shim->listener_count = listeners_passed();
    bool passed = shim->listener_count > 0;
    if (!passed)
        require_stream_socket(STDIN_FILENO);
    if (!passed && !is_listener(STDIN_FILENO))
        return serve_connection(shim, STDIN_FILENO);

    if (!passed)
        shim->listener_count = 1;
    int listeners[shim->listener_count];
    for (unsigned i = 0; i < shim->listener_count; i++) {
        listeners[i] = passed ? 3 + (int)i : STDIN_FILENO;
        require_stream_socket(listeners[i]);
        if (!is_listener(listeners[i]))
            shim_fail(SHIM_USAGE, "expected listening sockets from LISTEN_FDS", "");
    }
    shim->listeners = listeners;
    return serve_listeners(shim);
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
