/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Decides which long line may grow while memory is scarce. Lines that grow side by side would reach
 * the limit of all buffers together, each of them half read, and all be lost. So once half of the
 * limit is in use, only one of them grows at a time, and the others are not read, so that the
 * kernel holds back their senders. The first one is complete soon, and gives its memory back. Once
 * three quarters are in use, the next one waits for that.
 */
#ifndef LONC_KEEPER_CORE_SCARCITY_H
#define LONC_KEEPER_CORE_SCARCITY_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "common/buffer.h"
#include "keeper/core/loop.h"

/* How long one line may be the only one, in microseconds: enough for 64 MiB at 300 MB/s. Its sender
 * may be slow, while those of the others are not. */
#define SCARCITY_TENURE 250000

/* How often to look for room for the next one, in microseconds, and how many times at most: as long
 * as a tenure in all, since whoever reads the complete line may be slow, too. */
#define SCARCITY_PAUSE  5000
#define SCARCITY_PAUSES (SCARCITY_TENURE / SCARCITY_PAUSE)

/* From this size on, a buffer must ask before it grows. */
#define SCARCITY_SIZE ((size_t)1024 * 1024)

/* A request or reply that grows; embedded in its connection. */
struct grower {
    bool waiting;
    void (*may_grow)(struct grower *grower); /* it waits no longer */
    TAILQ_ENTRY(grower) link;
};

struct scarcity {
    const uint64_t *buffers_limit; /* the setting */
    struct grower *only;           /* whose turn it is; NULL: memory is not scarce, or none grows */
    struct grower nobody;          /* stands in `only` until there is room for the next one */
    TAILQ_HEAD(, grower) waiting;
    struct deadline tenure; /* of the only one */
    struct deadline pause;  /* before the next look for room */
    unsigned pauses;        /* how many more of them */
    struct deadline_queue tenures;
    struct deadline_queue pause_queue;
};

/* Once, before anything grows. `buffers_limit` must stay. */
void scarcity_init(struct scarcity *scarcity, struct loop *loop, const uint64_t *buffers_limit);

/*
 * Whether more may be read into this buffer, which grows when it is full. If not, the grower waits,
 * and `may_grow` will be called.
 */
MUST_CHECK bool scarcity_may_fill(struct scarcity *scarcity, struct grower *grower,
                                  const struct buffer *buffer);

/* The line grows no more: it is complete, gone, or dropped. Does nothing if it never asked. */
void scarcity_leave(struct scarcity *scarcity, struct grower *grower);

#endif
