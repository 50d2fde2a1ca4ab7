/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See host_list.h.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units/lonc-hosts/host_list.h"

void host_list_init(struct host_list *hosts)
{
    *hosts = (struct host_list){.list = NULL};
    own_units_init(hosts->own);
}

void host_list_free(struct host_list *hosts)
{
    for (size_t i = 0; i < hosts->count; i++)
        free(hosts->list[i].id);
    free(hosts->list);
}

struct host *host_list_add(struct host_list *hosts, const char *id)
{
    if (hosts->count == hosts->room) {
        size_t room = hosts->room == 0 ? 256 : 2 * hosts->room;
        struct host *list = reallocarray(hosts->list, room, sizeof(*list));
        if (list == NULL)
            return NULL;
        hosts->list = list;
        hosts->room = room;
    }
    struct host *host = &hosts->list[hosts->count];
    *host = (struct host){.id = strdup(id)};
    if (host->id == NULL)
        return NULL;
    hosts->count++;
    return host;
}

/* --- Order ------------------------------------------------------------------------------------ */

static int by_id(const void *left, const void *right)
{
    return strcmp(((const struct host *)left)->id, ((const struct host *)right)->id);
}

static int wanted_first(const void *left, const void *right)
{
    bool left_wanted = ((const struct host *)left)->wanted;
    bool right_wanted = ((const struct host *)right)->wanted;
    return left_wanted != right_wanted ? right_wanted - left_wanted : by_id(left, right);
}

void host_list_sort(struct host_list *hosts)
{
    if (hosts->count > 0)
        qsort(hosts->list, hosts->count, sizeof(*hosts->list), wanted_first);
    hosts->wanted = 0;
    while (hosts->wanted < hosts->count && hosts->list[hosts->wanted].wanted)
        hosts->wanted++;
}

struct host *host_list_find(const struct host_list *hosts, const char *id)
{
    struct host key = {.id = (char *)(uintptr_t)id};
    return hosts->wanted > 0 ? bsearch(&key, hosts->list, hosts->wanted, sizeof(key), by_id) : NULL;
}

/* --- Questions -------------------------------------------------------------------------------- */

bool host_list_is_served(const struct host *host)
{
    const struct host_found *found = &host->found;
    return found->socket[host->kind] == UNIT_ACTIVE && found->paths_alive &&
           !found->moved[host->kind];
}

bool host_list_has_any(const struct host_list *hosts, size_t count,
                       bool (*is)(const struct host *host))
{
    for (size_t i = 0; i < count; i++)
        if (is(&hosts->list[i]))
            return true;
    return false;
}
