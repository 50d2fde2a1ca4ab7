/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of hosts, and how a reload replaces it. What a host does with a request is host.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "keeper/host/hosts.h"
#include "keeper/host/queue.h"

static int compare_ids(struct host *one, struct host *other)
{
    return strcmp(one->id, other->id);
}

RB_GENERATE(hosts_by_id, host, by_id, compare_ids)

/*
 * How many hosts one turn of the loop handles. Finding one takes a microsecond. Putting one into
 * force may start a connection, which takes twenty and more.
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
    int r = host_setup(hosts); /* first, so that hosts_close finds all queues of deadlines */
    if (r < 0)
        return r;
    hosts->resolver = resolver_new(core);
    return hosts->resolver != NULL ? 0 : -ENOMEM;
}

static struct host *find_id(struct hosts *hosts, const char *id)
{
    struct host key = {.id = (char *)(uintptr_t)id};
    return RB_FIND(hosts_by_id, &hosts->by_id, &key);
}

/* While a table is being put into force, some of its hosts may be missing or not listed yet. */
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
    return host_hold(host);
}

struct host *hosts_hold_alias(struct hosts *hosts, const struct host *host, const char *id)
{
    struct host *alias = find_id(hosts, id);
    if (alias == NULL || !alias->listed || strcasecmp(alias->name, host->name) != 0)
        return NULL;
    return host_hold(alias);
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

/* Finds and holds a host, listed or not; makes an unlisted one where there is none. */
static struct host *need_host(struct hosts *hosts, const char *id)
{
    struct host *host = find_id(hosts, id);
    if (host == NULL && (host = host_new(hosts, id)) != NULL)
        RB_INSERT(hosts_by_id, &hosts->by_id, host);
    return host_hold(host);
}

static int prepare_one(struct hosts_change *change, size_t i, uint64_t resolve)
{
    const struct hosttab_entry *entry = &change->table->entries[i];
    change->held[i] = need_host(change->hosts, entry->id);
    if (change->held[i] == NULL)
        return -ENOMEM;
    if (!host_may_resolve(entry, resolve))
        return 0;
    return resolver_expect(change->hosts->resolver, entry->name);
}

void hosts_settings_changed(struct hosts *hosts)
{
    resolver_reload(hosts->resolver);
}

int hosts_prepare_some(struct hosts_change *change, uint64_t resolve)
{
    size_t count = change->table->count;
    if (change->held == NULL && (change->held = calloc(count + 1, sizeof(*change->held))) == NULL)
        return -ENOMEM;
    for (int n = 0; n < PREPARED_PER_TURN && change->done < count; n++) {
        int r = prepare_one(change, change->done++, resolve);
        if (r < 0)
            return r;
    }
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
    if (host_configure(host, &change->table->entries[i]) < 0)
        log_write(LOG_CRIT, &(struct log_about){.host = host->id}, "no memory for its name");
    host_retry(host);
    hosts_release(host);
}

/* One step of the walk over all hosts. The next host is held, because retiring this one may answer
 * clients, which then let go of any host. */
static void retire_if_gone(struct hosts_change *change)
{
    struct host *host = change->cursor;
    change->cursor = host_hold(hosts_next(host));
    if (host->listed && host->table != change->hosts->table)
        host_retire(host);
    hosts_release(host);
}

bool hosts_apply_some(struct hosts_change *change)
{
    struct hosts *hosts = change->hosts;
    if (change->done == 0)
        hosts->table++;
    for (int n = 0; n < APPLIED_PER_TURN && change->done < change->table->count; n++)
        apply(change, change->done++);
    if (change->done < change->table->count)
        return true;
    if (change->cursor == NULL)
        change->cursor = host_hold(RB_MIN(hosts_by_id, &hosts->by_id));
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

/*
 * Each host is held meanwhile, because an order may answer its last request, whose client then
 * lets go of it.
 */
static void give_order(struct hosts *hosts, void (*order)(struct host *host))
{
    struct host *host, *next;
    for (host = RB_MIN(hosts_by_id, &hosts->by_id); host != NULL; host = next) {
        host_hold(host);
        order(host);
        next = hosts_next(host);
        hosts_release(host);
    }
}

void hosts_retry(struct hosts *hosts)
{
    give_order(hosts, host_retry);
}

void hosts_renew(struct hosts *hosts)
{
    give_order(hosts, host_close_connections);
    give_order(hosts, host_retry);
}

void hosts_close_idle(struct hosts *hosts)
{
    give_order(hosts, host_close_idle);
}

static void stop_host(struct host *host)
{
    queue_fail(host, REASON_STOPPING);
}

void hosts_stop(struct hosts *hosts)
{
    give_order(hosts, stop_host);
}

static void abandon_host(struct host *host)
{
    host_abandon(host, REASON_STOPPING);
}

void hosts_abandon(struct hosts *hosts)
{
    give_order(hosts, abandon_host);
}

void hosts_close(struct hosts *hosts)
{
    struct host *host, *next;
    if (hosts->core == NULL) /* was never opened */
        return;
    RB_FOREACH_SAFE (host, hosts_by_id, &hosts->by_id, next) {
        RB_REMOVE(hosts_by_id, &hosts->by_id, host);
        host_free(host);
    }
    host_teardown(hosts);
    resolver_free(hosts->resolver);
}
