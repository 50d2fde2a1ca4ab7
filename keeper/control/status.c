/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's state, in the forms others want it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "common/plural.h"
#include "keeper/control/status.h"

static const char *const health_words[] = {
    [HEALTH_HEALTHY] = "healthy",
    [HEALTH_FAILING] = "failing",
    [HEALTH_DEAD] = "dead",
};

/* Hosts that want attention: not so many that telling them takes long. */
#define ATTENTION_MOST 100

/* What is wrong with such a host, the worst first. */
enum attention { ATTENTION_DEAD, ATTENTION_FAILING, ATTENTION_PAUSED, ATTENTIONS };

/* Hosts of the table by their health, and the first of those that want attention. */
struct tally {
    size_t of[HEALTH_DEAD + 1], paused;
    unsigned connections[POOL_LISTS];
    const struct host *trouble[ATTENTIONS][ATTENTION_MOST];
    unsigned troubled[ATTENTIONS]; /* at most ATTENTION_MOST each */
};

static void note_attention(struct tally *tally, const struct host *host)
{
    static const enum attention kinds[] = {
        [HEALTH_HEALTHY] = ATTENTION_PAUSED, /* who is not paused either is not asked about */
        [HEALTH_FAILING] = ATTENTION_FAILING,
        [HEALTH_DEAD] = ATTENTION_DEAD,
    };
    enum attention kind = kinds[host->health.state];
    if (tally->troubled[kind] < ATTENTION_MOST)
        tally->trouble[kind][tally->troubled[kind]++] = host;
}

/* Goes through all hosts once. */
static void count_hosts(const struct status *status, struct tally *tally)
{
    struct host *host;
    memset(tally->of, 0, sizeof(tally->of));
    memset(tally->connections, 0, sizeof(tally->connections));
    memset(tally->troubled, 0, sizeof(tally->troubled));
    tally->paused = 0;
    RB_FOREACH (host, hosts_by_id, &status->hosts->by_id) {
        if (!host->listed)
            continue;
        tally->of[host->health.state]++;
        tally->paused += host->paused;
        for (unsigned list = 0; list < POOL_LISTS; list++)
            tally->connections[list] += host->pool_count[list];
        if (host->paused || host->health.state != HEALTH_HEALTHY)
            note_attention(tally, host);
    }
}

void status_line(const struct status *status, char *line, size_t size)
{
    struct tally tally;
    char troubles[192];
    count_hosts(status, &tally);
    troubles_line(&status->core->troubles, troubles, sizeof(troubles));
    size_t up = tally.of[HEALTH_HEALTHY] + tally.of[HEALTH_FAILING];
    snprintf(line, size, "%zu host%s up, %zu dead, %zu queued, %zu deferred%s", up, plural(up),
             tally.of[HEALTH_DEAD], status->hosts->queued, deferred_count(status->deferred),
             troubles);
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* Where the host is looked for: empty while its name is not resolved. */
static void write_addresses(struct json_writer *writer, const struct host *host)
{
    const struct addresses own = {.count = 1, .at = {host->address}};
    const struct addresses *known = host->dns.name != NULL ? resolver_addresses(&host->dns) : &own;
    json_writer_open(writer, "addresses", '[');
    for (unsigned i = 0; i < known->count; i++) {
        char text[ADDRESS_TEXT_SIZE];
        json_writer_text(writer, NULL, address_text(&known->at[i], text));
    }
    json_writer_close(writer, ']');
}

struct share {
    const char *name;
    double share;
};

/* Null for what has not happened. `shares` end with one without a name. */
static void write_quantiles(struct json_writer *writer, const char *key,
                            const struct window *window, uint64_t clock, const struct share *shares)
{
    uint64_t time;
    json_writer_open(writer, key, '{');
    for (; shares->name != NULL; shares++)
        if (window != NULL && window_quantile(window, clock, shares->share, &time))
            json_writer_seconds(writer, shares->name, time);
        else
            json_writer_null(writer, shares->name);
    json_writer_close(writer, '}');
}

static const struct share usual_shares[] = {{"p50", 0.5}, {"p99", 0.99}, {NULL, 0}};

static void write_con_lost(struct json_writer *writer, const uint64_t answers[REASON_COUNT])
{
    json_writer_open(writer, "con_lost", '{');
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        if (answers[reason] > 0)
            json_writer_count(writer, reason_word((enum reason)reason), answers[reason]);
    json_writer_close(writer, '}');
}

static void write_pool(struct json_writer *writer, const unsigned count[POOL_LISTS])
{
    json_writer_open(writer, "connections", '{');
    json_writer_count(writer, "opening", count[POOL_OPENING]);
    json_writer_count(writer, "idle", count[POOL_IDLE]);
    json_writer_count(writer, "busy", count[POOL_BUSY]);
    json_writer_close(writer, '}');
}

/* Why the host is in trouble, since when, and when it is tried next. */
static void write_trouble(struct json_writer *writer, const struct host *host)
{
    uint64_t now = host->core->loop.now;
    uint64_t next = host->health.next_attempt;
    if (host->health.state == HEALTH_HEALTHY) {
        json_writer_null(writer, "reason");
        return;
    }
    json_writer_text(writer, "reason", reason_word(host->health.reason));
    json_writer_text(writer, "detail",
                     host->failure_detail != NULL ? host->failure_detail
                                                  : reason_text(host->health.reason));
    if (host->health.dead_since != 0)
        json_writer_seconds(writer, "dead_for", now - host->health.dead_since);
    json_writer_seconds(writer, "next_attempt_in", next > now ? next - now : 0);
}

static void write_deferred(struct json_writer *writer, const struct status *status,
                           const struct host *host)
{
    struct waiting_files files = deferred_of(status->deferred, host);
    json_writer_count(writer, "deferred", files.count);
    json_writer_bool(writer, "deferred_exact", files.exact);
    if (files.oldest > 0) {
        time_t now = time(NULL), since = (time_t)files.oldest;
        json_writer_seconds(writer, "deferred_oldest",
                            since < now ? (uint64_t)(now - since) * 1000000 : 0);
    }
}

void status_write_host(const struct status *status, const struct host *host,
                       struct json_writer *writer)
{
    uint64_t now = host->core->loop.now;
    bool known = host_has_connected(host);
    json_writer_open(writer, NULL, '{');
    json_writer_text(writer, "id", host->id);
    json_writer_text(writer, "name", host->name);
    json_writer_text(writer, "state", health_words[host->health.state]);
    json_writer_bool(writer, "paused", host->paused);
    write_addresses(writer, host);
    write_pool(writer, host->pool_count);
    json_writer_text(writer, "mode", known ? handshake_mode_word(host->mode) : NULL);
    json_writer_text(writer, "lond", host->version[0] != '\0' ? host->version : NULL);
    write_con_lost(writer, host->answers);
    json_writer_count(writer, "queued", host->queued);
    if (host->queued > 0)
        json_writer_seconds(writer, "oldest_wait", host_oldest_wait(host));
    json_writer_count(writer, "requests", host->requests);
    json_writer_count(writer, "replies", host->answers[REASON_NONE]);
    write_quantiles(writer, "latency", host->latency, now, usual_shares);
    write_trouble(writer, host);
    write_deferred(writer, status, host);
    json_writer_close(writer, '}');
}

static void write_hosts(const struct status *status, const struct tally *tally,
                        struct json_writer *writer)
{
    unsigned told = 0;
    json_writer_open(writer, "hosts", '{');
    json_writer_count(writer, "total", status->hosts->count);
    for (size_t state = 0; state < sizeof(health_words) / sizeof(*health_words); state++)
        json_writer_count(writer, health_words[state], tally->of[state]);
    json_writer_count(writer, "paused", tally->paused);
    json_writer_open(writer, "trouble", '[');
    for (int kind = 0; kind < ATTENTIONS; kind++)
        for (unsigned i = 0; i < tally->troubled[kind] && told < ATTENTION_MOST; i++, told++)
            status_write_host(status, tally->trouble[kind][i], writer);
    json_writer_close(writer, ']');
    json_writer_close(writer, '}');
}

static void write_times(struct stats *stats, uint64_t now, struct json_writer *writer)
{
    static const struct share all[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {NULL, 0}};
    json_writer_real(writer, "rate", stats_rate(stats, now));
    write_quantiles(writer, "latency", &stats->latency, now, all);
    write_quantiles(writer, "queue_time", &stats->waiting, now, usual_shares);
    write_quantiles(writer, "con_lost_time", &stats->losing, now, usual_shares);
}

void status_write(const struct status *status, struct json_writer *writer)
{
    struct core *core = status->core;
    struct tally tally;
    struct create_counts created = clients_create_counts(status->clients);
    count_hosts(status, &tally);
    json_writer_open(writer, NULL, '{');
    json_writer_text(writer, "version", LONC_VERSION);
    json_writer_count(writer, "pid", (uint64_t)getpid());
    json_writer_seconds(writer, "up_for", monotonic_now() - status->started);
    json_writer_bool(writer, "configured", core->config->valid);
    json_writer_bool(writer, "stopping", core->stopping);
    troubles_write(&core->troubles, core->loop.now, writer);
    write_hosts(status, &tally, writer);
    write_pool(writer, tally.connections);
    json_writer_count(writer, "requests", core->requests);
    json_writer_count(writer, "replies", core->answers[REASON_NONE]);
    write_con_lost(writer, core->answers);
    json_writer_count(writer, "queued", status->hosts->queued);
    json_writer_count(writer, "deferred", deferred_count(status->deferred));
    json_writer_count(writer, "clients", clients_count(status->clients));
    json_writer_count(writer, "descriptors", core->descriptors);
    json_writer_count(writer, "descriptors_max", core->descriptors_max);
    json_writer_count(writer, "buffers", buffers_used());
    json_writer_count(writer, "buffers_limit", core->settings.buffers_limit);
    json_writer_count(writer, "handovers_cut", intake_messages_cut(status->intake));
    json_writer_count(writer, "control_refused",
                      status->admission != NULL ? status->admission->refused : 0);
    json_writer_count(writer, "create_done", created.done);
    json_writer_count(writer, "create_failed", created.failed);
    write_times(&core->stats, core->loop.now, writer);
    if (deferred_folder(status->deferred) != NULL)
        json_writer_text(writer, "deferred_folder", deferred_folder(status->deferred));
    json_writer_close(writer, '}');
}

/* Where a value is from that stands in this line of the file. */
static const char *origin_word(unsigned line)
{
    if (line == 0)
        return "default";
    return line == SETTING_LINE_NONE ? "loncctl" : "file";
}

static void write_setting(struct json_writer *writer, const struct settings *settings, size_t row)
{
    const struct setting *setting = &settings_table[row];
    unsigned line = settings->lines[row];
    char value[4096];
    setting_format(setting, settings, value, sizeof(value));
    json_writer_open(writer, NULL, '{');
    json_writer_text(writer, "name", setting->name);
    json_writer_text(writer, "value", value);
    json_writer_text(writer, "default", setting->default_value);
    json_writer_bool(writer, "changed", strcmp(value, setting->default_value) != 0);
    json_writer_text(writer, "from", origin_word(line));
    json_writer_text(writer, "meaning", setting->meaning);
    if (line != 0 && line != SETTING_LINE_NONE)
        json_writer_count(writer, "line", line);
    json_writer_close(writer, '}');
}

void status_write_config(const struct status *status, struct json_writer *writer)
{
    json_writer_open(writer, NULL, '{');
    json_writer_text(writer, "file", status->config_path);
    json_writer_open(writer, "settings", '[');
    for (size_t i = 0; i < settings_count; i++)
        write_setting(writer, &status->core->settings, i);
    json_writer_close(writer, ']');
    json_writer_close(writer, '}');
}

/* --- Statistics ------------------------------------------------------------------------------- */

/* A latency; 0 means that there was no reply. */
static void write_latency(struct json_writer *writer, const char *key, uint32_t microseconds)
{
    if (microseconds > 0)
        json_writer_seconds(writer, key, microseconds);
    else
        json_writer_null(writer, key);
}

static void write_sample(struct json_writer *writer, const struct sample *sample)
{
    json_writer_open(writer, NULL, '{');
    json_writer_count(writer, "requests", sample->requests);
    json_writer_count(writer, "con_lost", sample->con_lost);
    json_writer_count(writer, "queued", sample->queued);
    write_latency(writer, "p50", sample->p50);
    write_latency(writer, "p99", sample->p99);
    json_writer_close(writer, '}');
}

/* The oldest sample first. */
static void write_series(struct json_writer *writer, const char *key, struct series *series,
                         uint64_t now)
{
    json_writer_open(writer, key, '{');
    json_writer_count(writer, "span", series->span / 1000000);
    json_writer_open(writer, "samples", '[');
    for (unsigned back = series->length; back-- > 0;) {
        struct sample sample = series_sample(series, now, back);
        write_sample(writer, &sample);
    }
    json_writer_close(writer, ']');
    json_writer_close(writer, '}');
}

void status_write_history(const struct status *status, struct json_writer *writer)
{
    struct stats *stats = &status->core->stats;
    uint64_t now = status->core->loop.now;
    json_writer_open(writer, NULL, '{');
    write_series(writer, "hour", &stats->hour, now);
    write_series(writer, "day", &stats->day, now);
    json_writer_close(writer, '}');
}

static void write_totals(struct json_writer *writer, const char *key, const struct totals *totals)
{
    uint64_t all = 0;
    json_writer_open(writer, key, '{');
    json_writer_open(writer, "counts", '[');
    for (unsigned i = 0; i <= HISTOGRAM_OCTAVES; i++) {
        json_writer_count(writer, NULL, totals->counts[i]);
        all += totals->counts[i];
    }
    json_writer_close(writer, ']');
    json_writer_seconds(writer, "sum", totals->sum);
    json_writer_count(writer, "count", all);
    json_writer_close(writer, '}');
}

void status_write_histograms(const struct status *status, struct json_writer *writer)
{
    const struct stats *stats = &status->core->stats;
    json_writer_open(writer, NULL, '{');
    json_writer_open(writer, "bounds", '[');
    for (unsigned i = 0; i < HISTOGRAM_OCTAVES; i++)
        json_writer_seconds(writer, NULL, UINT64_C(1) << i);
    json_writer_close(writer, ']');
    write_totals(writer, "request", &stats->latencies);
    write_totals(writer, "queue", &stats->waits);
    write_totals(writer, "con_lost", &stats->losses);
    json_writer_close(writer, '}');
}

/* --- Connections ------------------------------------------------------------------------------ */

static void write_connection(struct json_writer *writer, const struct lond *lond)
{
    char address[ADDRESS_TEXT_SIZE];
    json_writer_open(writer, NULL, '{');
    json_writer_text(writer, "state", lond_state_name(lond->state));
    json_writer_bool(writer, "busy", lond->transaction != NULL);
    json_writer_text(writer, "address", address_text(&lond->address, address));
    if (lond_is_open(lond))
        json_writer_text(writer, "mode", handshake_mode_word(lond->mode));
    if (lond->tls_version != NULL)
        json_writer_text(writer, "tls", lond->tls_version);
    json_writer_close(writer, '}');
}

void status_write_connections(const struct host *host, struct json_writer *writer)
{
    json_writer_open(writer, NULL, '{');
    json_writer_text(writer, "host", host->id);
    json_writer_open(writer, "connections", '[');
    for (unsigned list = 0; list < POOL_LISTS; list++) {
        const struct lond *lond;
        LIST_FOREACH (lond, &host->pool[list], place.link)
            write_connection(writer, lond);
    }
    json_writer_close(writer, ']');
    json_writer_close(writer, '}');
}
