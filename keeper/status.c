/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's state, in the forms others want it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    size_t of[HEALTH_DEAD + 1], paused;
    unsigned connections[POOL_LISTS];
};

static struct tally tally_hosts(const struct status *status)
{
    struct tally tally = {.of = {0}};
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &status->service->hosts->by_id)
        if (host->listed) {
            tally.of[host->health.state]++;
            tally.paused += host->paused;
            for (unsigned list = 0; list < POOL_LISTS; list++)
                tally.connections[list] += host->pool_count[list];
        }
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

/* Null for what has not happened. */
static json_t *quantile_json(const struct window *window, uint64_t clock, double share)
{
    uint64_t time;
    if (window == NULL || !window_quantile(window, clock, share, &time))
        return json_null();
    return seconds(time);
}

static json_t *con_lost_json(const uint64_t answers[REASON_COUNT])
{
    json_t *causes = json_object();
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        if (answers[reason] > 0)
            json_object_set_new(causes, reason_word((enum reason)reason),
                                json_integer((json_int_t)answers[reason]));
    return causes;
}

static json_t *pool_json(const unsigned count[POOL_LISTS])
{
    return json_pack("{s:I, s:I, s:I}", "opening", (json_int_t)count[POOL_OPENING], "idle",
                     (json_int_t)count[POOL_IDLE], "busy", (json_int_t)count[POOL_BUSY]);
}

/* Why the host is in trouble, since when, and when it is tried next. */
static void set_trouble(json_t *object, const struct host *host)
{
    uint64_t now = host->service->loop.now;
    uint64_t next = host->health.next_attempt;
    if (host->health.state == HEALTH_HEALTHY) {
        json_object_set_new(object, "reason", json_null());
        return;
    }
    json_object_set_new(object, "reason", json_string(reason_word(host->health.reason)));
    json_object_set_new(object, "detail",
                        host->detail != NULL ? json_string(host->detail)
                                             : json_string(reason_text(host->health.reason)));
    if (host->health.dead_since != 0)
        json_object_set_new(object, "dead_for", seconds(now - host->health.dead_since));
    json_object_set_new(object, "next_attempt_in", seconds(next > now ? next - now : 0));
}

json_t *status_host_json(const struct status *status, const struct host *host)
{
    uint64_t now = host->service->loop.now;
    bool exact, known = host->version[0] != '\0';
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:b, s:o, s:o, s:s?, s:s?, s:o, s:I, s:I, s:I, s:o}", "id", host->id,
        "name", host->name, "state", health_words[host->health.state], "paused", host->paused,
        "addresses", addresses_json(host), "connections", pool_json(host->pool_count), "mode",
        known ? handshake_mode_word(host->mode) : NULL, "lond", known ? host->version : NULL,
        "con_lost", con_lost_json(host->answers), "queued", (json_int_t)host->queued, "requests",
        (json_int_t)host->requests, "replies", (json_int_t)host->answers[REASON_NONE], "latency",
        json_pack("{s:o, s:o}", "p50", quantile_json(host->latency, now, 0.5), "p99",
                  quantile_json(host->latency, now, 0.99)));
    if (object == NULL)
        return NULL;
    set_trouble(object, host);
    if (host->queued > 0)
        json_object_set_new(object, "oldest_wait", seconds(host_oldest_wait(host)));
    json_object_set_new(
        object, "deferred",
        json_integer((json_int_t)deferred_count_of(status->deferred, host, &exact)));
    json_object_set_new(object, "deferred_exact", json_boolean(exact));
    return object;
}

/* Hosts that want attention: the dead first, and not so many that telling them takes long. */
#define TROUBLE_MOST 100

static void add_trouble(const struct status *status, json_t *trouble, enum health_state state,
                        bool paused)
{
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &status->service->hosts->by_id) {
        if (json_array_size(trouble) == TROUBLE_MOST)
            return;
        if (host->listed && host->health.state == state && (!paused || host->paused))
            json_array_append_new(trouble, status_host_json(status, host));
    }
}

static json_t *hosts_json(const struct status *status, const struct tally *tally)
{
    json_t *trouble = json_array();
    add_trouble(status, trouble, HEALTH_DEAD, false);
    add_trouble(status, trouble, HEALTH_FAILING, false);
    add_trouble(status, trouble, HEALTH_HEALTHY, true);
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:o}", "total", (json_int_t)status->service->hosts->count,
        "healthy", (json_int_t)tally->of[HEALTH_HEALTHY], "failing",
        (json_int_t)tally->of[HEALTH_FAILING], "dead", (json_int_t)tally->of[HEALTH_DEAD], "paused",
        (json_int_t)tally->paused, "trouble", trouble);
}

json_t *status_json(const struct status *status)
{
    struct service *service = status->service;
    struct stats *stats = &service->stats;
    uint64_t now = service->loop.now;
    struct tally tally = tally_hosts(status);
    json_t *object = json_pack(
        "{s:s, s:I, s:o, s:b, s:b, s:o, s:o, s:I, s:I, s:o, s:I, s:I}", "version", LONC_VERSION,
        "pid", (json_int_t)getpid(), "up_for", seconds(loop_clock() - status->started),
        "configured", service->config->valid, "stopping", service->stopping, "hosts",
        hosts_json(status, &tally), "connections", pool_json(tally.connections), "requests",
        (json_int_t)service->requests, "replies", (json_int_t)service->answers[REASON_NONE],
        "con_lost", con_lost_json(service->answers), "queued", (json_int_t)service->queued,
        "deferred", (json_int_t)deferred_count(status->deferred));
    json_t *more =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "clients",
                  (json_int_t)clients_count(status->clients), "descriptors",
                  (json_int_t)service->descriptors, "descriptors_max",
                  (json_int_t)service->descriptors_max, "buffers", (json_int_t)buffers_used(),
                  "buffers_limit", (json_int_t)service->settings.buffers_limit, "handovers_cut",
                  (json_int_t)service->handovers_cut, "rate", stats_rate(stats, now), "latency",
                  json_pack("{s:o, s:o, s:o}", "p50", quantile_json(&stats->latency, now, 0.5),
                            "p99", quantile_json(&stats->latency, now, 0.99), "p999",
                            quantile_json(&stats->latency, now, 0.999)),
                  "queue_time",
                  json_pack("{s:o, s:o}", "p50", quantile_json(&stats->waiting, now, 0.5), "p99",
                            quantile_json(&stats->waiting, now, 0.99)));
    if (deferred_folder(status->deferred) != NULL)
        json_object_set_new(object, "deferred_folder",
                            json_string(deferred_folder(status->deferred)));
    json_object_update_missing(object, more);
    json_decref(more);
    return object;
}

/* Where a value is from that stands in this line of the file. */
static const char *origin_word(unsigned line)
{
    if (line == 0)
        return "default";
    return line == SETTING_LINE_NONE ? "loncctl" : "file";
}

static json_t *setting_json(const struct settings *settings, size_t row)
{
    const struct setting *setting = &settings_table[row];
    unsigned line = settings->lines[row];
    char value[4096];
    setting_format(setting, settings, value, sizeof(value));
    json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "name", setting->name, "value",
                               value, "default", setting->standard, "changed",
                               strcmp(value, setting->standard) != 0, "from", origin_word(line),
                               "meaning", setting->meaning);
    if (line != 0 && line != SETTING_LINE_NONE)
        json_object_set_new(object, "line", json_integer(line));
    return object;
}

json_t *status_config_json(const struct status *status)
{
    json_t *list = json_array();
    for (size_t i = 0; i < settings_count; i++)
        json_array_append_new(list, setting_json(&status->service->settings, i));
    return json_pack("{s:s, s:o}", "file", status->config_path, "settings", list);
}

static json_t *sample_json(const struct sample *sample)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "requests", (json_int_t)sample->requests,
                     "con_lost", (json_int_t)sample->con_lost, "queued", (json_int_t)sample->queued,
                     "p50", sample->p50 > 0 ? seconds(sample->p50) : json_null(), "p99",
                     sample->p99 > 0 ? seconds(sample->p99) : json_null());
}

static json_t *series_json(struct series *series, uint64_t now)
{
    json_t *samples = json_array();
    for (unsigned back = series->length; back-- > 0;) {
        struct sample sample = series_sample(series, now, back);
        json_array_append_new(samples, sample_json(&sample));
    }
    return json_pack("{s:I, s:o}", "span", (json_int_t)(series->span / 1000000), "samples",
                     samples);
}

json_t *status_history_json(const struct status *status)
{
    struct stats *stats = &status->service->stats;
    uint64_t now = status->service->loop.now;
    return json_pack("{s:o, s:o}", "hour", series_json(&stats->hour, now), "day",
                     series_json(&stats->day, now));
}

static json_t *totals_json(const struct totals *totals)
{
    json_t *counts = json_array();
    uint64_t all = 0;
    for (unsigned i = 0; i <= HISTOGRAM_OCTAVES; i++) {
        json_array_append_new(counts, json_integer((json_int_t)totals->counts[i]));
        all += totals->counts[i];
    }
    return json_pack("{s:o, s:f, s:I}", "counts", counts, "sum", (double)totals->sum / 1e6, "count",
                     (json_int_t)all);
}

json_t *status_histograms_json(const struct status *status)
{
    const struct stats *stats = &status->service->stats;
    json_t *bounds = json_array();
    for (unsigned i = 0; i < HISTOGRAM_OCTAVES; i++)
        json_array_append_new(bounds, seconds(UINT64_C(1) << i));
    return json_pack("{s:o, s:o, s:o}", "bounds", bounds, "request", totals_json(&stats->latencies),
                     "queue", totals_json(&stats->waits));
}

json_t *status_connections_json(const struct host *host)
{
    json_t *connections = json_array();
    for (unsigned list = 0; list < POOL_LISTS; list++) {
        const struct lond *lond;
        LIST_FOREACH (lond, &host->pool[list], link) {
            char address[ADDRESS_TEXT_SIZE];
            json_t *connection = json_pack("{s:s, s:b, s:s}", "state", lond_state_name(lond->state),
                                           "busy", lond->transaction != NULL, "address",
                                           address_text(&lond->address, address));
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
