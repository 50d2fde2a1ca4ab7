/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a request ends. Answers that the keeper gives without a host, as for an unknown one, are
 * client.c's.
 */
#include <stdlib.h>

#include "common/log.h"
#include "common/plural.h"
#include "keeper/host/answer.h"
#include "keeper/lond/request.h"

/*
 * With log_transactions every request leaves a message, otherwise con_lost does at debug level. A
 * message has the request's first word and its length, and nothing else of it (keeper/README.md
 * rule 10).
 */
static void log_answer(const struct transaction *transaction, enum reason reason, size_t reply)
{
    const struct core *core = transaction->host->core;
    char request[REQUEST_SUMMARY_SIZE];
    const struct log_about about = {
        .host = transaction->host->id,
        .reason = reason != REASON_NONE ? reason_word(reason) : NULL,
    };
    double took = (double)(core->loop.now - transaction->request_deadline.since) / 1e6;
    int priority = core->settings.log_transactions ? LOG_NOTICE : LOG_DEBUG;
    request_summary(transaction->request, transaction->length, request);
    if (reason == REASON_NONE)
        log_write(priority, &about, "%s answered with %zu byte%s after %.3f s", request, reply,
                  plural(reply), took);
    else
        log_write(priority, &about, "con_lost for %s: %s", request, reason_text(reason));
}

static void count_answer(const struct transaction *transaction, enum reason reason)
{
    struct host *host = transaction->host;
    struct core *core = host->core;
    uint64_t now = core->loop.now;
    host->answers[reason]++;
    core->answers[reason]++;
    uint64_t took = now - transaction->request_deadline.since;
    if (reason != REASON_NONE) {
        stats_con_lost(&core->stats, now, took);
        return;
    }
    if (host->latency == NULL && (host->latency = calloc(1, sizeof(*host->latency))) != NULL)
        host->latency->since = now; /* without memory, only the core's statistics have it */
    stats_reply(&core->stats, host->latency, now, took);
}

/* The one place where a transaction ends. */
static void end_transaction(struct transaction *transaction, enum reason reason,
                            struct buffer *reply, size_t length)
{
    struct host *host = transaction->host;
    if (transaction->background)
        host->background_active = false;
    else
        count_answer(transaction, reason);
    deadline_stop(&transaction->queue_deadline);
    deadline_stop(&transaction->request_deadline);
    transaction->state = TRANSACTION_NONE;
    if (reason != REASON_NONE || host->core->settings.log_transactions)
        log_answer(transaction, reason, length);
    transaction->done(transaction, reason, reply, length);
}

void answer_reply(struct transaction *transaction, struct buffer *reply, size_t length)
{
    end_transaction(transaction, REASON_NONE, reply, length);
}

void answer_con_lost(struct transaction *transaction, enum reason reason)
{
    end_transaction(transaction, reason, NULL, 0);
}
