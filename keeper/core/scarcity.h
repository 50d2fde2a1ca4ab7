/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may grow while memory is scarce. Long lines that grow side by side would reach the bound of
 * all buffers together, each half read, and all be lost. So past half of the bound one of them
 * grows at a time, and the others wait unread: the kernel holds back who sends them. Soon the first
 * is complete, and its memory on the way back. Past three quarters, the next one waits for that.
 */
#ifndef LONC_KEEPER_CORE_SCARCITY_H
#define LONC_KEEPER_CORE_SCARCITY_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "common/buffer.h"
#include "keeper/core/loop.h"

/* How long one may be the only one, in microseconds: enough for 64 MiB at 300 MB/s. It may be slow,
 * and those who wait are not. */
#define SCARCITY_TENURE 250000

/* How often it is looked whether there is room for the next one, in microseconds, and how many
 * times at most: a tenure's length in all, for who reads what is complete may be slow, too. */
#define SCARCITY_PAUSE  5000
#define SCARCITY_PAUSES (SCARCITY_TENURE / SCARCITY_PAUSE)

/* From this size on a buffer waits before it grows. */
#define SCARCITY_SIZE ((size_t)1024 * 1024)

/* A request or reply that grows; embedded in its connection. */
struct grower {
    bool waiting;
    void (*may_grow)(struct grower *grower); /* it waits no longer */
    TAILQ_ENTRY(grower) link;
};

struct scarcity {
    struct grower *only;  /* whose turn it is; NULL: memory is not scarce, or nobody grows */
    struct grower nobody; /* whose turn it is until there is room for the next one */
    TAILQ_HEAD(, grower) waiting;
    struct deadline tenure; /* of the only one */
    struct deadline pause;  /* of nobody */
    unsigned pauses;        /* how many there may still be */
    struct deadline_queue tenures;
    struct deadline_queue pause_queue;
};

struct core;

void scarcity_setup(struct core *core);

/*
 * Whether more may be read into its buffer, which grows when it is full. If not, it waits, and
 * `may_grow` will be called.
 */
bool scarcity_may_fill(struct core *core, struct grower *grower, const struct buffer *buffer);

/* It grows no more: it is complete, or gone, or will not be kept. Nothing where it never asked. */
void scarcity_leave(struct core *core, struct grower *grower);

#endif
