/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order in which sockets and services are stopped and started, so that nobody who was accepted
 * is forgotten and the time without a socket is short.
 */
#include <stdio.h>
#include <string.h>

#include "units/work.h"

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

static bool is_served(const struct host *host)
{
    return host->socket[host->kind] == UNIT_ACTIVE && host->paths_alive && !host->moved[host->kind];
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
            bool anew =
                kind == ACTIVATION_SHARED && host->kind == ACTIVATION_SHARED && !is_served(host);
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
        if (host->kind == ACTIVATION_SHARED && !is_served(host) && host->service == UNIT_ACTIVE)
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
        if (!is_served(host))
            act_on_socket(work, again ? "RestartUnit" : "StartUnit", host, host->kind,
                          why_not_served(host));
        else if (host->socket[!host->kind] == UNIT_ACTIVE)
            act_on_socket(work, "StopUnit", host, !host->kind, "it is served the other way");
    }
    for (size_t i = 0; i < 2; i++) {
        const struct keeper_socket *socket = &hosts->keeper[i];
        if (socket->state == UNIT_FAILED)
            act(work, "StartUnit", socket->unit, "it had failed");
        else if (socket->state == UNIT_ACTIVE && !socket->path_alive)
            act(work, "RestartUnit", socket->unit, "its path was gone");
    }
    await(work);
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
    stop_services(work, hosts);
}
