/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's state, in the forms others want it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keeper/status.h"

static const char *const health_words[] = {
    [HEALTH_HEALTHY] = "healthy",
    [HEALTH_FAILING] = "failing",
    [HEALTH_DEAD] = "dead",
};

/* Hosts of the table by their health. */
struct tally {
    size_t of[HEALTH_DEAD + 1];
};

static struct tally tally_hosts(const struct status *status)
{
    struct tally tally = {.of = {0}};
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &status->service->hosts->by_id)
        if (host->listed)
            tally.of[host->health.state]++;
    return tally;
}

void status_line(const struct status *status, char *line, size_t size)
{
    struct tally tally = tally_hosts(status);
    snprintf(line, size, "%zu hosts up, %zu dead, %zu queued, %zu deferred",
             tally.of[HEALTH_HEALTHY] + tally.of[HEALTH_FAILING], tally.of[HEALTH_DEAD],
             status->service->queued, deferred_count(status->deferred));
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *seconds(uint64_t microseconds)
{
    return json_real((double)microseconds / 1e6);
}

/* Where the host is looked for: empty while its name is not resolved. */
static json_t *addresses_json(const struct host *host)
{
    const struct addresses own = {.count = 1, .at = {host->address}};
    const struct addresses *known =
        host->naming.name != NULL ? resolver_addresses(&host->naming) : &own;
    json_t *list = json_array();
    for (unsigned i = 0; i < known->count; i++) {
        char text[ADDRESS_TEXT_SIZE];
        json_array_append_new(list, json_string(address_text(&known->at[i], text)));
    }
    return list;
}

/* A host that wants attention: why, since when, and when it is tried next. */
static json_t *trouble_json(const struct host *host)
{
    uint64_t now = loop_clock();
    uint64_t next = host->health.next_attempt;
    json_t *trouble =
        json_pack("{s:s, s:s, s:s, s:I}", "id", host->id, "state", health_words[host->health.state],
                  "reason", reason_word(host->health.reason), "queued", (json_int_t)host->queued);
    if (trouble == NULL)
        return NULL;
    if (host->detail != NULL)
        json_object_set_new(trouble, "detail", json_string(host->detail));
    json_object_set_new(trouble, "addresses", addresses_json(host));
    if (host->health.dead_since != 0)
        json_object_set_new(trouble, "dead_for", seconds(now - host->health.dead_since));
    json_object_set_new(trouble, "next_attempt_in", seconds(next > now ? next - now : 0));
    return trouble;
}

static json_t *hosts_json(const struct status *status)
{
    struct tally tally = tally_hosts(status);
    json_t *trouble = json_array();
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &status->service->hosts->by_id)
        if (host->listed && host->health.state != HEALTH_HEALTHY)
            json_array_append_new(trouble, trouble_json(host));
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:o}", "total", (json_int_t)status->service->hosts->count, "healthy",
        (json_int_t)tally.of[HEALTH_HEALTHY], "failing", (json_int_t)tally.of[HEALTH_FAILING],
        "dead", (json_int_t)tally.of[HEALTH_DEAD], "trouble", trouble);
}

static json_t *con_lost_json(const struct service *service)
{
    json_t *causes = json_object();
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        if (service->answers[reason] > 0)
            json_object_set_new(causes, reason_word((enum reason)reason),
                                json_integer((json_int_t)service->answers[reason]));
    return causes;
}

json_t *status_json(const struct status *status)
{
    const struct service *service = status->service;
    return json_pack(
        "{s:s, s:I, s:o, s:b, s:b, s:o, s:I, s:I, s:o, s:I, s:I, s:I, s:I}", "version",
        LONC_VERSION, "pid", (json_int_t)getpid(), "up_for",
        seconds(loop_clock() - status->started), "configured", service->config->valid, "stopping",
        service->stopping, "hosts", hosts_json(status), "requests", (json_int_t)service->requests,
        "replies", (json_int_t)service->answers[REASON_NONE], "con_lost", con_lost_json(service),
        "queued", (json_int_t)service->queued, "deferred",
        (json_int_t)deferred_count(status->deferred), "descriptors",
        (json_int_t)service->descriptors, "handovers_cut", (json_int_t)service->handovers_cut);
}

json_t *status_connections_json(const struct host *host)
{
    json_t *connections = json_array();
    for (unsigned list = 0; list < POOL_LISTS; list++) {
        const struct lond *lond;
        LIST_FOREACH (lond, &host->pool[list], link) {
            json_t *connection = json_pack("{s:s, s:b}", "state", lond_state_name(lond->state),
                                           "busy", lond->transaction != NULL);
            if (lond->opened)
                json_object_set_new(connection, "mode",
                                    json_string(handshake_mode_word(lond->mode)));
            if (lond->tls_version != NULL)
                json_object_set_new(connection, "tls", json_string(lond->tls_version));
            json_array_append_new(connections, connection);
        }
    }
    return connections;
}

/* --- loncstatus.txt --------------------------------------------------------------------------- */

/* What the old daemon counted: how many failures are left before the host is dead. */
static unsigned retries_remaining(const struct host *host)
{
    unsigned allowed = (unsigned)host->service->settings.failures_until_dead;
    return host->health.failures < allowed ? allowed - host->health.failures : 0;
}

static void write_host(FILE *file, const struct host *host, const char *date)
{
    char peer[ADDRESS_TEXT_SIZE];
    unsigned connections = 0, number = 0;
    for (unsigned list = 0; list < POOL_LISTS; list++)
        connections += host->pool_count[list];
    fprintf(file, "%ld\t%s\t%s: ", (long)getpid(), host->id, date);
    if (host->health.state == HEALTH_DEAD)
        fprintf(file, "%s >> DEAD <<\t", host->id);
    else
        fprintf(file, "%s Connection count: %u Retries remaining: %u\t", host->id, connections,
                retries_remaining(host));
    /* In the place of the old daemon's last log line: the last thing there was to say. */
    if (host->health.state != HEALTH_HEALTHY)
        fprintf(file, "%s\n", reason_text(host->health.reason));
    else if (host->version[0] != '\0')
        fprintf(file, "connected to lond %s at %s, %s\n", host->version,
                address_text(&host->peer, peer), handshake_mode_word(host->mode));
    else
        fputs("no connection yet\n", file);
    fputs("Active connection statuses: \n", file);
    for (unsigned list = 0; list < POOL_LISTS; list++) {
        const struct lond *lond;
        LIST_FOREACH (lond, &host->pool[list], link)
            fprintf(file, "Connection %u State: %s\n", ++number, lond_state_name(lond->state));
    }
}

static void write_all(FILE *file, const struct status *status)
{
    char date[64];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &local);
    fprintf(file, "LONC status %s - parent %ld \n\n", date, (long)getpid());
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &status->service->hosts->by_id)
        if (host->listed)
            write_host(file, host, date);
}

int status_write_file(const struct status *status)
{
    const char *root = status->service->config->loncapa.doc_root;
    char path[4096], temporary[4096 + 8];
    if (root == NULL)
        return -ENOENT;
    int length = snprintf(path, sizeof(path), "%s/lon-status/loncstatus.txt", root);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    FILE *file = fopen(temporary, "we");
    if (file == NULL)
        return -errno;
    write_all(file, status);
    int error = ferror(file) ? EIO : 0;
    if (fclose(file) != 0)
        error = errno;
    if (error == 0 && rename(temporary, path) < 0)
        error = errno;
    if (error != 0)
        unlink(temporary);
    return -error;
}
