/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a host decides: whether a request is sent, queued or answered at once; what a connection
 * does next; and what a new configuration changes.
 *
 * Whatever answers a request does so last, since the client may ask its next one from inside the
 * answer.
 */
#include <bsd/string.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "keeper/host/answer.h"
#include "keeper/host/attempts.h"
#include "keeper/host/host.h"
#include "keeper/host/pool.h"
#include "keeper/host/queue.h"
#include "keeper/host/serve.h"
#include "keeper/lond/londs.h"

/* --- What becomes of a connection ------------------------------------------------------------- */

/* A connection has been opened: keeps what it says of the peer, and logs that if it is new. */
static void note_peer(struct host *host, const struct lond *lond)
{
    char text[ADDRESS_TEXT_SIZE];
    if (host->dns.name != NULL)
        resolver_prefer(&host->dns, &lond->address);
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
    if (pool_has_moved(lond)) /* while it was being opened */
        lond_close_after_reply(lond);
    else
        note_peer(host, lond);
    attempts_succeeded(host, true);
    pool_settle(lond);
    serve_waiting(host);
}

static void on_answered(struct lond *lond, struct transaction *transaction, enum reason reason,
                        struct buffer *reply, size_t length)
{
    struct host *host = lond->place.host;
    if (transaction != NULL)
        transaction->lond = NULL;
    attempts_succeeded(host, false);
    pool_settle(lond);
    serve_waiting(host);
    if (transaction == NULL)
        return;
    if (reason == REASON_NONE)
        answer_reply(transaction, reply, length);
    else
        answer_con_lost(transaction, reason);
}

/* The connection stays among the busy ones until the reply has ended. */
static void on_overflowed(struct transaction *transaction, enum reason reason)
{
    transaction->lond = NULL;
    answer_con_lost(transaction, reason);
}

/* Whether a lost connection's request may go to another one (keeper/README.md rule 2). */
static bool may_resend(const struct lond *lond, const struct transaction *transaction,
                       enum reason reason)
{
    const struct host *host = lond->place.host;
    return !transaction->background && !lond->sent_any && reason == REASON_LOST && host->listed &&
           host->health.state != HEALTH_DEAD && !host->core->stopping;
}

static void on_lost(struct lond *lond, struct transaction *transaction, enum reason reason,
                    const char *detail)
{
    struct host *host = lond->place.host;
    pool_remove(lond);
    if (transaction != NULL) {
        transaction->lond = NULL;
        if (may_resend(lond, transaction, reason)) {
            queue_put_back(transaction);
            transaction = NULL;
        }
    }
    if (!lond_is_open(lond))
        attempts_failed(host, lond->place.round, reason, detail);
    if (reason == REASON_REPLY_TIMEOUT)
        attempts_probe(host);
    else
        attempts_start(host);
    if (transaction != NULL)
        answer_con_lost(transaction, reason);
}

static const struct lond_events events = {
    .opened = on_opened,
    .answered = on_answered,
    .overflowed = on_overflowed,
    .lost = on_lost,
};

/* request_timeout has passed. */
static void on_took_too_long(struct deadline *deadline)
{
    struct transaction *transaction = CONTAINER_OF(deadline, struct transaction, request_deadline);
    if (transaction->state == TRANSACTION_QUEUED) {
        queue_remove(transaction);
    } else {
        /* The reply may still come, and must not be taken for another request's. */
        pool_close(transaction->lond);
        attempts_probe(transaction->host);
    }
    answer_con_lost(transaction, REASON_REQUEST_TIMEOUT);
}

/* --- Requests --------------------------------------------------------------------------------- */

struct host *host_hold(struct host *host)
{
    if (host != NULL)
        host->users++;
    return host;
}

void host_submit(struct host *host, struct transaction *transaction)
{
    struct core *core = host->core;
    transaction->host = host;
    host->requests++;
    deadline_start(&host->hosts->request_timeouts, &transaction->request_deadline);
    if (!host->listed)
        answer_con_lost(transaction, REASON_REMOVED);
    else if (host->health.state == HEALTH_DEAD)
        answer_con_lost(transaction, REASON_DEAD);
    else if (!host->paused && TAILQ_EMPTY(&host->queue) && serve_request(host, transaction))
        stats_sent(&core->stats, core->loop.now, 0);
    else if (core->stopping)
        answer_con_lost(transaction, REASON_STOPPING);
    else if (!queue_has_room(host))
        answer_con_lost(transaction, REASON_QUEUE_FULL);
    else {
        queue_append(transaction);
        attempts_start(host);
    }
}

bool host_withdraw(struct transaction *transaction)
{
    if (transaction->state != TRANSACTION_QUEUED)
        return false;
    queue_remove(transaction);
    deadline_stop(&transaction->request_deadline);
    transaction->state = TRANSACTION_NONE;
    return true;
}

void host_offer(struct host *host, struct background *background)
{
    host->background = background;
    serve_waiting(host);
}

void host_withdraw_offer(struct host *host)
{
    host->background = NULL;
}

void host_abandon(struct host *host, enum reason reason)
{
    struct lond *lond;
    while ((lond = LIST_FIRST(&host->pool[POOL_BUSY])) != NULL) {
        struct transaction *transaction = lond->transaction;
        pool_close(lond);
        if (transaction != NULL)
            answer_con_lost(transaction, reason);
    }
}

uint64_t host_oldest_wait(const struct host *host)
{
    const struct transaction *first = TAILQ_FIRST(&host->queue);
    return first != NULL ? host->core->loop.now - first->queue_deadline.since : 0;
}

/* --- Orders ----------------------------------------------------------------------------------- */

void host_retry(struct host *host)
{
    if (host->health.state == HEALTH_HEALTHY)
        return;
    struct health_rules rules = attempts_rules(host->core);
    health_retry(&host->health, &rules, host->core->loop.now);
    if (host->dns.name != NULL)
        resolver_retry(&host->dns);
    attempts_probe(host);
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

void host_pause(struct host *host)
{
    host->paused = true;
    core_changed(host->core);
}

void host_resume(struct host *host)
{
    host->paused = false;
    core_changed(host->core);
    serve_waiting(host);
}

/* --- Its peer --------------------------------------------------------------------------------- */

bool host_has_connected(const struct host *host)
{
    return host->peer.any.sa_family != AF_UNSPEC;
}

const char *host_lond_version(const struct host *host)
{
    return host->version[0] != '\0' ? host->version : "of unknown version";
}

static void forget_peer(struct host *host)
{
    host->version[0] = '\0';
    host->peer = (union address){0};
}

/* --- Coming and going ------------------------------------------------------------------------- */

int host_setup(struct hosts *hosts)
{
    queue_setup(hosts);
    deadline_queue_add(&hosts->core->loop, &hosts->request_timeouts,
                       &hosts->core->settings.request_timeout, on_took_too_long);
    return londs_open(&hosts->londs, hosts->core, &events);
}

void host_teardown(struct hosts *hosts)
{
    deadline_queue_remove(&hosts->queue_timeouts);
    deadline_queue_remove(&hosts->request_timeouts);
    londs_close(&hosts->londs);
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
    host->queue_limit.name = "requests queued for one host";
    TAILQ_INIT(&host->queue);
    for (unsigned list = 0; list < POOL_LISTS; list++)
        LIST_INIT(&host->pool[list]);
    attempts_init(host);
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
    sd_event_source_disable_unref(host->next_attempt);
    resolver_leave(&host->dns);
    config_unref(host->config);
    free(host->id);
    free(host->failure_detail);
    free(host->latency);
    free(host);
}

bool host_is_unused(const struct host *host)
{
    return !host->listed && host->users == 0;
}

/* --- Configuration ---------------------------------------------------------------------------- */

static bool same_text(const char *one, const char *other)
{
    return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

/* Connections made for another address, or as another server, must not serve new requests. */
static void renew_connections(struct host *host)
{
    host_close_connections(host);
    pool_close_list(host, POOL_OPENING);
    attempts_forget(host);
    forget_peer(host);
}

/*
 * Whether this is an id of this very server, which may have several under its DNS name. Local mode
 * is for 127.0.0.1, whatever address others know this server by.
 */
static bool is_here(const struct host *host, const struct hosttab_entry *entry)
{
    const struct config *config = host->core->config;
    const struct hosttab_entry *own = hosttab_find_id(&config->table, config->loncapa.host_id);
    return host->hosts->londs.credentials->local && own != NULL &&
           strcasecmp(entry->name, own->name) == 0;
}

bool host_may_resolve(const struct hosttab_entry *entry, uint64_t resolve)
{
    return !entry->has_address || (resolve == RESOLVE_DNS && !entry->name_is_address);
}

/* Takes over name and address, and says in *changed whether the address is another. 0, or -ENOMEM
 * with nothing changed. */
static int configure_address(struct host *host, const struct hosttab_entry *entry, bool *changed)
{
    bool here = is_here(host, entry);
    bool resolved = !here && host_may_resolve(entry, host->core->settings.resolve);
    struct in_addr listed = entry->address;
    if (here)
        listed.s_addr = htonl(INADDR_LOOPBACK);
    union address address = {0};
    if (!resolved)
        address = address_ipv4(listed);
    const struct dns_name *before = host->dns.name;
    if (!resolved) {
        resolver_leave(&host->dns);
    } else {
        int r = resolver_use(host->hosts->resolver, &host->dns, entry->name);
        if (r < 0)
            return r;
    }
    *changed = host->dns.name != before || (!resolved && !address_equal(&host->address, &address));
    host->name = entry->name;
    host->address = address;
    return 0;
}

/* Whether lond would be spoken to as another server, or in another way. */
static bool is_other_identity(const struct host *host, const struct hosttab_entry *entry)
{
    const struct loncapa *loncapa = &host->core->config->loncapa;
    return host->port != loncapa->lond_port ||
           !same_text(host->identity.own_id, loncapa->host_id) ||
           !same_text(host->identity.lonc_version, loncapa->version) ||
           host->identity.allow_insecure != loncapa->allow_insecure ||
           host->identity.here != is_here(host, entry);
}

int host_configure(struct host *host, const struct hosttab_entry *entry)
{
    const struct loncapa *loncapa = &host->core->config->loncapa;
    bool changed;
    int r = configure_address(host, entry, &changed);
    if (r < 0)
        return r;
    changed |= is_other_identity(host, entry);
    if (changed && host->listed)
        renew_connections(host);
    host->port = loncapa->lond_port;
    /* Handshakes that go on read the new strings, which then say the same as the old. */
    host->identity = (struct handshake_identity){
        .own_id = loncapa->host_id,
        .remote_id = host->id,
        .remote_name = host->name,
        .lonc_version = loncapa->version,
        .allow_insecure = loncapa->allow_insecure,
        .here = is_here(host, entry),
    };
    host->listed = true;
    config_unref(host->config); /* whose strings have been compared with until here */
    host->config = config_ref(host->core->config);
    attempts_start(host);
    return 0;
}

/* Of its connections only those in flight are left, and they read nothing of the identity but the
 * lonHostID. */
void host_retire(struct host *host)
{
    host->listed = false;
    renew_connections(host);
    resolver_leave(&host->dns);
    host->identity = (struct handshake_identity){.remote_id = host->id};
    host->name = "";
    config_unref(host->config);
    host->config = NULL;
    queue_fail(host, REASON_REMOVED);
}
