/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One after the other while memory is scarce.
 */
#include "keeper/core/scarcity.h"
#include "keeper/core/core.h"

static const uint64_t tenure = SCARCITY_TENURE;
static const uint64_t pause_length = SCARCITY_PAUSE;

static bool is_scarce(const struct core *core)
{
    return buffers_used() > core->settings.buffers_limit / 2;
}

/* Whether a line that grows might find no room, since those that are complete have not left yet. */
static bool is_full(const struct core *core)
{
    return buffers_used() > core->settings.buffers_limit / 4 * 3;
}

/* Whoever waits goes on: the first alone while memory is scarce, else all. */
static void next(struct core *core)
{
    struct scarcity *scarcity = &core->scarcity;
    struct grower *grower;
    deadline_stop(&scarcity->tenure);
    deadline_stop(&scarcity->pause);
    scarcity->pauses = SCARCITY_PAUSES;
    scarcity->only = NULL;
    while (scarcity->only == NULL && (grower = TAILQ_FIRST(&scarcity->waiting)) != NULL) {
        TAILQ_REMOVE(&scarcity->waiting, grower, link);
        grower->waiting = false;
        if (is_scarce(core)) {
            scarcity->only = grower;
            deadline_start(&scarcity->tenures, &scarcity->tenure);
        }
        grower->may_grow(grower);
    }
}

static void on_tenure_over(struct deadline *deadline)
{
    next(CONTAINER_OF(deadline, struct core, scarcity.tenure));
}

/* The only one is complete, or gone. */
static void next_with_room(struct core *core)
{
    struct scarcity *scarcity = &core->scarcity;
    if (TAILQ_EMPTY(&scarcity->waiting) || scarcity->pauses == 0 || !is_full(core)) {
        next(core);
        return;
    }
    scarcity->pauses--;
    scarcity->only = &scarcity->nobody;
    deadline_stop(&scarcity->tenure);
    deadline_start(&scarcity->pause_queue, &scarcity->pause);
}

static void on_pause_over(struct deadline *deadline)
{
    next_with_room(CONTAINER_OF(deadline, struct core, scarcity.pause));
}

bool scarcity_may_fill(struct core *core, struct grower *grower, const struct buffer *buffer)
{
    struct scarcity *scarcity = &core->scarcity;
    if (grower->waiting)
        return false;
    if (buffer->end < buffer->size || buffer->size < SCARCITY_SIZE)
        return true;
    if (!is_scarce(core)) {
        if (scarcity->only != NULL)
            next(core);
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

void scarcity_leave(struct core *core, struct grower *grower)
{
    struct scarcity *scarcity = &core->scarcity;
    if (grower->waiting)
        TAILQ_REMOVE(&scarcity->waiting, grower, link);
    grower->waiting = false;
    if (scarcity->only == grower)
        next_with_room(core);
}

void scarcity_setup(struct core *core)
{
    TAILQ_INIT(&core->scarcity.waiting);
    core->scarcity.pauses = SCARCITY_PAUSES;
    deadline_queue_add(&core->loop, &core->scarcity.tenures, &tenure, on_tenure_over);
    deadline_queue_add(&core->loop, &core->scarcity.pause_queue, &pause_length, on_pause_over);
}
