/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Queues of requests. Who leaves a queue, and when, is host.c's to decide, but for a request that
 * has waited too long.
 */
#include "keeper/host/queue.h"
#include "keeper/host/answer.h"

bool queue_has_room(struct host *host)
{
    struct hosts *hosts = host->hosts;
    const struct settings *settings = &host->core->settings;
    if (host->queued >= settings->queue_per_host) {
        limit_reached(host->core, &host->queue_limit, host->id);
        return false;
    }
    if (hosts->queued >= settings->queue_total) {
        limit_reached(host->core, &hosts->queue_limit, NULL);
        return false;
    }
    return true;
}

/* It stands in the queue now. */
static void note_queued(struct transaction *transaction)
{
    struct host *host = transaction->host;
    struct hosts *hosts = host->hosts;
    transaction->state = TRANSACTION_QUEUED;
    host->queued++;
    hosts->queued++;
    core_changed(host->core);
    stats_queued(&host->core->stats, host->core->loop.now, hosts->queued);
    deadline_start(&hosts->queue_timeouts, &transaction->queue_deadline);
}

void queue_append(struct transaction *transaction)
{
    TAILQ_INSERT_TAIL(&transaction->host->queue, transaction, link);
    note_queued(transaction);
}

void queue_put_back(struct transaction *transaction)
{
    TAILQ_INSERT_HEAD(&transaction->host->queue, transaction, link);
    note_queued(transaction);
}

void queue_remove(struct transaction *transaction)
{
    struct host *host = transaction->host;
    struct hosts *hosts = host->hosts;
    const struct settings *settings = &host->core->settings;
    deadline_stop(&transaction->queue_deadline);
    TAILQ_REMOVE(&host->queue, transaction, link);
    host->queued--;
    hosts->queued--;
    core_changed(host->core);
    /* Not before a queue is half empty, so that one at its limit does not fill the log. */
    if (host->queued <= settings->queue_per_host / 2)
        limit_left(host->core, &host->queue_limit, host->id);
    if (hosts->queued <= settings->queue_total / 2)
        limit_left(host->core, &hosts->queue_limit, NULL);
}

void queue_fail(struct host *host, enum reason reason)
{
    for (size_t left = host->queued; left > 0 && host->queued > 0; left--) {
        struct transaction *first = TAILQ_FIRST(&host->queue);
        queue_remove(first);
        answer_con_lost(first, reason);
    }
}

static void on_waited_too_long(struct deadline *deadline)
{
    struct transaction *transaction = CONTAINER_OF(deadline, struct transaction, queue_deadline);
    queue_remove(transaction);
    answer_con_lost(transaction, REASON_QUEUE_TIMEOUT);
}

void queue_setup(struct hosts *hosts)
{
    deadline_queue_add(&hosts->core->loop, &hosts->queue_timeouts,
                       &hosts->core->settings.queue_timeout, on_waited_too_long);
}
