/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening connections. The rules of health are health.c's, and how a connection is made is lond's;
 * this asks the one before it calls the other, and writes the log about the host's health.
 */
#include <bsd/stdlib.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/host/attempts.h"
#include "keeper/host/pool.h"
#include "keeper/host/queue.h"
#include "keeper/lond/londs.h"

struct health_rules attempts_rules(const struct core *core)
{
    const struct settings *settings = &core->settings;
    return (struct health_rules){
        .failures_until_dead = (unsigned)settings->failures_until_dead,
        .retry_delay = settings->retry_delay,
        .probe_min = settings->probe_min,
        .probe_max = settings->probe_max,
    };
}

/* --- Death and return, in the log ------------------------------------------------------------- */

/* Behind a reason's text: ": certificate verify failed", or nothing. */
static const char *separator(const struct host *host)
{
    return host->failure_detail != NULL ? ": " : "";
}

static const char *detail_of(const struct host *host)
{
    return host->failure_detail != NULL ? host->failure_detail : "";
}

static void set_detail(struct host *host, const char *text)
{
    free(host->failure_detail);
    /* Without memory, the reason must do. */
    host->failure_detail = text != NULL ? strdup(text) : NULL;
}

static struct log_about about_death(struct host *host)
{
    host->death_logged = host->core->loop.now;
    return (struct log_about){
        .event = LOG_EVENT_HOST_DEAD,
        .host = host->id,
        .reason = reason_word(host->health.reason),
    };
}

static void log_death(struct host *host)
{
    struct log_about about = about_death(host);
    log_write(LOG_WARNING, &about, "host is dead: %s%s%s; %zu queued request%s answered con_lost",
              reason_text(host->health.reason), separator(host), detail_of(host), host->queued,
              host->queued == 1 ? " is" : "s are");
}

/* That a host is still dead is said once in dead_reminder. */
static void remind_of_death(struct host *host)
{
    uint64_t now = host->core->loop.now;
    if (host->health.state != HEALTH_DEAD ||
        now - host->death_logged < host->core->settings.dead_reminder)
        return;
    struct log_about about = about_death(host);
    log_write(LOG_WARNING, &about, "host is still dead, for %.0f s now: %s%s%s",
              (double)(now - host->health.dead_since) / 1e6, reason_text(host->health.reason),
              separator(host), detail_of(host));
}

/* --- How an attempt ends ---------------------------------------------------------------------- */

/* A local shortage is not the host's fault. */
static bool is_local(enum reason reason)
{
    return reason == REASON_NO_DESCRIPTOR || reason == REASON_NO_MEMORY;
}

static void wait_for_shortage(struct host *host)
{
    host->shortage_until = host->core->loop.now + host->core->settings.retry_delay;
}

static void count_failure(struct host *host, unsigned round, enum reason reason, const char *detail)
{
    set_detail(host, detail);
    struct health_rules rules = attempts_rules(host->core);
    enum health_change change =
        health_failure(&host->health, &rules, round, reason, host->core->loop.now, arc4random());
    core_changed(host->core);
    log_write(LOG_DEBUG, &(struct log_about){.host = host->id, .reason = reason_word(reason)},
              "an attempt to connect failed: %s%s%s", reason_text(reason), separator(host),
              detail_of(host));
    if (change == HEALTH_UNCHANGED) {
        remind_of_death(host);
        return;
    }
    if (change == HEALTH_DIED)
        log_death(host);
    /* Idle connections are to the peer that cannot be reached; a request sent on one is lost. */
    pool_close_list(host, POOL_IDLE);
    queue_fail(host, REASON_DEAD);
}

void attempts_failed(struct host *host, unsigned round, enum reason reason, const char *detail)
{
    if (is_local(reason)) {
        wait_for_shortage(host);
        return;
    }
    host->probe_wanted = false;
    count_failure(host, round, reason, detail);
}

void attempts_succeeded(struct host *host, bool opened)
{
    uint64_t dead_since = host->health.dead_since;
    unsigned most = (unsigned)host->core->settings.connections_per_host;
    if (opened)
        host->probe_wanted = false;
    set_detail(host, NULL);
    if (health_success(&host->health, most, opened) != HEALTH_RETURNED)
        return;
    core_changed(host->core);
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_HOST_BACK, .host = host->id},
              "host is back after %.1f s", (double)(host->core->loop.now - dead_since) / 1e6);
}

/* --- Starting --------------------------------------------------------------------------------- */

/* The attempt failed before it had begun. A probe is still wanted then, unlike after
 * attempts_failed.
 */
static void fail_at_once(struct host *host, const struct lond_failure *failure)
{
    struct core *core = host->core;
    if (failure->reason == REASON_NO_DESCRIPTOR)
        limit_reached(core, &core->descriptor_limit, host->id);
    else if (failure->reason == REASON_NO_MEMORY)
        limit_reached(core, &core->memory_limit, host->id);
    if (is_local(failure->reason))
        wait_for_shortage(host);
    else
        count_failure(host, host->health.round, failure->reason, failure->detail);
}

/* Starts one attempt. Returns false when none is under way, because it failed at once or waits for
 * the name. */
static bool start_one(struct host *host)
{
    struct core *core = host->core;
    const struct addresses own = {.count = 1, .at = {host->address}};
    struct lond_target target = {
        .addresses = &own, .port = host->port, .identity = &host->identity};
    struct lond_failure failure = {.reason = REASON_NAME};
    if (host->dns.name != NULL) {
        target.addresses = resolver_ask(&host->dns);
        host->dns_round = host->health.round;
        if (target.addresses == NULL)
            return false;
    }
    struct lond *lond =
        target.addresses->count > 0 ? londs_connect(&host->hosts->londs, &target, &failure) : NULL;
    if (lond == NULL) {
        fail_at_once(host, &failure);
        return false;
    }
    pool_add_opening(host, lond);
    /* Where clients wait for descriptors too, intake.c says when that is over. */
    if (!core_descriptors_are_short(core))
        limit_left(core, &core->descriptor_limit, NULL);
    return true;
}

static bool may_start(const struct host *host)
{
    const struct core *core = host->core;
    return host->listed && !core->stopping && !host->dns.waiting &&
           core->loop.now >= host->shortage_until &&
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
    if (wanted == 0 && (host->health.state == HEALTH_DEAD || host->probe_wanted))
        wanted = 1;
    return host->pool_count[POOL_OPENING] < wanted;
}

static int on_next_attempt(sd_event_source *source, uint64_t when, void *argument)
{
    struct host *host = argument;
    (void)source;
    (void)when;
    host->core->loop.now = monotonic_now();
    attempts_start(host);
    return 0;
}

static void set_timer(struct host *host, uint64_t when)
{
    int r = loop_alarm(&host->core->loop, &host->next_attempt, CLOCK_MONOTONIC, when,
                       on_next_attempt, host);
    if (r < 0) /* without memory; the next request or signal tries again */
        log_write(LOG_ERR, &(struct log_about){.host = host->id}, "cannot set a timer: %s",
                  strerror(-r));
}

void attempts_start(struct host *host)
{
    while (is_needed(host) && may_start(host))
        if (!start_one(host))
            break;
    if (!is_needed(host) || !host->listed || host->core->stopping)
        return;
    uint64_t when = host->shortage_until;
    if (host->health.state != HEALTH_HEALTHY && host->health.next_attempt > when)
        when = host->health.next_attempt;
    if (when > host->core->loop.now)
        set_timer(host, when);
}

void attempts_probe(struct host *host)
{
    host->probe_wanted = true;
    attempts_start(host);
}

/* --- Names ------------------------------------------------------------------------------------ */

static void on_name_answered(struct resolver_user *user, bool waited)
{
    struct host *host = CONTAINER_OF(user, struct host, dns);
    pool_leave_old_addresses(host);
    if (waited && resolver_addresses(user)->count == 0)
        attempts_failed(host, host->dns_round, REASON_NAME, NULL);
    attempts_start(host);
}

void attempts_init(struct host *host)
{
    host->dns.answered = on_name_answered;
    health_init(&host->health);
}

void attempts_forget(struct host *host)
{
    health_init(&host->health);
    host->probe_wanted = false;
}
