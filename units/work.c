/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order in which sockets and services are stopped and started, so that nobody who was accepted
 * is forgotten and the time without a socket is short.
 */
#include <stdio.h>
#include <string.h>

#include "units/work.h"
#include "units/written.h"

static void act(struct work *work, const char *verb, const char *unit, const char *why)
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
    work->done++;
    if (work->dry_run)
        return;
    if (strcmp(verb, "ResetFailedUnit") != 0)
        manager_queue(work->manager, verb, unit);
    else if (manager_reset_failed(work->manager, unit) < 0)
        work->failed++;
}

static void await(struct work *work)
{
    if (!work->dry_run)
        work->failed += (unsigned)manager_wait(work->manager);
}

static void act_on_socket(struct work *work, const char *verb, const struct host *host,
                          enum activation kind, const char *why)
{
    char unit[UNIT_SIZE];
    sockets_unit_name(unit, host, kind, ".socket");
    act(work, verb, unit, why);
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
static void stop_strays(struct work *work, const struct hosts *hosts)
{
    static const char why[] = "not to be served";
    for (size_t i = hosts->wanted; i < hosts->count; i++)
        for (int kind = 0; kind < 2; kind++) {
            const struct host *host = &hosts->list[i];
            if (host->socket[kind] == UNIT_ACTIVE)
                act_on_socket(work, "StopUnit", host, (enum activation)kind, why);
            else if (host->socket[kind] == UNIT_FAILED)
                act_on_socket(work, "ResetFailedUnit", host, (enum activation)kind, why);
        }
}

/*
 * systemd refuses to start a shared socket while its service runs, so that goes first. The socket
 * goes before its service, which then takes who waits in the backlog and leaves: nobody is lost.
 * Nothing is started before all is stopped, since a path may go from one host to another.
 */
void work_make_way(struct work *work, const struct hosts *hosts)
{
    stop_strays(work, hosts);
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        for (int kind = 0; kind < 2; kind++) {
            bool anew = kind == ACTIVATION_SHARED && host->kind == ACTIVATION_SHARED &&
                        !sockets_is_served(host);
            if (host->socket[kind] == UNIT_ACTIVE && (host->moved[kind] || anew))
                act_on_socket(work, "StopUnit", host, (enum activation)kind,
                              host->moved[kind] ? moved : why_not_served(host));
        }
    }
    await(work);
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        char unit[UNIT_SIZE];
        sockets_unit_name(unit, host, ACTIVATION_SHARED, ".service");
        if (host->kind == ACTIVATION_SHARED && !sockets_is_served(host) &&
            host->service == UNIT_ACTIVE)
            act(work, "StopUnit", unit, "its socket is started anew");
    }
    await(work);
}

/* Starting one kind stops the other, in one go (Conflicts= of the unit), so the gap is short. */
static void start_wanted(struct work *work, const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->wanted; i++) {
        const struct host *host = &hosts->list[i];
        bool again = host->kind == ACTIVATION_PER_CONNECTION &&
                     host->socket[host->kind] == UNIT_ACTIVE && !host->moved[host->kind];
        if (!sockets_is_served(host))
            act_on_socket(work, again ? "RestartUnit" : "StartUnit", host, host->kind,
                          why_not_served(host));
        else if (host->socket[!host->kind] == UNIT_ACTIVE)
            act_on_socket(work, "StopUnit", host, !host->kind, "it is served the other way");
    }
    await(work);
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
static void mend_own(struct work *work, const struct hosts *hosts)
{
    for (size_t i = 0; i < OWN_UNITS; i++) {
        const struct own_unit *unit = &hosts->own[i];
        const char *why = why_mended(unit, i);
        if (why != NULL)
            act(work, i < OWN_SOCKETS ? "RestartUnit" : "StartUnit", unit->name, why);
        else if (unit->path_blocked)
            work->failed++; /* which was said */
    }
    await(work);
    /* It would start when somebody asks; but what is deferred must not wait for that. */
    const struct own_unit *keeper = &hosts->own[OWN_KEEPER];
    if (hosts->own[OWN_TARGET].state == UNIT_ACTIVE && keeper->state == UNIT_INACTIVE &&
        keeper->at_rest && !keeper->masked) {
        act(work, "StartUnit", keeper->name, "it was down");
        await(work);
    }
}

/* Their sockets are gone; they hand over who had got there, and leave. */
static void stop_services(struct work *work, const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        const struct host *host = &hosts->list[i];
        char unit[UNIT_SIZE];
        sockets_unit_name(unit, host, ACTIVATION_SHARED, ".service");
        if (host->service == UNIT_ACTIVE &&
            (!host->wanted || host->kind == ACTIVATION_PER_CONNECTION))
            act(work, "StopUnit", unit, "its socket is gone");
    }
    await(work);
}

void work_serve(struct work *work, const struct hosts *hosts)
{
    start_wanted(work, hosts);
    mend_own(work, hosts);
    stop_services(work, hosts);
}

void work_renew_keeper(struct work *work, const struct hosts *hosts)
{
    const struct own_unit *keeper = &hosts->own[OWN_KEEPER];
    uint64_t started, written = written_keeper_time();
    if (written == 0 || !keeper->running || work->dry_run ||
        manager_started(work->manager, keeper->name, &started) < 0 || started >= written)
        return;
    act(work, "RestartUnit", keeper->name, "so that it may write where its drop-in says");
    await(work);
}
