/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One grower after the other while memory is scarce.
 */
#include "keeper/core/scarcity.h"

static const uint64_t tenure = SCARCITY_TENURE;
static const uint64_t pause_length = SCARCITY_PAUSE;

static bool is_scarce(const struct scarcity *scarcity)
{
    return buffers_used() > *scarcity->buffers_limit / 2;
}

/* Whether a growing line might find no room, because complete ones have not been sent yet. */
static bool is_full(const struct scarcity *scarcity)
{
    return buffers_used() > *scarcity->buffers_limit / 4 * 3;
}

/* Lets those that wait go on: only the first one while memory is scarce, else all of them. */
static void admit_next(struct scarcity *scarcity)
{
    struct grower *grower;
    deadline_stop(&scarcity->tenure);
    deadline_stop(&scarcity->pause);
    scarcity->pauses = SCARCITY_PAUSES;
    scarcity->only = NULL;
    while (scarcity->only == NULL && (grower = TAILQ_FIRST(&scarcity->waiting)) != NULL) {
        TAILQ_REMOVE(&scarcity->waiting, grower, link);
        grower->waiting = false;
        if (is_scarce(scarcity)) {
            scarcity->only = grower;
            deadline_start(&scarcity->tenures, &scarcity->tenure);
        }
        grower->may_grow(grower);
    }
}

static void on_tenure_over(struct deadline *deadline)
{
    admit_next(CONTAINER_OF(deadline, struct scarcity, tenure));
}

/* The only grower is complete or gone. The next one waits until there is room for it. */
static void admit_next_with_room(struct scarcity *scarcity)
{
    if (TAILQ_EMPTY(&scarcity->waiting) || scarcity->pauses == 0 || !is_full(scarcity)) {
        admit_next(scarcity);
        return;
    }
    scarcity->pauses--;
    scarcity->only = &scarcity->nobody;
    deadline_stop(&scarcity->tenure);
    deadline_start(&scarcity->pause_queue, &scarcity->pause);
}

static void on_pause_over(struct deadline *deadline)
{
    admit_next_with_room(CONTAINER_OF(deadline, struct scarcity, pause));
}

bool scarcity_may_fill(struct scarcity *scarcity, struct grower *grower,
                       const struct buffer *buffer)
{
    if (grower->waiting)
        return false;
    if (buffer->end < buffer->size || buffer->size < SCARCITY_SIZE)
        return true;
    if (!is_scarce(scarcity)) {
        if (scarcity->only != NULL)
            admit_next(scarcity);
        return true;
    }
    if (scarcity->only == NULL) {
        scarcity->only = grower;
        deadline_start(&scarcity->tenures, &scarcity->tenure);
    }
    if (scarcity->only == grower)
        return true;
    grower->waiting = true;
    TAILQ_INSERT_TAIL(&scarcity->waiting, grower, link);
    return false;
}

void scarcity_leave(struct scarcity *scarcity, struct grower *grower)
{
    if (grower->waiting)
        TAILQ_REMOVE(&scarcity->waiting, grower, link);
    grower->waiting = false;
    if (scarcity->only == grower)
        admit_next_with_room(scarcity);
}

void scarcity_init(struct scarcity *scarcity, struct loop *loop, const uint64_t *buffers_limit)
{
    *scarcity = (struct scarcity){.buffers_limit = buffers_limit, .pauses = SCARCITY_PAUSES};
    TAILQ_INIT(&scarcity->waiting);
    deadline_queue_add(loop, &scarcity->tenures, &tenure, on_tenure_over);
    deadline_queue_add(loop, &scarcity->pause_queue, &pause_length, on_pause_over);
}
