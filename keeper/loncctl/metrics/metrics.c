/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `metrics`: which of the keeper's numbers is which metric. Names follow the conventions
 * of Prometheus: base units, the unit at the end, and counters end in _total. Numbers of the keeper
 * as a whole are called lonc_keeper_*, so that a sum over all hosts never counts anything twice.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/options.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/textstream.h"
#include "keeper/loncctl/metrics/exposition.h"
#include "keeper/loncctl/metrics/http.h"
#include "keeper/loncctl/metrics/httpd.h"
#include "keeper/loncctl/metrics/metrics.h"

/* A family of metrics, and where its values are in the keeper's answer. */
struct family {
    const char *name;
    enum metric_kind kind;
    const char *key;   /* of the value in the answer */
    const char *label; /* NULL; or the value is an object with one sample for each of its keys, and
                          this is the label that holds the key */
    const char *help;
};

/* From the answer to `status`. */
static const struct family keeper_families[] = {
    {"lonc_keeper_uptime_seconds", METRIC_GAUGE, "up_for", NULL,
     "How long the keeper has been running."},
    {"lonc_keeper_configured", METRIC_GAUGE, "configured", NULL,
     "1 if the configuration is valid; if 0, every request is answered con_lost."},
    {"lonc_keeper_stopping", METRIC_GAUGE, "stopping", NULL, "1 while the keeper is stopping."},
    {"lonc_keeper_requests", METRIC_COUNTER, "requests", NULL,
     "Requests from all clients, including those for unknown hosts."},
    {"lonc_keeper_replies", METRIC_COUNTER, "replies", NULL,
     "Requests from all clients that got lond's reply."},
    {"lonc_keeper_con_lost", METRIC_COUNTER, "con_lost", "reason",
     "Requests from all clients that were answered con_lost, by reason."},
    {"lonc_keeper_queued_requests", METRIC_GAUGE, "queued", NULL, "Requests waiting now."},
    {"lonc_keeper_deferred_files", METRIC_GAUGE, "deferred", NULL,
     "Deferred transactions on disk that wait for delivery."},
    {"lonc_keeper_clients", METRIC_GAUGE, "clients", NULL, "Connected clients."},
    {"lonc_keeper_descriptors", METRIC_GAUGE, "descriptors", NULL, "Descriptors in use."},
    {"lonc_keeper_descriptors_limit", METRIC_GAUGE, "descriptors_max", NULL,
     "Descriptors that the keeper may have open."},
    {"lonc_keeper_buffers_bytes", METRIC_GAUGE, "buffers", NULL, "Memory used by buffers."},
    {"lonc_keeper_buffers_limit_bytes", METRIC_GAUGE, "buffers_limit", NULL,
     "Memory that buffers may use (buffers_limit)."},
    {"lonc_keeper_handovers_cut", METRIC_COUNTER, "handovers_cut", NULL,
     "Messages from shims that lost clients for lack of descriptors."},
    {"lonc_keeper_control_refused", METRIC_COUNTER, "control_refused", NULL,
     "Clients of the control socket that were turned away for lack of a place."},
    {"lonc_keeper_create_done", METRIC_COUNTER, "create_done", NULL,
     "Hosts' sockets that lonnet requested at lonSockCreate and that then listened."},
    {"lonc_keeper_create_failed", METRIC_COUNTER, "create_failed", NULL,
     "Hosts' sockets that lonnet requested at lonSockCreate in vain."},
};

/* For each host in the answer to `hosts`; all have the label `host` as well. */
static const struct family host_families[] = {
    {"lonc_host_paused", METRIC_GAUGE, "paused", NULL, "1 while the host is paused."},
    {"lonc_host_dead_seconds", METRIC_GAUGE, "dead_for", NULL,
     "How long a dead host has been dead."},
    {"lonc_host_connections", METRIC_GAUGE, "connections", "state",
     "Connections to the host's lond, by state."},
    {"lonc_requests", METRIC_COUNTER, "requests", NULL, "Requests for the host."},
    {"lonc_replies", METRIC_COUNTER, "replies", NULL, "Requests that got lond's reply."},
    {"lonc_con_lost", METRIC_COUNTER, "con_lost", "reason",
     "Requests that were answered con_lost, by reason."},
    {"lonc_queued_requests", METRIC_GAUGE, "queued", NULL, "Requests waiting for the host now."},
    {"lonc_queue_oldest_seconds", METRIC_GAUGE, "oldest_wait", NULL,
     "How long the first request in the host's queue has waited."},
    {"lonc_deferred_files", METRIC_GAUGE, "deferred", NULL,
     "Deferred transactions for the host; a lower bound while there are very many."},
    {"lonc_deferred_oldest_seconds", METRIC_GAUGE, "deferred_oldest", NULL,
     "Age of the host's oldest deferred transaction."},
};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

/* --- Families --------------------------------------------------------------------------------- */

/* Prints the samples of one family of the tables, of a host or, if `host` is NULL, of the keeper. A
 * value that is missing, such as the wait in an empty queue, has no sample. */
static void put_samples(const struct exposition *to, const struct family *family,
                        const json_t *object, const char *host)
{
    const char *suffix = exposition_suffix(family->kind);
    json_t *value = json_object_get(object, family->key), *part;
    const char *key;
    if (family->label == NULL && (json_is_number(value) || json_is_boolean(value))) {
        exposition_sample(to, family->name, suffix, LABELS({"host", host}));
        exposition_value(to, value);
    }
    if (family->label != NULL)
        json_object_foreach(value, key, part)
        {
            exposition_sample(to, family->name, suffix,
                              LABELS({"host", host}, {family->label, key}));
            exposition_value(to, part);
        }
}

static void put_keeper(const struct exposition *to, const json_t *status)
{
    exposition_family(to, "lonc_keeper", METRIC_INFO, "The version of the keeper.");
    exposition_sample(to, "lonc_keeper", "_info",
                      LABELS({"version", field_text(status, "version")}));
    exposition_integer(to, 1);
    for (size_t i = 0; i < COUNT(keeper_families); i++) {
        const struct family *family = &keeper_families[i];
        exposition_family(to, family->name, family->kind, family->help);
        put_samples(to, family, status, NULL);
    }
}

static bool is_in_trouble(const json_t *troubles, const char *kind)
{
    const json_t *trouble;
    size_t i;
    json_array_foreach(troubles, i, trouble)
    {
        const char *word = field_text(trouble, "trouble");
        if (word != NULL && strcmp(word, kind) == 0)
            return true;
    }
    return false;
}

/* Prints a sample for each kind of trouble, also for those that are not present: so an alert sees
 * the end of a trouble, and a rule can tell an absent trouble from a misspelled one. */
static void put_troubles(const struct exposition *to, const json_t *status)
{
    const json_t *troubles = json_object_get(status, "troubles"), *entry;
    size_t i;
    exposition_family(to, "lonc_trouble", METRIC_GAUGE,
                      "1 while the keeper itself has this trouble, else 0.");
    json_array_foreach(json_object_get(status, "trouble_kinds"), i, entry)
    {
        const char *kind = json_string_value(entry);
        if (kind == NULL)
            continue;
        exposition_sample(to, "lonc_trouble", "", LABELS({"trouble", kind}));
        exposition_integer(to, is_in_trouble(troubles, kind));
    }
    exposition_family(to, "lonc_trouble_seconds", METRIC_GAUGE,
                      "How long a present trouble has lasted.");
    json_array_foreach(troubles, i, entry)
    {
        const json_t *lasted = json_object_get(entry, "for");
        if (!json_is_number(lasted))
            continue;
        exposition_sample(to, "lonc_trouble_seconds", "",
                          LABELS({"trouble", field_text(entry, "trouble")}));
        exposition_value(to, lasted);
    }
}

static void put_host_info(const struct exposition *to, const json_t *hosts)
{
    const json_t *host;
    size_t i;
    exposition_family(to, "lonc_host", METRIC_INFO,
                      "The host's DNS name, mode of authentication and version of lond.");
    json_array_foreach(hosts, i, host)
    {
        exposition_sample(
            to, "lonc_host", "_info",
            LABELS({"host", field_text(host, "id")}, {"dns", field_text(host, "name")},
                   {"mode", field_text(host, "mode")}, {"lond", field_text(host, "lond")}));
        exposition_integer(to, 1);
    }
}

static void put_host_states(const struct exposition *to, const json_t *hosts)
{
    static const char *const states[] = {"healthy", "failing", "dead"};
    const json_t *host;
    size_t i;
    exposition_family(to, "lonc_host_state", METRIC_GAUGE,
                      "1 for the state that the host is in, else 0.");
    json_array_foreach(hosts, i, host)
    {
        const char *state = field_text(host, "state");
        for (size_t s = 0; s < COUNT(states) && state != NULL; s++) {
            exposition_sample(to, "lonc_host_state", "",
                              LABELS({"host", field_text(host, "id")}, {"state", states[s]}));
            exposition_integer(to, strcmp(state, states[s]) == 0);
        }
    }
}

static void put_host_latency(const struct exposition *to, const json_t *hosts)
{
    static const char *const quantiles[][2] = {{"p50", "0.5"}, {"p99", "0.99"}};
    const json_t *host;
    size_t i;
    exposition_family(to, "lonc_host_latency_seconds", METRIC_SUMMARY,
                      "Latency of requests that got the host's reply in the last minutes.");
    json_array_foreach(hosts, i, host)
    {
        const json_t *latency = json_object_get(host, "latency");
        for (size_t q = 0; q < COUNT(quantiles); q++) {
            const json_t *value = json_object_get(latency, quantiles[q][0]);
            if (!json_is_number(value))
                continue;
            exposition_sample(
                to, "lonc_host_latency_seconds", "",
                LABELS({"host", field_text(host, "id")}, {"quantile", quantiles[q][1]}));
            exposition_value(to, value);
        }
    }
}

static void put_hosts(const struct exposition *to, const json_t *hosts)
{
    const json_t *host;
    size_t at;
    put_host_info(to, hosts);
    put_host_states(to, hosts);
    put_host_latency(to, hosts);
    for (size_t i = 0; i < COUNT(host_families); i++) {
        const struct family *family = &host_families[i];
        exposition_family(to, family->name, family->kind, family->help);
        json_array_foreach(hosts, at, host) put_samples(to, family, host, field_text(host, "id"));
    }
}

/* The keeper counts each bucket by itself, but a bucket of a histogram includes those below it. */
static void put_histogram(const struct exposition *to, const char *name, const char *help,
                          const json_t *bounds, const json_t *histogram)
{
    const json_t *counts = json_object_get(histogram, "counts");
    json_int_t below = 0;
    char bound[40];
    if (json_array_size(counts) != json_array_size(bounds) + 1)
        return;
    exposition_family(to, name, METRIC_HISTOGRAM, help);
    for (size_t i = 0; i < json_array_size(counts); i++) {
        below += count_of(json_array_get(counts, i));
        if (i < json_array_size(bounds))
            exposition_format_real(json_number_value(json_array_get(bounds, i)), bound,
                                   sizeof(bound));
        else
            strcpy(bound, "+Inf");
        exposition_sample(to, name, "_bucket", LABELS({"le", bound}));
        exposition_integer(to, below);
    }
    exposition_sample(to, name, "_sum", NO_LABELS);
    exposition_value(to, json_object_get(histogram, "sum"));
    /* The sum of all buckets and not the keeper's own count, so that the two cannot differ. */
    exposition_sample(to, name, "_count", NO_LABELS);
    exposition_integer(to, below);
}

/* --- The whole -------------------------------------------------------------------------------- */

/* What the keeper has answered. */
struct answers {
    json_t *status, *hosts, *histograms;
};

/* Returns false if no keeper answers all questions, and then *why says why in words. */
static bool ask_for_metrics(const char *socket, struct answers *answers, const char **why)
{
    *answers = (struct answers){.status = ask_or_why(socket, "status\n", why)};
    if (answers->status != NULL)
        answers->hosts = ask_or_why(socket, "hosts\n", why);
    if (answers->hosts != NULL)
        answers->histograms = ask_or_why(socket, "histograms\n", why);
    return answers->histograms != NULL;
}

static void free_answers(struct answers *answers)
{
    json_decref(answers->status);
    json_decref(answers->hosts);
    json_decref(answers->histograms);
}

static void put_durations(const struct exposition *to, const json_t *histograms)
{
    const json_t *bounds = json_object_get(histograms, "bounds");
    put_histogram(to, "lonc_request_duration_seconds",
                  "Time from a request's arrival to lond's reply, for requests that got one.",
                  bounds, json_object_get(histograms, "request"));
    put_histogram(to, "lonc_queue_duration_seconds",
                  "How long requests that were sent had waited for a connection.", bounds,
                  json_object_get(histograms, "queue"));
    put_histogram(to, "lonc_con_lost_duration_seconds",
                  "Time from a request's arrival to con_lost, for requests answered so.", bounds,
                  json_object_get(histograms, "con_lost"));
}

/*
 * Returns all metrics as a text, which the caller frees. Without a keeper it is `lonc_up 0` alone;
 * then *why says why in words, else it is NULL.
 */
static char *make_metrics(const char *socket, bool openmetrics, size_t *length, const char **why)
{
    struct textstream text;
    struct answers answers;
    *why = NULL;
    bool up = ask_for_metrics(socket, &answers, why);
    textstream_open(&text);
    struct exposition to = {.file = text.out, .openmetrics = openmetrics};
    exposition_family(&to, "lonc_up", METRIC_GAUGE, "1 if the keeper answered, else 0.");
    exposition_sample(&to, "lonc_up", "", NO_LABELS);
    exposition_integer(&to, up);
    if (up) {
        put_keeper(&to, answers.status);
        put_troubles(&to, answers.status);
        put_durations(&to, answers.histograms);
        put_hosts(&to, json_object_get(answers.hosts, "hosts"));
    }
    exposition_end(&to);
    free_answers(&answers);
    char *metrics = textstream_close(&text);
    *length = text.length;
    return metrics;
}

/* --- The verb --------------------------------------------------------------------------------- */

/* Seconds without a client after which --http leaves the listening socket to systemd. A scraper
 * that comes every 15 s does not start a process each time. */
#define LINGER 60

static const struct option_row option_rows[] = {
    {"text", 't', NULL, "print Prometheus's older text format"},
    {"http", 'w', NULL, "answer HTTP requests for /metrics on standard input"},
};

const struct command_line metrics_command_line = {
    .program = "loncctl metrics",
    OPTION_ROWS(option_rows),
    .misuse = LONCCTL_USAGE,
};

static int serve_http(const char *socket)
{
    struct http_request request;
    const char *why;
    size_t length;
    struct stat connection;
    if (fstat(0, &connection) < 0 || !S_ISSOCK(connection.st_mode))
        fail(LONCCTL_USAGE, "--http",
             "standard input is not a socket; systemd or an inetd must start this");
    if (httpd_is_listener() && !httpd_serve(LINGER))
        return LONCCTL_DONE;
    if (!http_read_request(&request, "/metrics"))
        return LONCCTL_DONE;
    const char *accept = http_header(&request, "Accept");
    bool openmetrics = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    char *metrics = make_metrics(socket, openmetrics, &length, &why);
    http_answer(&request,
                openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                            : "text/plain; version=0.0.4; charset=utf-8",
                metrics, length);
    free(metrics);
    return LONCCTL_DONE;
}

static int print_metrics(const char *socket, bool openmetrics)
{
    const char *why;
    size_t length;
    char *metrics = make_metrics(socket, openmetrics, &length, &why);
    if (why != NULL)
        fail(LONCCTL_UNREACHABLE, socket, why);
    bool written = fwrite(metrics, 1, length, stdout) == length && fflush(stdout) == 0;
    free(metrics);
    return written ? LONCCTL_DONE : LONCCTL_NO;
}

int loncctl_metrics(const char *socket, int argc, char **argv)
{
    struct options options;
    bool http = false, openmetrics = true;
    int option;
    options_start(&options, &metrics_command_line, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        if (option == 'w')
            http = true;
        else
            openmetrics = false;
    }
    options_expect_no_words(&options);
    return http ? serve_http(socket) : print_metrics(socket, openmetrics);
}
