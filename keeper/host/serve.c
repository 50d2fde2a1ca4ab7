/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sending requests on connections that have nothing to do.
 */
#include <errno.h>

#include "keeper/host/answer.h"
#include "keeper/host/attempts.h"
#include "keeper/host/pool.h"
#include "keeper/host/queue.h"
#include "keeper/host/serve.h"
#include "keeper/lond/send.h"

bool serve_request(struct host *host, struct transaction *transaction)
{
    struct lond *lond;
    while ((lond = pool_first_idle(host)) != NULL) {
        int r = send_request(lond, transaction);
        if (r == 0) {
            transaction->state = TRANSACTION_ACTIVE;
            transaction->lond = lond;
            pool_move(lond, POOL_BUSY);
            return true;
        }
        if (r == -ENOBUFS || r == -ENOMEM) {
            limit_reached(host->core, &host->core->memory_limit, NULL);
            answer_con_lost(transaction, REASON_NO_MEMORY);
            return true;
        }
        pool_close(lond);
    }
    return false;
}

static void serve_queue(struct host *host)
{
    struct transaction *first;
    struct core *core = host->core;
    while (!host->paused && (first = TAILQ_FIRST(&host->queue)) != NULL &&
           !LIST_EMPTY(&host->pool[POOL_IDLE])) {
        queue_remove(first);
        stats_sent(&core->stats, core->loop.now, core->loop.now - first->queue_deadline.since);
        if (!serve_request(host, first)) {
            queue_put_back(first);
            return;
        }
    }
}

/* While no client waits, an idle connection serves the background. */
static void serve_background(struct host *host)
{
    if (host->background == NULL || host->background_active || host->core->stopping ||
        host->paused || !TAILQ_EMPTY(&host->queue) || pool_first_idle(host) == NULL)
        return;
    struct transaction *transaction = host->background->next(host->background);
    if (transaction == NULL) {
        host->background = NULL;
        return;
    }
    transaction->host = host;
    host->background_active = true;
    deadline_start(&host->hosts->request_timeouts, &transaction->request_deadline);
    if (!serve_request(host, transaction))
        answer_con_lost(transaction, REASON_LOST);
}

void serve_waiting(struct host *host)
{
    serve_queue(host);
    serve_background(host);
    attempts_start(host);
}
