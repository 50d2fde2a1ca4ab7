/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order in which sockets and services are stopped and started, so that nobody who was accepted
 * is forgotten and the time without a socket is short.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/monotonic.h"
#include "units/lonc-hosts/sync.h"
#include "units/lonc-hosts/unit_files.h"
#include "units/lonc-hosts/www.h"

/*
 * While sockets are added, the shim of all hosts is away and their clients wait. So it is done in
 * batches, with as long a time between them, in which it serves. How long a batch should take, in
 * microseconds: lonnet's users do not see it, and with the shim's own stop and start, and a machine
 * that is as busy as it can be, it is still under 200 ms.
 */
#define PAUSE 80000

/* The first batch, which tells how long a socket takes here: 1 to 3 ms where it was measured. */
#define BATCH_FIRST 16

static void say(struct sync *sync, const char *verb, const char *unit, const char *why)
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

static void act(struct sync *sync, const char *verb, const char *unit, const char *why)
{
    say(sync, verb, unit, why);
    if (sync->dry_run)
        return;
    if (strcmp(verb, "ResetFailedUnit") != 0)
        manager_queue(sync->manager, verb, unit);
    else if (manager_reset_failed(sync->manager, unit) < 0)
        sync->failed++;
}

static void await(struct sync *sync)
{
    if (!sync->dry_run)
        sync->failed += (unsigned)manager_wait(sync->manager);
}

static void act_on_socket(struct sync *sync, const char *verb, const struct host *host,
                          enum activation kind, const char *why)
{
    char unit[UNIT_SIZE];
    sockets_unit_name(unit, host, kind, ".socket");
    act(sync, verb, unit, why);
}

static const char moved[] = "its paths have changed";

static const char *why_not_served(const struct host *host)
{
    static const char *const others[] = {
        [ACTIVATION_PER_CONNECTION] = "it was shared",
        [ACTIVATION_SHARED] = "it was served per connection",
    };
    if (host->socket[host->kind] == UNIT_FAILED)
        return "it had failed";
    if (host->moved[host->kind])
        return moved;
    if (host->socket[host->kind] == UNIT_ACTIVE)
        return "its path was gone";
    return host->socket[!host->kind] == UNIT_ACTIVE ? others[host->kind] : "";
}

/* Of hosts that are no longer in the table, or no longer have a path of their own. */
static void stop_strays(struct sync *sync, const struct hosts *hosts)
{
    static const char why[] = "not to be served";
    for (size_t i = hosts->wanted; i < hosts->count; i++)
        for (int kind = 0; kind < 2; kind++) {
            const struct host *host = &hosts->list[i];
            if (host->socket[kind] == UNIT_ACTIVE)
                act_on_socket(sync, "StopUnit", host, (enum activation)kind, why);
            else if (host->socket[kind] == UNIT_FAILED)
                act_on_socket(sync, "ResetFailedUnit", host, (enum activation)kind, why);
        }
}

/*
 * Whoever waits in the backlog of a shared socket that is stopped is not lost: the shim has it,
 * too, and looks into it once more when it leaves. Nothing is started before all is stopped, since
 * a path may go from one host to another.
 */
void sync_make_way(struct sync *sync, const struct hosts *hosts)
{
    stop_strays(sync, hosts);
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        for (int kind = 0; kind < 2; kind++) {
            bool anew = kind == ACTIVATION_SHARED && host->kind == ACTIVATION_SHARED &&
                        !sockets_is_served(host);
            if (host->socket[kind] == UNIT_ACTIVE && (host->moved[kind] || anew))
                act_on_socket(sync, "StopUnit", host, (enum activation)kind,
                              host->moved[kind] ? moved : why_not_served(host));
        }
    }
    await(sync);
}

static void give(struct sync *sync, const struct host *host)
{
    for (size_t i = 0; i < host->path_count; i++)
        if (!sync->dry_run && www_give(host->paths[i]) < 0)
            sync->failed++;
}

/*
 * Sockets with Accept=yes, one by one; and whatever is still there beside what there should be.
 * Starting one kind stops the other, in one go (Conflicts= of the unit), so the gap is short.
 */
static void start_single(struct sync *sync, const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        bool served = sockets_is_served(host);
        bool again = host->socket[host->kind] == UNIT_ACTIVE && !host->moved[host->kind];
        if (!served && host->kind == ACTIVATION_PER_CONNECTION)
            act_on_socket(sync, again ? "RestartUnit" : "StartUnit", host, host->kind,
                          why_not_served(host));
        else if (served && host->socket[!host->kind] == UNIT_ACTIVE)
            act_on_socket(sync, "StopUnit", host, !host->kind, "it is served the other way");
    }
    await(sync);
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        if (host->roots || (host->kind == ACTIVATION_PER_CONNECTION && !sockets_is_served(host)))
            give(sync, host);
    }
}

/* How long it took, in microseconds. */
static uint64_t start_batch(struct sync *sync, const struct host *const *batch, size_t count)
{
    static char names[WORK_BATCH_MAX][UNIT_SIZE];
    static char *sockets[WORK_BATCH_MAX + 1];
    uint64_t start = monotonic_now();
    for (size_t i = 0; i < count; i++) {
        sockets_unit_name(names[i], batch[i], ACTIVATION_SHARED, ".socket");
        sockets[i] = names[i];
        say(sync, "StartUnit", names[i], why_not_served(batch[i]));
    }
    sockets[count] = NULL;
    if (sync->dry_run)
        return 0;
    manager_queue_sockets(sync->manager, SOCKETS_SHIM, sockets);
    await(sync);
    for (size_t i = 0; i < count; i++)
        give(sync, batch[i]);
    return monotonic_now() - start;
}

size_t sync_next_batch(size_t count, uint64_t took)
{
    size_t next = took > 0 ? (size_t)(count * PAUSE / took) : WORK_BATCH_MAX;
    return next < 1 ? 1 : next > WORK_BATCH_MAX ? WORK_BATCH_MAX : next;
}

static bool any_is_served(const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->wanted; i++)
        if (hosts->list[i].kind == ACTIVATION_SHARED && sockets_is_served(&hosts->list[i]))
            return true;
    return false;
}

/* In whatever way. */
static bool any_listens(const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->wanted; i++)
        if (hosts->list[i].socket[0] == UNIT_ACTIVE || hosts->list[i].socket[1] == UNIT_ACTIVE)
            return true;
    return false;
}

/*
 * Where nobody is served yet, nobody's clients are held up. Where hosts are switched, those of a
 * batch have no socket for as long as it takes.
 */
static void start_shared(struct sync *sync, const struct hosts *hosts)
{
    const struct host *batch[WORK_BATCH_MAX];
    bool hurry = !any_listens(hosts);
    size_t most = hurry ? WORK_BATCH_MAX : BATCH_FIRST, count = 0;
    uint64_t took = 0;
    for (size_t i = 0; i <= hosts->wanted; i++) {
        const struct host *host = i < hosts->wanted ? &hosts->list[i] : NULL;
        if (count > 0 && (host == NULL || count == most)) {
            if (took > 0 && !hurry)
                poll(NULL, 0, (int)(took / 1000)); /* others are served */
            took = start_batch(sync, batch, count);
            most = hurry ? WORK_BATCH_MAX : sync_next_batch(count, took);
            count = 0;
        }
        if (host != NULL && host->kind == ACTIVATION_SHARED && !sockets_is_served(host))
            batch[count++] = host;
    }
}

/*
 * A keeper that is started without a control socket of systemd's makes one itself. Where that
 * serves, or a folder is in the way of any, restarting the keeper would be of no use.
 */
static const char *why_mended(const struct own_unit *unit, size_t index)
{
    bool serves = index == OWN_CONTROL && unit->path_alive;
    if (unit->masked)
        return NULL;
    if (unit->state == UNIT_FAILED)
        return !serves && !unit->path_blocked ? "it had failed" : NULL;
    bool gone = index < OWN_SOCKETS && unit->state == UNIT_ACTIVE && !unit->path_alive;
    return gone ? "its path was gone" : NULL;
}

/* systemd starts the keeper's sockets only while there is no keeper: a restart stops that first. */
static void mend_own(struct sync *sync, const struct hosts *hosts)
{
    for (size_t i = 0; i < OWN_UNITS; i++) {
        const struct own_unit *unit = &hosts->own[i];
        const char *why = why_mended(unit, i);
        if (why != NULL)
            act(sync, i < OWN_SOCKETS ? "RestartUnit" : "StartUnit", unit->name, why);
        else if (unit->path_blocked)
            sync->failed++; /* which was said */
    }
    await(sync);
    /* It would start when somebody asks; but what is deferred must not wait for that. */
    const struct own_unit *keeper = &hosts->own[OWN_KEEPER];
    if (hosts->own[OWN_TARGET].state == UNIT_ACTIVE && keeper->state == UNIT_INACTIVE &&
        keeper->at_rest && !keeper->masked) {
        act(sync, "StartUnit", keeper->name, "it was down");
        await(sync);
    }
}

/*
 * After an upgrade: each host had a shim of its own. The one for all takes their sockets before
 * they go, and nobody waits. They hand over who had got there, and leave.
 */
static void relieve_old_shims(struct sync *sync, const struct hosts *hosts)
{
    bool any = false;
    for (size_t i = 0; i < hosts->count; i++)
        any |= hosts->list[i].old_shim;
    if (!any)
        return;
    if (any_is_served(hosts)) {
        act(sync, "StartUnit", SOCKETS_SHIM, "it takes over from a shim for each host");
        await(sync);
    }
    for (size_t i = 0; i < hosts->count; i++) {
        char unit[UNIT_SIZE];
        sockets_unit_name(unit, &hosts->list[i], ACTIVATION_SHARED, ".service");
        if (hosts->list[i].old_shim)
            act(sync, "StopUnit", unit, "it is relieved");
    }
    await(sync);
}

void sync_serve(struct sync *sync, const struct hosts *hosts)
{
    start_single(sync, hosts);
    start_shared(sync, hosts);
    mend_own(sync, hosts);
    relieve_old_shims(sync, hosts);
}

void sync_renew_keeper(struct sync *sync, const struct hosts *hosts)
{
    const struct own_unit *keeper = &hosts->own[OWN_KEEPER];
    uint64_t started, unit_files = unit_files_keeper_time();
    if (unit_files == 0 || !keeper->running || sync->dry_run ||
        manager_started(sync->manager, keeper->name, &started) < 0 || started >= unit_files)
        return;
    act(sync, "RestartUnit", keeper->name, "so that it may write where its drop-in says");
    await(sync);
}
