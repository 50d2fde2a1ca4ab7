/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Handing clients over to the keeper (shim/README.md, "The hand-over"): the clients in the shim's
 * hands, in batches; the private channel; and what becomes of clients that the keeper does not
 * take.
 *
 * Batches stand in a ring, oldest first. The ones before `sent` were sent and wait for their
 * acknowledgement, which comes in the same order; the last one may still get more clients.
 *
 *     head ........ sent ........ tail
 *       sent, not        to be
 *     acknowledged       sent
 */
#ifndef LONC_SHIM_HANDOVER_H
#define LONC_SHIM_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/channel.h"
#include "shim/exit.h"
#include "shim/idle_clients.h"

/*
 * How many batches there may be. A keeper that is merely busy has one; for a stuck one, so many
 * times CHANNEL_BATCH clients are counted down to their con_lost, and the others wait in the
 * listeners' backlogs.
 */
#define HANDOVER_BATCHES 256

/*
 * Nothing tells when the channel's full backlog has room again, when fewer descriptors are in
 * flight, or when the machine has a descriptor again: it is tried after this, in microseconds.
 */
#define HANDOVER_RETRY 10000

struct batch {
    int fds[CHANNEL_BATCH];
    unsigned count;
    uint64_t since; /* when the first client came; all times are of monotonic_now */
};

struct handover {
    const char *path; /* of the channel */
    uint64_t ack_timeout;
    int epoll;                 /* watches the channel; the owner's */
    struct idle_clients *idle; /* for clients to which no answer is due; NULL: they get con_lost */

    int channel;       /* -1 while there is none */
    bool broken;       /* it takes nothing more; acknowledgements may still lie in it */
    int connect_error; /* of the last connection: 0 or a negative errno */
    uint64_t retry_at; /* nothing is sent before */

    struct batch ring[HANDOVER_BATCHES];
    unsigned head, sent, tail;
    uint64_t progress_at;     /* when a batch was last acknowledged, or came into an empty ring */
    uint64_t acknowledged_at; /* when a batch was last acknowledged, which freed descriptors */

    bool reported; /* that there is no keeper; until one acknowledges again */
    enum shim_exit outcome;
};

/*
 * `handover` is zeroed memory; it is large, and what is not used of it is not touched. Nothing is
 * connected before there is a client. `path`, `epoll` and `idle` must stay.
 */
void handover_open(struct handover *handover, const char *path, uint64_t ack_timeout, int epoll,
                   struct idle_clients *idle);

/* The shim is to end: from now on clients that have asked nothing are not kept either. */
void handover_drain(struct handover *handover);

bool handover_is_empty(const struct handover *handover);
bool handover_has_room(const struct handover *handover);

/*
 * The batch that new clients join; NULL if there is no room. The caller puts the descriptors
 * behind the first `count` of its `fds` and says by handover_added how many, before it calls
 * anything else here. From then on the descriptors are the handover's.
 */
struct batch *handover_open_batch(struct handover *handover);
void handover_added(struct handover *handover, struct batch *batch, unsigned added);

/* The same for one client. If there is no room it is answered con_lost. */
void handover_add(struct handover *handover, int fd);

/* Sends what is due, as far as the channel takes it. Never waits. */
void handover_send(struct handover *handover);

/*
 * The same, and waits a moment for the acknowledgement, which mostly takes some microseconds: a
 * client that comes meanwhile would only wake the shim, which can do nothing for it before that.
 */
void handover_run(struct handover *handover);

/* Whether this descriptor is the channel; and: epoll says that it is readable. */
bool handover_is_channel(const struct handover *handover, int fd);
void handover_channel_ready(struct handover *handover);

/* When there is something to do even if nothing happens; UINT64_MAX for never. */
uint64_t handover_next_time(const struct handover *handover);

/* Gives up the batches that have waited too long: their clients get con_lost, or become idle. */
void handover_expire(struct handover *handover);

#endif
