/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See sync.h. The order of the steps makes sure that every client that was accepted is answered,
 * and that a host is without a socket for as short a time as possible.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/monotonic.h"
#include "units/lonc-hosts/sync.h"
#include "units/lonc-hosts/www.h"

/*
 * While sockets are added, the shared shim is stopped and the clients of all hosts wait. So sockets
 * are added in batches, and the shim serves between two batches for as long as a batch took. This
 * is how long a batch should take, in microseconds. lonnet's users do not notice it; and together
 * with the shim's stop and start, on a machine that is fully loaded, it stays below 200 ms.
 */
#define BATCH_TIME 80000

/* The size of the first batch, which measures how long a socket takes here: 1 to 3 ms on the
 * machines that were tried. */
#define BATCH_FIRST 16

/* --- Steps ------------------------------------------------------------------------------------ */

static void print_step(struct sync *sync, const char *verb, const char *unit, const char *why)
{
    static const struct {
        const char *verb, *word;
    } words[] = {{"StartUnit", "start"},
                 {"StopUnit", "stop"},
                 {"RestartUnit", "restart"},
                 {"ResetFailedUnit", "forget"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(verb, words[i].verb) == 0)
            printf("%s %s%s%s\n", words[i].word, unit, *why != '\0' ? ": " : "", why);
    sync->done++;
}

static void queue_step(struct sync *sync, const char *verb, const char *unit, const char *why)
{
    print_step(sync, verb, unit, why);
    if (sync->dry_run)
        return;
    if (strcmp(verb, "ResetFailedUnit") != 0)
        (void)manager_queue(sync->manager, verb, unit); /* manager_wait counts failures */
    else if (manager_reset_failed(sync->manager, unit) < 0)
        sync->failed++;
}

static void queue_socket_step(struct sync *sync, const char *verb, const struct host *host,
                              enum activation kind, const char *why)
{
    char unit[UNIT_SIZE];
    unit_name_make(unit, host->id, kind, ".socket");
    queue_step(sync, verb, unit, why);
}

static void wait_for_jobs(struct sync *sync)
{
    if (!sync->dry_run)
        sync->failed += (unsigned)manager_wait(sync->manager);
}

static void give_sockets_to_www(struct sync *sync, const struct host *host)
{
    for (size_t i = 0; i < host->path_count; i++)
        if (!sync->dry_run && www_give_socket(host->paths[i], www()) < 0)
            sync->failed++;
}

static const char moved[] = "its paths have changed";

static const char *why_not_served(const struct host *host)
{
    static const char *const others[] = {
        [ACTIVATION_PER_CONNECTION] = "it was shared",
        [ACTIVATION_SHARED] = "it was served per connection",
    };
    const struct host_found *found = &host->found;
    if (found->socket[host->kind] == UNIT_FAILED)
        return "it had failed";
    if (found->moved[host->kind])
        return moved;
    if (found->socket[host->kind] == UNIT_ACTIVE)
        return "its path was gone";
    return found->socket[!host->kind] == UNIT_ACTIVE ? others[host->kind] : "";
}

/* --- Stopping --------------------------------------------------------------------------------- */

/* Stops the sockets of hosts that have left the table, or have no path of their own any more. */
static void stop_unwanted(struct sync *sync, const struct host_list *hosts)
{
    static const char why[] = "no longer needed";
    for (size_t i = hosts->wanted; i < hosts->count; i++)
        for (int kind = 0; kind < ACTIVATIONS; kind++) {
            const struct host *host = &hosts->list[i];
            if (host->found.socket[kind] == UNIT_ACTIVE)
                queue_socket_step(sync, "StopUnit", host, (enum activation)kind, why);
            else if (host->found.socket[kind] == UNIT_FAILED)
                queue_socket_step(sync, "ResetFailedUnit", host, (enum activation)kind, why);
        }
}

/*
 * A client that waits in the backlog of a shared socket is not lost when the socket is stopped: the
 * shim has the socket too, and empties its backlog once more before it exits. All stops come before
 * all starts, since a path may pass from one host to another.
 */
void sync_stop_sockets(struct sync *sync, const struct host_list *hosts)
{
    stop_unwanted(sync, hosts);
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        const struct host_found *found = &host->found;
        for (int kind = 0; kind < ACTIVATIONS; kind++) {
            /* systemd does not restart a shared socket while the shim runs. */
            bool starts_anew = kind == ACTIVATION_SHARED && host->kind == ACTIVATION_SHARED &&
                               !host_list_is_served(host);
            if (found->socket[kind] == UNIT_ACTIVE && (found->moved[kind] || starts_anew))
                queue_socket_step(sync, "StopUnit", host, (enum activation)kind,
                                  found->moved[kind] ? moved : why_not_served(host));
        }
    }
    wait_for_jobs(sync);
}

/* --- Starting: per connection ----------------------------------------------------------------- */

/*
 * Starts the sockets of hosts with a shim for each connection, one by one, and stops whatever still
 * listens beside the socket that a host should have. Starting one kind of socket stops the other in
 * the same transaction (Conflicts= in the unit), which keeps the gap short.
 */
static void start_per_connection(struct sync *sync, const struct host_list *hosts)
{
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        const struct host_found *found = &host->found;
        bool served = host_list_is_served(host);
        bool again = found->socket[host->kind] == UNIT_ACTIVE && !found->moved[host->kind];
        if (!served && host->kind == ACTIVATION_PER_CONNECTION)
            queue_socket_step(sync, again ? "RestartUnit" : "StartUnit", host, host->kind,
                              why_not_served(host));
        else if (served && found->socket[!host->kind] == UNIT_ACTIVE)
            queue_socket_step(sync, "StopUnit", host, !host->kind, "it is served the other way");
    }
    wait_for_jobs(sync);
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        bool was_started = host->kind == ACTIVATION_PER_CONNECTION && !host_list_is_served(host);
        if (host->found.owned_by_root || was_started)
            give_sockets_to_www(sync, host);
    }
}

/* --- Starting: shared ------------------------------------------------------------------------- */

/* Returns how long it took, in microseconds. */
static uint64_t start_batch(struct sync *sync, const struct host *const *batch, size_t count)
{
    static char names[SYNC_BATCH_MAX][UNIT_SIZE];
    static char *sockets[SYNC_BATCH_MAX + 1];
    uint64_t start = monotonic_now();
    for (size_t i = 0; i < count; i++) {
        unit_name_make(names[i], batch[i]->id, ACTIVATION_SHARED, ".socket");
        sockets[i] = names[i];
        print_step(sync, "StartUnit", names[i], why_not_served(batch[i]));
    }
    sockets[count] = NULL;
    if (sync->dry_run)
        return 0;
    (void)manager_queue_sockets(sync->manager, SHARED_SHIM, sockets); /* manager_wait counts */
    wait_for_jobs(sync);
    for (size_t i = 0; i < count; i++)
        give_sockets_to_www(sync, batch[i]);
    return monotonic_now() - start;
}

size_t sync_next_batch(size_t count, uint64_t took)
{
    size_t next = took > 0 ? (size_t)(count * BATCH_TIME / took) : SYNC_BATCH_MAX;
    return next < 1 ? 1 : next > SYNC_BATCH_MAX ? SYNC_BATCH_MAX : next;
}

static bool is_shared_and_served(const struct host *host)
{
    return host->kind == ACTIVATION_SHARED && host_list_is_served(host);
}

static bool is_shared_and_down(const struct host *host)
{
    return host->kind == ACTIVATION_SHARED && !host_list_is_served(host);
}

/* In either way, and wherever. */
static bool has_listener(const struct host *host)
{
    return host->found.socket[ACTIVATION_PER_CONNECTION] == UNIT_ACTIVE ||
           host->found.socket[ACTIVATION_SHARED] == UNIT_ACTIVE;
}

/*
 * Starts the shared sockets in batches. If no host is served yet, there is nobody to hold up, and
 * no pause is needed. When hosts are switched to this kind, those of a batch have no socket for as
 * long as the batch takes.
 */
static void start_shared(struct sync *sync, const struct host_list *hosts)
{
    const struct host *batch[SYNC_BATCH_MAX] = {NULL};
    bool hurry = !host_list_has_any(hosts, hosts->wanted, has_listener);
    size_t most = hurry ? SYNC_BATCH_MAX : BATCH_FIRST, count = 0;
    uint64_t took = 0;
    for (size_t i = 0; i <= hosts->wanted; i++) {
        const struct host *host = i < hosts->wanted ? &hosts->list[i] : NULL;
        if (count > 0 && (host == NULL || count == most)) {
            if (took > 0 && !hurry)
                poll(NULL, 0, (int)(took / 1000)); /* the shim serves the other hosts */
            took = start_batch(sync, batch, count);
            most = hurry ? SYNC_BATCH_MAX : sync_next_batch(count, took);
            count = 0;
        }
        if (host != NULL && is_shared_and_down(host))
            batch[count++] = host;
    }
}

/* --- Our own units ---------------------------------------------------------------------------- */

static void mend_own_units(struct sync *sync, const struct host_list *hosts)
{
    for (size_t i = 0; i < OWN_UNITS; i++) {
        const struct own_unit *unit = &hosts->own[i];
        const char *why = own_units_why_broken(hosts->own, i);
        /* systemd starts the keeper's sockets only while no keeper runs; restarting a socket stops
         * the keeper first. */
        if (why != NULL)
            queue_step(sync, i < OWN_SOCKETS ? "RestartUnit" : "StartUnit", unit->name, why);
        else if (unit->path_blocked)
            sync->failed++; /* which has been reported */
    }
    wait_for_jobs(sync);
    /* The next client would start the keeper, but deferred transactions must not wait for one. */
    if (own_units_is_keeper_missing(hosts->own)) {
        queue_step(sync, "StartUnit", hosts->own[OWN_KEEPER].name, "it was down");
        wait_for_jobs(sync);
    }
}

/* --- After an upgrade ------------------------------------------------------------------------- */

static bool has_old_shim(const struct host *host)
{
    return host->found.old_shim;
}

/*
 * Older releases had a shim for each host. The shared shim starts and takes over their sockets
 * before they are stopped, so nobody waits. An old shim that is stopped hands over the clients it
 * has accepted, and exits.
 */
static void stop_old_shims(struct sync *sync, const struct host_list *hosts)
{
    if (!host_list_has_any(hosts, hosts->count, has_old_shim))
        return;
    if (host_list_has_any(hosts, hosts->wanted, is_shared_and_served)) {
        queue_step(sync, "StartUnit", SHARED_SHIM, "it replaces the shims of single hosts");
        wait_for_jobs(sync);
    }
    for (size_t i = 0; i < hosts->count; i++) {
        char unit[UNIT_SIZE];
        unit_name_make(unit, hosts->list[i].id, ACTIVATION_SHARED, ".service");
        if (has_old_shim(&hosts->list[i]))
            queue_step(sync, "StopUnit", unit, "replaced by the shared shim");
    }
    wait_for_jobs(sync);
}

void sync_start_sockets(struct sync *sync, const struct host_list *hosts)
{
    start_per_connection(sync, hosts);
    start_shared(sync, hosts);
    mend_own_units(sync, hosts);
    stop_old_shims(sync, hosts);
}

void sync_restart_outdated_keeper(struct sync *sync, const struct host_list *hosts,
                                  const struct unit_files *unit_files)
{
    const struct own_unit *keeper = &hosts->own[OWN_KEEPER];
    uint64_t started, written = unit_files_keeper_dropin_time(unit_files);
    if (written == 0 || !keeper->running || sync->dry_run ||
        manager_start_time(sync->manager, keeper->name, &started) < 0 || started >= written)
        return;
    queue_step(sync, "RestartUnit", keeper->name, "so that it may write where its drop-in says");
    wait_for_jobs(sync);
}
