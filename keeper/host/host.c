/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A remote host: pool, queue and health together. The rules of health are health.c's.
 *
 * Whatever answers a request does so last: the client may ask its next one from inside the answer.
 */
#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/host/host.h"
#include "keeper/lond/credentials.h"
#include "keeper/lond/request.h"

static void pump(struct host *host);

/* --- Answers ---------------------------------------------------------------------------------- */

/*
 * Every request leaves a message for whoever asks for that, debug's con_lost else. Of a request,
 * only its first word and its length may be in a log (keeper/README.md rule 10).
 */
static void say_answered(const struct transaction *transaction, enum reason reason, size_t reply)
{
    const struct core *core = transaction->host->core;
    /* Of a megabyte, what matters is at its beginning. */
    size_t looked_at = transaction->length - 1 < 512 ? transaction->length - 1 : 512;
    struct request_shown shown = request_shown(transaction->request, looked_at);
    int word = (int)shown.word_length;
    const struct log_about about = {
        .host = transaction->host->id,
        .reason = reason != REASON_NONE ? reason_word(reason) : NULL,
    };
    double took = (double)(core->loop.now - transaction->whole.since) / 1e6;
    int priority = core->settings.log_transactions ? LOG_NOTICE : LOG_DEBUG;
    if (reason == REASON_NONE)
        log_write(priority, &about, "%.*s (%zu bytes) answered with %zu bytes after %.3f s", word,
                  shown.word, transaction->length, reply, took);
    else
        log_write(priority, &about, "con_lost for %.*s (%zu bytes): %s", word, shown.word,
                  transaction->length, reason_text(reason));
}

static void count_answer(const struct transaction *transaction, enum reason reason)
{
    struct host *host = transaction->host;
    struct core *core = host->core;
    uint64_t now = core->loop.now;
    host->answers[reason]++;
    core->answers[reason]++;
    uint64_t took = now - transaction->whole.since;
    if (reason != REASON_NONE) {
        stats_con_lost(&core->stats, now, took);
        return;
    }
    if (host->latency == NULL && (host->latency = calloc(1, sizeof(*host->latency))) != NULL)
        host->latency->since = now; /* without memory, the host's own is not known yet */
    stats_reply(&core->stats, host->latency, now, took);
}

/*
 * The one place where a transaction ends. With REASON_NONE, the reply is the first `length` bytes
 * of `reply`; with any other, that is NULL.
 */
static void end_transaction(struct transaction *transaction, enum reason reason,
                            struct buffer *reply, size_t length)
{
    struct core *core = transaction->host->core;
    if (!transaction->background)
        count_answer(transaction, reason);
    deadline_stop(&transaction->waiting);
    deadline_stop(&transaction->whole);
    transaction->state = TRANSACTION_NONE;
    if (transaction->background)
        transaction->host->background_active = false;
    if (reason != REASON_NONE || core->settings.log_transactions)
        say_answered(transaction, reason, length);
    transaction->done(transaction, reason, reply, length);
}

static void lose_transaction(struct transaction *transaction, enum reason reason)
{
    end_transaction(transaction, reason, NULL, 0);
}

/* --- The queue -------------------------------------------------------------------------------- */

static void enqueue(struct transaction *transaction)
{
    struct host *host = transaction->host;
    transaction->state = TRANSACTION_QUEUED;
    TAILQ_INSERT_TAIL(&host->queue, transaction, link);
    host->queued++;
    host->hosts->queued++;
    core_changed(host->core);
    stats_queued(&host->core->stats, host->core->loop.now, host->hosts->queued);
    deadline_start(&host->hosts->waiting, &transaction->waiting);
}

/* A request of which its lost connection took no byte is the next one still. */
static void enqueue_first(struct transaction *transaction)
{
    struct host *host = transaction->host;
    enqueue(transaction);
    TAILQ_REMOVE(&host->queue, transaction, link);
    TAILQ_INSERT_HEAD(&host->queue, transaction, link);
}

static void dequeue(struct transaction *transaction)
{
    struct host *host = transaction->host;
    struct core *core = host->core;
    deadline_stop(&transaction->waiting);
    TAILQ_REMOVE(&host->queue, transaction, link);
    host->queued--;
    host->hosts->queued--;
    core_changed(core);
    /* Not before it is half empty, so that a queue at its edge does not fill the log. */
    if (host->queued <= core->settings.queue_per_host / 2)
        limit_left(core, &host->queue_limit, host->id);
    if (host->hosts->queued <= core->settings.queue_total / 2)
        limit_left(core, &host->hosts->queue_limit, NULL);
}

static bool may_enqueue(struct host *host)
{
    struct core *core = host->core;
    if (host->queued >= core->settings.queue_per_host) {
        limit_reached(core, &host->queue_limit, host->id);
        return false;
    }
    if (host->hosts->queued >= core->settings.queue_total) {
        limit_reached(core, &host->hosts->queue_limit, NULL);
        return false;
    }
    return true;
}

void host_fail_queue(struct host *host, enum reason reason)
{
    /* What an answered client asks next is not among those that are failed here. */
    for (size_t left = host->queued; left > 0 && host->queued > 0; left--) {
        struct transaction *first = TAILQ_FIRST(&host->queue);
        dequeue(first);
        lose_transaction(first, reason);
    }
}

static void on_waited_too_long(struct deadline *deadline)
{
    struct transaction *transaction = CONTAINER_OF(deadline, struct transaction, waiting);
    dequeue(transaction);
    lose_transaction(transaction, REASON_QUEUE_TIMEOUT);
}

/* --- The pool --------------------------------------------------------------------------------- */

static unsigned pool_total(const struct host *host)
{
    unsigned total = 0;
    for (unsigned list = 0; list < POOL_LISTS; list++)
        total += host->pool_count[list];
    return total;
}

static void pool_insert(struct lond *lond, enum pool_list list)
{
    lond->place.list = list;
    LIST_INSERT_HEAD(&lond->place.host->pool[list], lond, place.link);
    lond->place.host->pool_count[list]++;
}

static void pool_remove(struct lond *lond)
{
    LIST_REMOVE(lond, place.link);
    lond->place.host->pool_count[lond->place.list]--;
}

/* Changes a connection's state in the pool; the one place that does. */
static void pool_move(struct lond *lond, enum pool_list list)
{
    pool_remove(lond);
    pool_insert(lond, list);
}

static void pool_close(struct lond *lond)
{
    pool_remove(lond);
    lond_close(lond);
}

static void pool_close_list(struct host *host, enum pool_list list)
{
    struct lond *lond, *next;
    LIST_FOREACH_SAFE (lond, &host->pool[list], place.link, next)
        pool_close(lond);
}

void host_close_idle(struct host *host)
{
    pool_close_list(host, POOL_IDLE);
}

void host_close_connections(struct host *host)
{
    struct lond *lond;
    pool_close_list(host, POOL_IDLE);
    LIST_FOREACH (lond, &host->pool[POOL_BUSY], place.link)
        lond_close_after_reply(lond);
}

/* The connection used last, of those that have kept silent since; the others are closed. */
static struct lond *first_idle(struct host *host)
{
    struct lond *lond;
    while ((lond = LIST_FIRST(&host->pool[POOL_IDLE])) != NULL && lond_has_stirred(lond))
        pool_close(lond);
    return lond;
}

/*
 * Gives the request to an idle connection. One that turns out to be gone is closed and the next is
 * tried. False when there is none left.
 */
static bool send_on_idle(struct host *host, struct transaction *transaction)
{
    struct lond *lond;
    while ((lond = first_idle(host)) != NULL) {
        int r = lond_send(lond, transaction);
        if (r == 0) {
            transaction->state = TRANSACTION_ACTIVE;
            transaction->lond = lond;
            pool_move(lond, POOL_BUSY);
            return true;
        }
        if (r == -ENOBUFS || r == -ENOMEM) {
            limit_reached(host->core, &host->core->memory_limit, NULL);
            lose_transaction(transaction, REASON_NO_MEMORY);
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
        dequeue(first);
        stats_sent(&core->stats, core->loop.now, core->loop.now - first->waiting.since);
        if (!send_on_idle(host, first)) {
            enqueue_first(first);
            return;
        }
    }
}

/* Nobody waits: a connection that is idle serves the background. */
static void serve_background(struct host *host)
{
    if (host->background == NULL || host->background_active || host->core->stopping ||
        host->paused || !TAILQ_EMPTY(&host->queue) || first_idle(host) == NULL)
        return;
    struct transaction *transaction = host->background->next(host->background);
    if (transaction == NULL) {
        host->background = NULL;
        return;
    }
    transaction->host = host;
    host->background_active = true;
    deadline_start(&host->hosts->whole, &transaction->whole);
    if (!send_on_idle(host, transaction))
        lose_transaction(transaction, REASON_LOST);
}

static void serve(struct host *host)
{
    serve_queue(host);
    serve_background(host);
    pump(host);
}

/* --- Attempts and health ---------------------------------------------------------------------- */

static struct health_rules rules_of(const struct core *core)
{
    const struct settings *settings = &core->settings;
    return (struct health_rules){
        .failures_until_dead = (unsigned)settings->failures_until_dead,
        .retry_delay = settings->retry_delay,
        .probe_min = settings->probe_min,
        .probe_max = settings->probe_max,
    };
}

static int on_alarm(sd_event_source *source, uint64_t when, void *argument)
{
    struct host *host = argument;
    (void)source;
    (void)when;
    host->core->loop.now = monotonic_now();
    pump(host);
    return 0;
}

static void set_alarm(struct host *host, uint64_t when)
{
    int r = loop_alarm(&host->core->loop, &host->alarm, CLOCK_MONOTONIC, when, on_alarm, host);
    if (r < 0) /* Without memory; the next request or signal tries again. */
        log_write(LOG_ERR, &(struct log_about){.host = host->id}, "cannot set a timer: %s",
                  strerror(-r));
}

/* ": certificate verify failed", behind a reason's text; or nothing. */
static const char *separator(const struct host *host)
{
    return host->detail != NULL ? ": " : "";
}

static const char *detail(const struct host *host)
{
    return host->detail != NULL ? host->detail : "";
}

static void set_detail(struct host *host, const char *text)
{
    free(host->detail);
    host->detail = text != NULL ? strdup(text) : NULL; /* without memory, the reason must do */
}

static struct log_about about_death(struct host *host)
{
    host->said_dead = host->core->loop.now;
    return (struct log_about){
        .event = LOG_EVENT_HOST_DEAD,
        .host = host->id,
        .reason = reason_word(host->health.reason),
    };
}

static void host_died(struct host *host, enum health_change change)
{
    if (change == HEALTH_DIED) {
        struct log_about about = about_death(host);
        log_write(LOG_WARNING, &about,
                  "host is dead: %s%s%s; %zu queued requests are answered con_lost",
                  reason_text(host->health.reason), separator(host), detail(host), host->queued);
    }
    /* They are as dead as the host: nothing may be sent into them, and nothing would be. */
    pool_close_list(host, POOL_IDLE);
    host_fail_queue(host, REASON_DEAD);
}

/* A dead host that stays dead is news once an hour. */
static void remind(struct host *host)
{
    uint64_t now = host->core->loop.now;
    if (host->health.state != HEALTH_DEAD ||
        now - host->said_dead < host->core->settings.dead_reminder)
        return;
    struct log_about about = about_death(host);
    log_write(LOG_WARNING, &about, "host is still dead, for %.0f s now: %s%s%s",
              (double)(now - host->health.dead_since) / 1e6, reason_text(host->health.reason),
              separator(host), detail(host));
}

static void attempt_failed(struct host *host, unsigned round, enum reason reason, const char *why)
{
    set_detail(host, why);
    struct health_rules rules = rules_of(host->core);
    enum health_change change =
        health_failure(&host->health, &rules, round, reason, host->core->loop.now, arc4random());
    core_changed(host->core);
    log_write(LOG_DEBUG, &(struct log_about){.host = host->id, .reason = reason_word(reason)},
              "an attempt to connect failed: %s%s%s", reason_text(reason), separator(host),
              detail(host));
    if (change != HEALTH_UNCHANGED)
        host_died(host, change);
    else
        remind(host);
}

static void attempt_succeeded(struct host *host, bool opened)
{
    uint64_t dead_since = host->health.dead_since;
    unsigned most = (unsigned)host->core->settings.connections_per_host;
    set_detail(host, NULL);
    if (health_success(&host->health, most, opened) != HEALTH_RETURNED)
        return;
    core_changed(host->core);
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_HOST_BACK, .host = host->id},
              "host is back after %.1f s", (double)(host->core->loop.now - dead_since) / 1e6);
}

/* What is short on this machine says nothing about the host. */
static bool is_local(enum reason reason)
{
    return reason == REASON_NO_DESCRIPTOR || reason == REASON_NO_MEMORY;
}

/* Starts one attempt. False when none is under way, for it failed at once or waits for the name. */
static bool open_one(struct host *host)
{
    struct core *core = host->core;
    const struct addresses own = {.count = 1, .at = {host->address}};
    const struct addresses *addresses = &own;
    enum reason reason = REASON_NAME;
    const char *why = NULL;
    if (host->naming.name != NULL) {
        addresses = resolver_ask(&host->naming);
        host->naming_round = host->health.round;
        if (addresses == NULL)
            return false;
    }
    if (addresses->count > 0) {
        struct lond *lond = lond_open(&host->hosts->londs, addresses, host->port, &host->identity);
        if (lond != NULL) {
            lond->place.host = host;
            lond->place.round = host->health.round;
            pool_insert(lond, POOL_OPENING);
            /* Where clients wait for descriptors too, intake.c says when that is over. */
            if (!core_descriptors_are_short(core))
                limit_left(core, &core->descriptor_limit, NULL);
            return true;
        }
        if (errno == ENOKEY)
            why = "there is nothing to show, and loncAllowInsecure is 0";
        else if (errno == EKEYREJECTED)
            why = "no key file can be written in lonCertificateDirectory";
        reason = reason_from_errno(errno);
    }
    if (is_local(reason)) {
        limit_reached(
            core, reason == REASON_NO_DESCRIPTOR ? &core->descriptor_limit : &core->memory_limit,
            host->id);
        host->not_before = core->loop.now + core->settings.retry_delay;
    } else {
        attempt_failed(host, host->health.round, reason, why);
    }
    return false;
}

static bool may_open(const struct host *host)
{
    const struct core *core = host->core;
    return host->listed && !core->stopping && !host->naming.waiting &&
           core->loop.now >= host->not_before &&
           pool_total(host) < core->settings.connections_per_host &&
           health_may_attempt(&host->health, host->pool_count[POOL_OPENING], core->loop.now);
}

/* Whether another connection has something to do: a request, the background, or a probe. */
static bool is_needed(const struct host *host)
{
    if (host->paused && host->health.state != HEALTH_DEAD)
        return false;
    size_t wanted = host->queued;
    if (host->background != NULL && !host->background_active)
        wanted++;
    if (wanted == 0 && (host->health.state == HEALTH_DEAD || host->probing))
        wanted = 1;
    return host->pool_count[POOL_OPENING] < wanted;
}

/* Opens what is needed and allowed; where it is not allowed yet, comes back when it is. */
static void pump(struct host *host)
{
    while (is_needed(host) && may_open(host))
        if (!open_one(host))
            break;
    if (!is_needed(host) || !host->listed || host->core->stopping)
        return;
    uint64_t when = host->not_before;
    if (host->health.state != HEALTH_HEALTHY && host->health.next_attempt > when)
        when = host->health.next_attempt;
    if (when > host->core->loop.now)
        set_alarm(host, when);
}

void host_retry(struct host *host)
{
    if (host->health.state == HEALTH_HEALTHY)
        return;
    struct health_rules rules = rules_of(host->core);
    health_retry(&host->health, &rules, host->core->loop.now);
    host->probing = true;
    if (host->naming.name != NULL)
        resolver_retry(&host->naming);
    pump(host);
}

/* --- Names ------------------------------------------------------------------------------------ */

/* Whether the connection is to an address that the host's name does not have any more. */
static bool has_moved(const struct lond *lond)
{
    const struct resolver_user *naming = &lond->place.host->naming;
    return naming->name != NULL && resolver_addresses(naming)->count > 0 &&
           !addresses_contain(resolver_addresses(naming), &lond->address);
}

/*
 * Connections to where the host no longer is get no new request. Of a name that DNS knows no more
 * nothing is concluded: its connections stay while they answer, and health has the last word.
 */
static void leave_old_addresses(struct host *host)
{
    struct lond *lond, *next;
    LIST_FOREACH_SAFE (lond, &host->pool[POOL_IDLE], place.link, next)
        if (has_moved(lond))
            pool_close(lond);
    LIST_FOREACH (lond, &host->pool[POOL_BUSY], place.link)
        if (has_moved(lond))
            lond_close_after_reply(lond);
}

static void on_name_answered(struct resolver_user *user, bool waited)
{
    struct host *host = CONTAINER_OF(user, struct host, naming);
    leave_old_addresses(host);
    if (waited && resolver_addresses(user)->count == 0) {
        host->probing = false;
        attempt_failed(host, host->naming_round, REASON_NAME, NULL);
    }
    pump(host);
}

/* --- What becomes of a connection ------------------------------------------------------------- */

/* It has nothing to do now. Where descriptors are short, only a request that waits keeps it open.
 */
static void retire_or_idle(struct lond *lond)
{
    struct host *host = lond->place.host;
    bool unwanted = core_descriptors_are_short(host->core) && host->queued == 0;
    if (lond->closing || unwanted || !host->listed)
        pool_close(lond);
    else
        pool_move(lond, POOL_IDLE);
}

static void note_peer(struct host *host, const struct lond *lond)
{
    char text[ADDRESS_TEXT_SIZE];
    if (host->naming.name != NULL)
        resolver_prefer(&host->naming, &lond->address);
    if (strcmp(host->version, lond->version) == 0 && host->mode == lond->mode &&
        address_equal(&host->peer, &lond->address))
        return;
    strlcpy(host->version, lond->version, sizeof(host->version));
    host->mode = lond->mode;
    host->peer = lond->address;
    log_write(LOG_INFO, &(struct log_about){.host = host->id}, "connected to lond %s at %s, %s%s%s",
              host_lond_version(host), address_text(&host->peer, text),
              handshake_mode_word(lond->mode), lond->tls_version != NULL ? " by " : "",
              lond->tls_version != NULL ? lond->tls_version : "");
}

static void on_opened(struct lond *lond)
{
    struct host *host = lond->place.host;
    host->probing = false;
    if (has_moved(lond)) /* while it was being opened */
        lond_close_after_reply(lond);
    else
        note_peer(host, lond);
    attempt_succeeded(host, true);
    retire_or_idle(lond);
    serve(host);
}

static void on_answered(struct lond *lond, struct transaction *transaction, enum reason reason,
                        struct buffer *reply, size_t length)
{
    struct host *host = lond->place.host;
    if (transaction != NULL)
        transaction->lond = NULL;
    attempt_succeeded(host, false);
    retire_or_idle(lond);
    serve(host);
    if (transaction != NULL)
        end_transaction(transaction, reason, reply, length);
}

/* The connection stays among the busy ones until the reply has ended. */
static void on_overflowed(struct transaction *transaction, enum reason reason)
{
    transaction->lond = NULL;
    lose_transaction(transaction, reason);
}

static void on_lost(struct lond *lond, struct transaction *transaction, enum reason reason,
                    const char *why)
{
    struct host *host = lond->place.host;
    pool_remove(lond);
    if (transaction != NULL) {
        transaction->lond = NULL;
        bool resend = !transaction->background && !lond->sent_any && reason == REASON_LOST &&
                      host->listed && host->health.state != HEALTH_DEAD && !host->core->stopping;
        if (resend) {
            enqueue_first(transaction);
            transaction = NULL;
        }
    }
    /* The peer may be gone: one fresh handshake tells, and only its failure counts. */
    if (reason == REASON_REPLY_TIMEOUT)
        host->probing = true;
    if (!lond->opened && is_local(reason)) {
        host->not_before = host->core->loop.now + host->core->settings.retry_delay;
    } else if (!lond->opened) {
        host->probing = false;
        attempt_failed(host, lond->place.round, reason, why);
    }
    pump(host);
    if (transaction != NULL)
        lose_transaction(transaction, reason);
}

static const struct lond_events events = {
    .opened = on_opened,
    .answered = on_answered,
    .overflowed = on_overflowed,
    .lost = on_lost,
};

static void on_took_too_long(struct deadline *deadline)
{
    struct transaction *transaction = CONTAINER_OF(deadline, struct transaction, whole);
    struct host *host = transaction->host;
    if (transaction->state == TRANSACTION_QUEUED) {
        dequeue(transaction);
    } else {
        /* Its reply may still come, and must not be taken for another's. */
        pool_close(transaction->lond);
        host->probing = true;
        pump(host);
    }
    lose_transaction(transaction, REASON_REQUEST_TIMEOUT);
}

/* --- Requests --------------------------------------------------------------------------------- */

void host_submit(struct host *host, struct transaction *transaction)
{
    struct core *core = host->core;
    transaction->host = host;
    host->requests++;
    deadline_start(&host->hosts->whole, &transaction->whole);
    if (!host->listed)
        lose_transaction(transaction, REASON_REMOVED);
    else if (host->health.state == HEALTH_DEAD)
        lose_transaction(transaction, REASON_DEAD);
    else if (!host->paused && TAILQ_EMPTY(&host->queue) && send_on_idle(host, transaction))
        stats_sent(&core->stats, core->loop.now, 0);
    else if (core->stopping)
        lose_transaction(transaction, REASON_STOPPING);
    else if (!may_enqueue(host))
        lose_transaction(transaction, REASON_QUEUE_FULL);
    else {
        enqueue(transaction);
        pump(host);
    }
}

bool host_has_connected(const struct host *host)
{
    return host->peer.any.sa_family != AF_UNSPEC;
}

const char *host_lond_version(const struct host *host)
{
    return host->version[0] != '\0' ? host->version : "of unknown version";
}

void host_pause(struct host *host)
{
    host->paused = true;
    core_changed(host->core);
}

void host_resume(struct host *host)
{
    host->paused = false;
    core_changed(host->core);
    serve(host);
}

uint64_t host_oldest_wait(const struct host *host)
{
    const struct transaction *first = TAILQ_FIRST(&host->queue);
    return first != NULL ? host->core->loop.now - first->waiting.since : 0;
}

void host_offer(struct host *host, struct background *background)
{
    host->background = background;
    serve(host);
}

void host_withdraw_offer(struct host *host)
{
    host->background = NULL;
}

bool host_withdraw(struct transaction *transaction)
{
    if (transaction->state != TRANSACTION_QUEUED)
        return false;
    dequeue(transaction);
    deadline_stop(&transaction->whole);
    transaction->state = TRANSACTION_NONE;
    return true;
}

void host_abandon(struct host *host, enum reason reason)
{
    struct lond *lond;
    while ((lond = LIST_FIRST(&host->pool[POOL_BUSY])) != NULL) {
        struct transaction *transaction = lond->transaction;
        pool_close(lond);
        if (transaction != NULL)
            lose_transaction(transaction, reason);
    }
}

/* --- Coming and going ------------------------------------------------------------------------- */

int host_setup(struct hosts *hosts)
{
    struct loop *loop = &hosts->core->loop;
    const struct settings *settings = &hosts->core->settings;
    deadline_queue_add(loop, &hosts->waiting, &settings->queue_timeout, on_waited_too_long);
    deadline_queue_add(loop, &hosts->whole, &settings->request_timeout, on_took_too_long);
    return londs_open(&hosts->londs, hosts->core, &events);
}

struct host *host_new(struct hosts *hosts, const char *id)
{
    struct host *host = calloc(1, sizeof(*host));
    if (host == NULL)
        return NULL;
    host->id = strdup(id);
    host->name = "";
    host->hosts = hosts;
    host->core = hosts->core;
    host->naming.answered = on_name_answered;
    host->queue_limit.name = "requests queued for one host";
    TAILQ_INIT(&host->queue);
    for (unsigned list = 0; list < POOL_LISTS; list++)
        LIST_INIT(&host->pool[list]);
    health_init(&host->health);
    if (host->id == NULL) {
        host_free(host);
        return NULL;
    }
    return host;
}

void host_free(struct host *host)
{
    for (unsigned list = 0; list < POOL_LISTS; list++)
        pool_close_list(host, list);
    sd_event_source_disable_unref(host->alarm);
    resolver_leave(&host->naming);
    config_unref(host->config);
    free(host->id);
    free(host->detail);
    free(host->latency);
    free(host);
}

static bool same_text(const char *one, const char *other)
{
    return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

/* Connections made for another address, or as another server, must not serve new requests. */
static void recycle(struct host *host)
{
    host_close_connections(host);
    pool_close_list(host, POOL_OPENING);
    health_init(&host->health);
    host->probing = false;
    host->version[0] = '\0';
    host->peer = (union address){0};
}

/*
 * Whether this is an id of this very server, which may have several under its DNS name. Local mode
 * wants 127.0.0.1, whatever others call this server.
 */
static bool is_here(const struct host *host, const struct hosttab_entry *entry)
{
    const struct core *core = host->core;
    const struct hosttab_entry *own =
        hosttab_find_id(&core->config->table, core->config->loncapa.host_id);
    return host->hosts->londs.credentials->local && own != NULL &&
           strcasecmp(entry->name, own->name) == 0;
}

bool host_may_resolve(const struct hosttab_entry *entry, uint64_t resolve)
{
    return !entry->has_address || (resolve == RESOLVE_DNS && !entry->name_is_address);
}

/* Takes over name and address. False without memory, with nothing changed; else *changed says. */
static bool configure_address(struct host *host, const struct hosttab_entry *entry, bool *changed)
{
    bool here = is_here(host, entry);
    bool resolved = !here && host_may_resolve(entry, host->core->settings.resolve);
    struct in_addr listed = entry->address;
    if (here)
        listed.s_addr = htonl(INADDR_LOOPBACK);
    union address address = {0};
    if (!resolved)
        address = address_ipv4(listed);
    const struct dns_name *before = host->naming.name;
    if (!resolved)
        resolver_leave(&host->naming);
    else if (resolver_use(host->hosts->resolver, &host->naming, entry->name) < 0)
        return false;
    *changed =
        host->naming.name != before || (!resolved && !address_equal(&host->address, &address));
    host->name = entry->name;
    host->address = address;
    return true;
}

bool host_configure(struct host *host, const struct hosttab_entry *entry)
{
    const struct loncapa *loncapa = &host->core->config->loncapa;
    bool changed;
    if (!configure_address(host, entry, &changed))
        return false;
    struct config *before = host->config; /* has the strings that are compared here */
    host->config = config_ref(host->core->config);
    changed |= host->port != loncapa->lond_port ||
               !same_text(host->identity.own_id, loncapa->host_id) ||
               !same_text(host->identity.lonc_version, loncapa->version) ||
               host->identity.allow_insecure != loncapa->allow_insecure ||
               host->identity.here != is_here(host, entry);
    if (changed && host->listed)
        recycle(host);
    host->port = loncapa->lond_port;
    /* Handshakes under way read the new strings, which say the same as the old. */
    host->identity = (struct handshake_identity){
        .own_id = loncapa->host_id,
        .remote_id = host->id,
        .remote_name = host->name,
        .lonc_version = loncapa->version,
        .allow_insecure = loncapa->allow_insecure,
        .here = is_here(host, entry),
    };
    host->listed = true;
    config_unref(before);
    pump(host);
    return true;
}

void host_retire(struct host *host)
{
    host->listed = false;
    recycle(host);
    resolver_leave(&host->naming);
    host->identity.own_id = host->identity.lonc_version = host->identity.remote_name = NULL;
    host->name = "";
    config_unref(host->config);
    host->config = NULL;
    host_fail_queue(host, REASON_REMOVED);
}

bool host_is_unused(const struct host *host)
{
    return !host->listed && host->users == 0;
}
