/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See sockets.h. systemd is asked for all units at once, by patterns.
 */
#include <stdint.h>
#include <string.h>

#include "units/lonc-hosts/listening.h"
#include "units/lonc-hosts/sockets.h"

/* --- Units ------------------------------------------------------------------------------------ */

/* The host that a unit is named after, added to the list if it is not there. NULL for lack of
 * memory. */
static struct host *find_or_add_host(struct host_list *hosts, const char *id)
{
    struct host *host = host_list_find(hosts, id);
    for (size_t i = hosts->wanted; host == NULL && i < hosts->count; i++)
        if (strcmp(hosts->list[i].id, id) == 0)
            host = &hosts->list[i];
    return host != NULL ? host : host_list_add(hosts, id);
}

static void note_socket(struct host_list *hosts, const char *id, enum activation kind,
                        enum unit_state state)
{
    struct host *host = find_or_add_host(hosts, id);
    if (host == NULL) {
        hosts->has_unknown = true;
        return;
    }
    host->found.socket[kind] = state;
    host->found.loaded[kind] = true;
}

/* A shim of one host's own, from a release that had no shared one. */
static void note_old_shim(struct host_list *hosts, const char *id, enum unit_state state)
{
    struct host *host = find_or_add_host(hosts, id);
    if (host == NULL)
        hosts->has_unknown = true;
    else
        host->found.old_shim = state == UNIT_ACTIVE;
}

static void note_unit(void *argument, const struct manager_unit *unit)
{
    struct host_list *hosts = argument;
    enum unit_state state = manager_unit_state(unit);
    char id[UNIT_SIZE];
    own_units_note(hosts->own, unit);
    for (int kind = 0; kind < ACTIVATIONS; kind++)
        if (unit_name_is_of(id, unit->name, (enum activation)kind, ".socket"))
            note_socket(hosts, id, (enum activation)kind, state);
    if (unit_name_is_of(id, unit->name, ACTIVATION_SHARED, ".service"))
        note_old_shim(hosts, id, state);
}

/* systemd does not list a unit that is not loaded, and such a unit is inactive. */
static void forget_units(struct host_list *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        struct host_found *found = &hosts->list[i].found;
        for (int kind = 0; kind < ACTIVATIONS; kind++) {
            found->socket[kind] = UNIT_INACTIVE;
            found->loaded[kind] = false;
        }
        found->old_shim = false;
    }
    own_units_forget(hosts->own);
}

/* --- Paths ------------------------------------------------------------------------------------ */

static void look_at_host(struct host *host, const struct listening *listening)
{
    host->found.paths_alive = true;
    host->found.owned_by_root = false;
    for (size_t i = 0; i < host->path_count; i++)
        if (!listening_is_alive(listening, host->paths[i], &host->found.owned_by_root))
            host->found.paths_alive = false;
}

void sockets_look_at_paths(struct host_list *hosts)
{
    struct listening listening;
    if (listening_read(&listening) < 0)
        hosts->has_unknown = true;
    for (size_t i = 0; i < hosts->wanted; i++)
        look_at_host(&hosts->list[i], &listening);
    own_units_check_paths(hosts->own, &listening);
    listening_free(&listening);
}

/* A socket keeps the paths that it was started with, so its unit file tells whether they are still
 * right. */
static void find_moved(struct host_list *hosts, const struct unit_files *unit_files)
{
    for (size_t i = 0; i < hosts->wanted; i++)
        for (int kind = 0; kind < ACTIVATIONS; kind++) {
            struct host *host = &hosts->list[i];
            host->found.moved[kind] =
                host->found.socket[kind] == UNIT_ACTIVE &&
                !unit_files_has_paths(unit_files, host, (enum activation)kind);
        }
}

int sockets_look(struct host_list *hosts, struct manager *manager,
                 const struct unit_files *unit_files)
{
    /* Without lonc-host-*.service: there may be thousands of them, and they end by themselves. */
    char *patterns[3 + OWN_UNITS + 1] = {(char[]){"lonc-host-*.socket"},
                                         (char[]){"lonc-shared@*.socket"},
                                         (char[]){"lonc-shared@*.service"}};
    for (size_t i = 0; i < OWN_UNITS; i++)
        patterns[3 + i] = (char *)(uintptr_t)hosts->own[i].name;
    forget_units(hosts);
    int r = manager_list(manager, patterns, note_unit, hosts);
    if (r < 0)
        return r;
    sockets_look_at_paths(hosts);
    if (hosts->from_table)
        find_moved(hosts, unit_files);
    return 0;
}
