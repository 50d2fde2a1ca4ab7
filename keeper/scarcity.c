/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One after the other while memory is scarce.
 */
#include "keeper/scarcity.h"
#include "keeper/service.h"

static const uint64_t tenure = SCARCITY_TENURE;

static bool is_scarce(const struct service *service)
{
    return buffers_used() > service->settings.buffers_limit / 2;
}

/* Whoever waits goes on: the first alone while memory is scarce, else all. */
static void next(struct service *service)
{
    struct scarcity *scarcity = &service->scarcity;
    struct grower *grower;
    deadline_stop(&scarcity->tenure);
    scarcity->only = NULL;
    while (scarcity->only == NULL && (grower = TAILQ_FIRST(&scarcity->waiting)) != NULL) {
        TAILQ_REMOVE(&scarcity->waiting, grower, link);
        grower->waiting = false;
        if (is_scarce(service)) {
            scarcity->only = grower;
            deadline_start(&scarcity->tenures, &scarcity->tenure);
        }
        grower->may_grow(grower);
    }
}

static void on_tenure_over(struct deadline *deadline)
{
    next(CONTAINER_OF(deadline, struct service, scarcity.tenure));
}

bool scarcity_may_fill(struct service *service, struct grower *grower, const struct buffer *buffer)
{
    struct scarcity *scarcity = &service->scarcity;
    if (grower->waiting)
        return false;
    if (buffer->end < buffer->size || buffer->size < SCARCITY_SIZE)
        return true;
    if (!is_scarce(service)) {
        if (scarcity->only != NULL)
            next(service);
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

void scarcity_leave(struct service *service, struct grower *grower)
{
    struct scarcity *scarcity = &service->scarcity;
    if (grower->waiting)
        TAILQ_REMOVE(&scarcity->waiting, grower, link);
    grower->waiting = false;
    if (scarcity->only == grower)
        next(service);
}

void scarcity_setup(struct service *service)
{
    TAILQ_INIT(&service->scarcity.waiting);
    deadline_queue_add(&service->loop, &service->scarcity.tenures, &tenure, on_tenure_over);
}
