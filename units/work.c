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
    sockets_socket_name(unit, host, kind);
    act(work, verb, unit, why);
}

static bool is_served(const struct host *host)
{
    return host->socket[host->kind] == UNIT_ACTIVE && host->path_alive;
}

static const char *why_not_served(const struct host *host)
{
    static const char *const others[] = {
        [ACTIVATION_PER_CONNECTION] = "it was shared",
        [ACTIVATION_SHARED] = "it was served per connection",
    };
    if (host->socket[host->kind] == UNIT_FAILED)
        return "it had failed";
    if (host->socket[host->kind] == UNIT_ACTIVE)
        return "its path was gone";
    return host->socket[!host->kind] == UNIT_ACTIVE ? others[host->kind] : "";
}

/* Hosts that are no longer in the table. */
static void remove_strays(struct work *work, const struct hosts *hosts)
{
    static const char why[] = "not in the host table";
    for (size_t i = hosts->in_table; i < hosts->count; i++)
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
 */
static void make_way(struct work *work, const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->in_table; i++) {
        const struct host *host = &hosts->list[i];
        bool restarted = host->kind == ACTIVATION_SHARED && !is_served(host);
        if (restarted && host->socket[ACTIVATION_SHARED] == UNIT_ACTIVE)
            act_on_socket(work, "StopUnit", host, ACTIVATION_SHARED, why_not_served(host));
    }
    await(work);
    for (size_t i = 0; i < hosts->in_table; i++) {
        const struct host *host = &hosts->list[i];
        char unit[UNIT_SIZE];
        sockets_service_name(unit, host);
        if (host->kind == ACTIVATION_SHARED && !is_served(host) && host->service == UNIT_ACTIVE)
            act(work, "StopUnit", unit, "its socket is started anew");
    }
    await(work);
}

/* Starting one kind stops the other, in one go (Conflicts= of the unit), so the gap is short. */
static void start_wanted(struct work *work, const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->in_table; i++) {
        const struct host *host = &hosts->list[i];
        bool again =
            host->kind == ACTIVATION_PER_CONNECTION && host->socket[host->kind] == UNIT_ACTIVE;
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
        sockets_service_name(unit, host);
        if (host->service == UNIT_ACTIVE &&
            (!host->wanted || host->kind == ACTIVATION_PER_CONNECTION))
            act(work, "StopUnit", unit, "its socket is gone");
    }
    await(work);
}

void work_do(struct work *work, const struct hosts *hosts)
{
    remove_strays(work, hosts);
    make_way(work, hosts);
    start_wanted(work, hosts);
    stop_services(work, hosts);
}
