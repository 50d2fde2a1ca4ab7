/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of hosts. What a host does is host.c's.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "keeper/hosts.h"

static int compare_ids(struct host *one, struct host *other)
{
    return strcmp(one->id, other->id);
}

/* DNS does not tell upper from lower case. */
static int compare_names(struct host *one, struct host *other)
{
    return strcasecmp(one->name, other->name);
}

RB_GENERATE(hosts_by_id, host, by_id, compare_ids)
RB_GENERATE(hosts_by_name, host, by_name, compare_names)

void hosts_setup(struct hosts *hosts, struct service *service)
{
    RB_INIT(&hosts->by_id);
    RB_INIT(&hosts->by_name);
    hosts->service = service;
    hosts->count = 0;
}

static struct host *find_id(struct hosts *hosts, const char *id)
{
    struct host key = {.id = (char *)(uintptr_t)id};
    return RB_FIND(hosts_by_id, &hosts->by_id, &key);
}

static struct host *find_name(struct hosts *hosts, const char *name)
{
    struct host key = {.name = (char *)(uintptr_t)name};
    return RB_FIND(hosts_by_name, &hosts->by_name, &key);
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
    if (alias == NULL || !alias->listed ||
        compare_names(alias, (struct host *)(uintptr_t)host) != 0)
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
    remove_if_unused(host->service->hosts, host);
}

/* Names are found anew after each reload, since the first of its name may have gone. */
static void clear_names(struct hosts *hosts)
{
    struct host *host, *next;
    RB_FOREACH_SAFE (host, hosts_by_name, &hosts->by_name, next)
        RB_REMOVE(hosts_by_name, &hosts->by_name, host);
}

static int apply_entry(struct hosts *hosts, const struct hosttab_entry *entry)
{
    struct host *host = find_id(hosts, entry->id);
    if (host == NULL) {
        host = host_new(hosts->service, entry->id);
        if (host == NULL)
            return -ENOMEM;
        RB_INSERT(hosts_by_id, &hosts->by_id, host);
    }
    host->kept = true;
    if (!host_configure(host, entry))
        return -ENOMEM;
    RB_INSERT(hosts_by_name, &hosts->by_name, host); /* nothing happens where one has the name */
    return 0;
}

int hosts_apply(struct hosts *hosts)
{
    const struct hosttab *table = &hosts->service->config->table;
    struct host *host, *next;
    int result = 0;
    clear_names(hosts);
    RB_FOREACH (host, hosts_by_id, &hosts->by_id)
        host->kept = false;
    for (size_t i = 0; i < table->count; i++) {
        int r = apply_entry(hosts, &table->entries[i]);
        if (r < 0)
            result = r;
    }
    RB_FOREACH_SAFE (host, hosts_by_id, &hosts->by_id, next) {
        if (host->kept)
            continue;
        host->users++; /* its last client may leave while it is told */
        if (host->listed)
            host_retire(host);
        hosts_release(host);
    }
    hosts->count = table->count;
    return result;
}

void hosts_forgive(struct hosts *hosts)
{
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &hosts->by_id)
        host_forgive(host);
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

void hosts_free(struct hosts *hosts)
{
    struct host *host, *next;
    RB_FOREACH_SAFE (host, hosts_by_id, &hosts->by_id, next) {
        RB_REMOVE(hosts_by_id, &hosts->by_id, host);
        host_free(host);
    }
}
