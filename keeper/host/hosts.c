/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of hosts. What a host does is host.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "keeper/host/hosts.h"

static int compare_ids(struct host *one, struct host *other)
{
    return strcmp(one->id, other->id);
}

RB_GENERATE(hosts_by_id, host, by_id, compare_ids)

/*
 * Hosts looked at in one turn of the loop. Finding one is a microsecond; one that is put into force
 * may have a connection to start, which takes twenty and more.
 */
#define PREPARED_PER_TURN 512
#define APPLIED_PER_TURN  64
#define SWEPT_PER_TURN    1024

int hosts_open(struct hosts *hosts, struct core *core)
{
    *hosts = (struct hosts){
        .core = core,
        .queue_limit = {.name = "requests queued for all hosts", .trouble = TROUBLE_QUEUE_LIMIT},
    };
    RB_INIT(&hosts->by_id);
    hosts->resolver = resolver_new(core);
    return hosts->resolver != NULL ? host_setup(hosts) : -ENOMEM;
}

static struct host *find_id(struct hosts *hosts, const char *id)
{
    struct host key = {.id = (char *)(uintptr_t)id};
    return RB_FIND(hosts_by_id, &hosts->by_id, &key);
}

/* While a table is being put into force, its new hosts are not listed yet. */
static struct host *find_name(struct hosts *hosts, const char *name)
{
    const struct hosttab_entry *entry = hosttab_find_name(&hosts->core->config->table, name);
    struct host *host = entry != NULL ? find_id(hosts, entry->id) : NULL;
    return host != NULL && host->listed ? host : NULL;
}

struct host *hosts_hold(struct hosts *hosts, const char *name)
{
    struct host *host = find_id(hosts, name);
    if (host == NULL || !host->listed)
        host = find_name(hosts, name);
    if (host != NULL)
        host->users++;
    return host;
}

struct host *hosts_hold_alias(struct hosts *hosts, const struct host *host, const char *id)
{
    struct host *alias = find_id(hosts, id);
    if (alias == NULL || !alias->listed || strcasecmp(alias->name, host->name) != 0)
        return NULL;
    alias->users++;
    return alias;
}

struct host *hosts_after(struct hosts *hosts, const char *id)
{
    if (id == NULL)
        return RB_MIN(hosts_by_id, &hosts->by_id);
    struct host key = {.id = (char *)(uintptr_t)id};
    struct host *host = RB_NFIND(hosts_by_id, &hosts->by_id, &key);
    return host != NULL && strcmp(host->id, id) == 0 ? hosts_next(host) : host;
}

struct host *hosts_next(struct host *host)
{
    return RB_NEXT(hosts_by_id, unused, host);
}

static void remove_if_unused(struct hosts *hosts, struct host *host)
{
    if (!host_is_unused(host))
        return;
    RB_REMOVE(hosts_by_id, &hosts->by_id, host);
    host_free(host);
}

void hosts_release(struct host *host)
{
    host->users--;
    remove_if_unused(host->hosts, host);
}

/* --- A new table ------------------------------------------------------------------------------ */

/* Makes it where there is none, unlisted and held. */
static struct host *need_host(struct hosts *hosts, const char *id)
{
    struct host *host = find_id(hosts, id);
    if (host == NULL && (host = host_new(hosts, id)) != NULL)
        RB_INSERT(hosts_by_id, &hosts->by_id, host);
    if (host != NULL)
        host->users++;
    return host;
}

static bool prepare(struct hosts_change *change, size_t i, uint64_t resolve)
{
    const struct hosttab_entry *entry = &change->table->entries[i];
    change->held[i] = need_host(change->hosts, entry->id);
    if (change->held[i] == NULL)
        return false;
    return !host_may_resolve(entry, resolve) ||
           resolver_expect(change->hosts->resolver, entry->name) == 0;
}

void hosts_settings_changed(struct hosts *hosts)
{
    resolver_reload(hosts->resolver);
}

int hosts_prepare(struct hosts_change *change, uint64_t resolve)
{
    size_t count = change->table->count;
    if (change->held == NULL && (change->held = calloc(count + 1, sizeof(*change->held))) == NULL)
        return -ENOMEM;
    for (int n = 0; n < PREPARED_PER_TURN && change->done < count; n++)
        if (!prepare(change, change->done++, resolve))
            return -ENOMEM;
    if (change->done < count)
        return 1;
    change->done = 0;
    return 0;
}

static void apply(struct hosts_change *change, size_t i)
{
    struct host *host = change->held[i];
    change->held[i] = NULL;
    host->table = change->hosts->table;
    if (!host_configure(host, &change->table->entries[i]))
        log_write(LOG_CRIT, &(struct log_about){.host = host->id}, "no memory for its name");
    host_retry(host);
    hosts_release(host);
}

/* A step of the walk over all hosts; its last client may leave while one is told. */
static void retire_if_gone(struct hosts_change *change)
{
    struct host *host = change->cursor;
    change->cursor = hosts_next(host);
    if (change->cursor != NULL)
        change->cursor->users++;
    if (host->listed && host->table != change->hosts->table)
        host_retire(host);
    hosts_release(host);
}

bool hosts_apply(struct hosts_change *change)
{
    struct hosts *hosts = change->hosts;
    if (change->done == 0)
        hosts->table++;
    for (int n = 0; n < APPLIED_PER_TURN && change->done < change->table->count; n++)
        apply(change, change->done++);
    if (change->done < change->table->count)
        return true;
    if (change->cursor == NULL && (change->cursor = RB_MIN(hosts_by_id, &hosts->by_id)) != NULL)
        change->cursor->users++;
    for (int n = 0; n < SWEPT_PER_TURN && change->cursor != NULL; n++)
        retire_if_gone(change);
    if (change->cursor != NULL)
        return true;
    hosts->count = change->table->count;
    return false;
}

void hosts_change_end(struct hosts_change *change)
{
    for (size_t i = 0; change->held != NULL && i < change->table->count; i++)
        if (change->held[i] != NULL)
            hosts_release(change->held[i]);
    free(change->held);
    if (change->cursor != NULL)
        hosts_release(change->cursor);
    *change = (struct hosts_change){.hosts = change->hosts};
    resolver_settle(change->hosts->resolver);
}

/* --- All hosts -------------------------------------------------------------------------------- */

/* Where connecting fails at once, the last client of a host may leave while that is tried. */
void hosts_retry(struct hosts *hosts)
{
    struct host *host, *next;
    for (host = RB_MIN(hosts_by_id, &hosts->by_id); host != NULL; host = next) {
        host->users++;
        host_retry(host);
        next = RB_NEXT(hosts_by_id, &hosts->by_id, host);
        hosts_release(host);
    }
}

void hosts_renew(struct hosts *hosts)
{
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &hosts->by_id)
        host_close_connections(host);
    hosts_retry(hosts);
}

void hosts_close_idle(struct hosts *hosts)
{
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &hosts->by_id)
        host_close_idle(host);
}

/* Each host is held meanwhile, for its last client may leave while it is told. */
void hosts_stop(struct hosts *hosts)
{
    struct host *host, *next;
    for (host = RB_MIN(hosts_by_id, &hosts->by_id); host != NULL; host = next) {
        host->users++;
        host_fail_queue(host, REASON_STOPPING);
        next = RB_NEXT(hosts_by_id, &hosts->by_id, host);
        hosts_release(host);
    }
}

void hosts_abandon(struct hosts *hosts)
{
    struct host *host, *next;
    for (host = RB_MIN(hosts_by_id, &hosts->by_id); host != NULL; host = next) {
        host->users++;
        host_abandon(host, REASON_STOPPING);
        next = RB_NEXT(hosts_by_id, &hosts->by_id, host);
        hosts_release(host);
    }
}

void hosts_close(struct hosts *hosts)
{
    struct host *host, *next;
    RB_FOREACH_SAFE (host, hosts_by_id, &hosts->by_id, next) {
        RB_REMOVE(hosts_by_id, &hosts->by_id, host);
        host_free(host);
    }
    londs_close(&hosts->londs);
    resolver_free(hosts->resolver);
}
