/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See handover.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "shim/con_lost.h"
#include "shim/epoll.h"
#include "shim/handover.h"

/*
 * How long clients may join one batch, in microseconds: they are given up together, and none of
 * them is to get its con_lost much too early.
 */
#define GATHER_TIME 10000

/*
 * How long clients wait at most if nobody listens at the channel, in microseconds: a keeper that
 * binds its own sockets may be restarting.
 */
#define UNREACHABLE_TIMEOUT 1000000

void handover_open(struct handover *handover, const char *path, uint64_t ack_timeout, int epoll,
                   struct idle_clients *idle)
{
    handover->path = path;
    handover->ack_timeout = ack_timeout;
    handover->epoll = epoll;
    handover->idle = idle;
    handover->channel = -1;
}

void handover_drain(struct handover *handover)
{
    handover->idle = NULL;
}

/* --- The ring --------------------------------------------------------------------------------- */

static struct batch *batch_at(struct handover *handover, unsigned index)
{
    return &handover->ring[index % HANDOVER_BATCHES];
}

static uint64_t oldest_since(const struct handover *handover)
{
    return handover->ring[handover->head % HANDOVER_BATCHES].since;
}

bool handover_is_empty(const struct handover *handover)
{
    return handover->head == handover->tail;
}

bool handover_has_room(const struct handover *handover)
{
    return handover->tail - handover->head < HANDOVER_BATCHES;
}

struct batch *handover_open_batch(struct handover *handover)
{
    struct batch *last = batch_at(handover, handover->tail - 1);
    if (handover->tail != handover->sent && last->count < CHANNEL_BATCH &&
        last->since + GATHER_TIME > monotonic_now())
        return last;
    if (!handover_has_room(handover))
        return NULL;
    struct batch *batch = batch_at(handover, handover->tail);
    batch->count = 0;
    return batch;
}

void handover_added(struct handover *handover, struct batch *batch, unsigned added)
{
    bool is_new = batch->count == 0;
    batch->count += added;
    if (!is_new || added == 0)
        return;
    batch->since = monotonic_now();
    if (handover_is_empty(handover))
        handover->progress_at = batch->since;
    handover->tail++;
}

void handover_add(struct handover *handover, int fd)
{
    struct batch *batch = handover_open_batch(handover);
    if (batch == NULL) {
        con_lost_answer(&fd, 1, monotonic_now());
        return;
    }
    batch->fds[batch->count] = fd;
    handover_added(handover, batch, 1);
}

/* The keeper has the clients of the oldest batch. */
static void close_oldest(struct handover *handover)
{
    struct batch *batch = batch_at(handover, handover->head);
    for (unsigned i = 0; i < batch->count; i++)
        close(batch->fds[i]);
    handover->head++;
    handover->progress_at = handover->acknowledged_at = monotonic_now();
    handover->reported = false;
}

/* --- The channel ------------------------------------------------------------------------------ */

/* What was sent and not acknowledged will be sent again, to the next keeper. */
static void close_channel(struct handover *handover)
{
    close(handover->channel);
    handover->channel = -1;
    handover->broken = false;
    handover->sent = handover->head;
}

static void connect_channel(struct handover *handover)
{
    int channel = channel_connect(handover->path);
    handover->connect_error =
        channel < 0 ? channel : epoll_add(handover->epoll, channel, (unsigned)channel);
    handover->retry_at = monotonic_now() + HANDOVER_RETRY;
    if (handover->connect_error == 0)
        handover->channel = channel;
    else if (channel >= 0)
        close(channel);
}

/*
 * Whether there is a batch to send. A keeper that has not acknowledged the last one is busy and
 * would not look at another any sooner, so clients gather in the next batch. That way, under load,
 * one message, one acknowledgement and two wake-ups serve many clients.
 */
static bool has_due_batch(const struct handover *handover)
{
    if (handover->sent == handover->tail)
        return false;
    return handover->head == handover->sent || handover->tail - handover->sent > 1 ||
           handover->ring[handover->sent % HANDOVER_BATCHES].count == CHANNEL_BATCH;
}

void handover_send(struct handover *handover)
{
    if (!has_due_batch(handover))
        return;
    if (handover->channel < 0 && monotonic_now() >= handover->retry_at)
        connect_channel(handover);
    while (handover->channel >= 0 && !handover->broken && has_due_batch(handover)) {
        struct batch *batch = batch_at(handover, handover->sent);
        int r = channel_send(handover->channel, batch->fds, batch->count);
        if (r == -EAGAIN || r == -ETOOMANYREFS || r == -ENOBUFS || r == -ENOMEM) {
            handover->retry_at = monotonic_now() + HANDOVER_RETRY;
            return;
        }
        if (r < 0) {
            /* Acknowledgements may still lie in the channel; its end comes after them. */
            handover->broken = true;
            return;
        }
        handover->sent++;
    }
}

/*
 * Takes the acknowledgements that are there; with `wait`, waits a moment for the first one. 0, or
 * -EPIPE at the end of the channel.
 */
static int read_acknowledgements(struct handover *handover, bool wait)
{
    for (; handover->head != handover->sent; wait = false) {
        int r = wait ? channel_await_acknowledgement(handover->channel)
                     : channel_read_acknowledgement(handover->channel);
        if (r == -EAGAIN)
            return 0;
        if (r <= 0)
            return -EPIPE;
        close_oldest(handover);
    }
    return 0;
}

/* A keeper that ended with our clients in its hands is not asked again at once. */
static void reconnect_later(struct handover *handover, bool had_clients)
{
    close_channel(handover);
    handover->retry_at = monotonic_now() + (had_clients ? HANDOVER_RETRY : 0);
}

bool handover_is_channel(const struct handover *handover, int fd)
{
    return fd == handover->channel;
}

void handover_channel_ready(struct handover *handover)
{
    bool had_clients = handover->head != handover->sent;
    /* While no acknowledgement is due, only the end of the channel can be there to read. */
    if (read_acknowledgements(handover, false) < 0 || !had_clients)
        reconnect_later(handover, had_clients);
}

void handover_run(struct handover *handover)
{
    unsigned before = handover->sent;
    handover_send(handover);
    if (handover->sent != before && !handover->broken && read_acknowledgements(handover, true) < 0)
        reconnect_later(handover, true);
}

/* --- Giving up -------------------------------------------------------------------------------- */

/* How long a batch may wait, given what is known of the keeper. */
static uint64_t time_limit(const struct handover *handover)
{
    int error = handover->connect_error;
    bool nobody_listens = handover->channel < 0 && (error == -ECONNREFUSED || error == -ENOENT ||
                                                    error == -EACCES || error == -ENAMETOOLONG);
    return nobody_listens && UNREACHABLE_TIMEOUT < handover->ack_timeout ? UNREACHABLE_TIMEOUT
                                                                         : handover->ack_timeout;
}

uint64_t handover_next_time(const struct handover *handover)
{
    if (handover_is_empty(handover))
        return UINT64_MAX;
    uint64_t when = oldest_since(handover) + time_limit(handover);
    if (has_due_batch(handover) && !handover->broken && handover->retry_at < when)
        when = handover->retry_at;
    return when;
}

static void report_no_keeper(struct handover *handover, const char *why)
{
    int error = handover->connect_error;
    if (handover->reported)
        return;
    handover->reported = true;
    if (!con_lost_may_log(handover->path))
        return;
    log_open("lonc-shim", LOG_TARGET_AUTO, LOG_NOTICE, LOG_JOURNAL_SOCKET);
    log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_KEEPER_MISSING, .reason = why},
              "no keeper takes clients at %s (%s%s%s); they are answered con_lost", handover->path,
              why, error != 0 ? ": " : "", error != 0 ? strerror(-error) : "");
}

/* A client that has asked nothing is owed no answer while a keeper exists that may take it later.
 */
static void keep_idle_clients(struct handover *handover, struct batch *batch)
{
    unsigned count = batch->count;
    batch->count = 0;
    for (unsigned i = 0; i < count; i++)
        if (idle_clients_add(handover->idle, batch->fds[i]) < 0)
            batch->fds[batch->count++] = batch->fds[i];
}

/*
 * A client that is still writing gets some time from when its batch was due, not from now. So the
 * times that the clients of many batches take do not add up: batches that became due meanwhile have
 * none left.
 */
static void give_up_oldest(struct handover *handover, uint64_t limit)
{
    struct batch *batch = batch_at(handover, handover->head);
    int error = handover->connect_error;
    bool unreachable = handover->channel < 0 && error != 0 && error != -EAGAIN;
    handover->head++;
    if (!unreachable && handover->idle != NULL)
        keep_idle_clients(handover, batch);
    if (batch->count == 0)
        return;
    handover->outcome = unreachable ? SHIM_UNREACHABLE : SHIM_UNANSWERED;
    report_no_keeper(handover, unreachable ? "unreachable" : "unanswered");
    con_lost_answer(batch->fds, batch->count, batch->since + limit);
}

void handover_expire(struct handover *handover)
{
    uint64_t limit = time_limit(handover);
    if (handover_is_empty(handover) || oldest_since(handover) + limit > monotonic_now())
        return;
    if (handover->channel >= 0) {
        /* No acknowledgement can arrive after the shutdown, so what is found now is final: the
         * keeper either has a client or never will (shim/README.md, "The hand-over"). */
        shutdown(handover->channel, SHUT_RD);
        (void)read_acknowledgements(handover, false);
        close_channel(handover);
        handover->retry_at = 0;
    }
    uint64_t now = monotonic_now();
    while (!handover_is_empty(handover) && oldest_since(handover) + limit <= now)
        give_up_oldest(handover, limit);
    handover->sent = handover->head;
}
