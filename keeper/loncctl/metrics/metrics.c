/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which of the keeper's numbers is which metric, and how metrics are written. Names follow the
 * conventions of Prometheus: base units, the unit last, counters end in _total. What is of the
 * keeper as a whole is lonc_keeper_*, so that a sum over hosts never counts it twice.
 *
 * Two formats differ in little: OpenMetrics names the family of a counter without its _total, has
 * UNIT lines, the types info and unknown, and an end mark.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/textstream.h"
#include "keeper/loncctl/metrics/http.h"
#include "keeper/loncctl/metrics/httpd.h"
#include "keeper/loncctl/metrics/metrics.h"

enum kind { KIND_GAUGE, KIND_COUNTER, KIND_INFO, KIND_SUMMARY, KIND_HISTOGRAM };

/* Indexed by kind: how either format calls it, and what its samples' names end in. */
static const struct {
    const char *type, *old_type, *suffix;
} kinds[] = {
    [KIND_GAUGE] = {"gauge", "gauge", ""},
    [KIND_COUNTER] = {"counter", "counter", "_total"},
    [KIND_INFO] = {"info", "gauge", "_info"},
    [KIND_SUMMARY] = {"summary", "summary", ""},
    [KIND_HISTOGRAM] = {"histogram", "histogram", ""},
};

/* A family of metrics, and where its value is in the keeper's answer. */
struct family {
    const char *name;
    enum kind kind;
    const char *key;   /* in the answer */
    const char *label; /* NULL, or the value is an object, and each of its keys a value of this */
    const char *help;
};

/* Of `status`. */
static const struct family keeper_families[] = {
    {"lonc_keeper_uptime_seconds", KIND_GAUGE, "up_for", NULL, "How long the keeper is up."},
    {"lonc_keeper_configured", KIND_GAUGE, "configured", NULL,
     "1 with a valid configuration; with 0, every request is answered con_lost."},
    {"lonc_keeper_stopping", KIND_GAUGE, "stopping", NULL, "1 while the keeper is leaving."},
    {"lonc_keeper_requests", KIND_COUNTER, "requests", NULL,
     "Requests of all clients, those for no known host included."},
    {"lonc_keeper_replies", KIND_COUNTER, "replies", NULL,
     "Requests of all clients that got lond's reply."},
    {"lonc_keeper_con_lost", KIND_COUNTER, "con_lost", "reason",
     "Requests of all clients that were answered con_lost, by reason."},
    {"lonc_keeper_queued_requests", KIND_GAUGE, "queued", NULL, "Requests that wait now."},
    {"lonc_keeper_deferred_files", KIND_GAUGE, "deferred", NULL,
     "Deferred transactions on disk that are to be delivered."},
    {"lonc_keeper_clients", KIND_GAUGE, "clients", NULL, "Clients that are connected."},
    {"lonc_keeper_descriptors", KIND_GAUGE, "descriptors", NULL, "Descriptors in use."},
    {"lonc_keeper_descriptors_limit", KIND_GAUGE, "descriptors_max", NULL,
     "Descriptors the keeper may have."},
    {"lonc_keeper_buffers_bytes", KIND_GAUGE, "buffers", NULL, "Memory in buffers."},
    {"lonc_keeper_buffers_limit_bytes", KIND_GAUGE, "buffers_limit", NULL,
     "Memory that buffers may take (buffers_limit)."},
    {"lonc_keeper_handovers_cut", KIND_COUNTER, "handovers_cut", NULL,
     "Messages of shims that lost clients for want of descriptors."},
    {"lonc_keeper_control_refused", KIND_COUNTER, "control_refused", NULL,
     "Clients of the control socket that were turned away for want of a place."},
    {"lonc_keeper_create_done", KIND_COUNTER, "create_done", NULL,
     "Hosts' sockets that lonnet asked for at lonSockCreate, and that listened."},
    {"lonc_keeper_create_failed", KIND_COUNTER, "create_failed", NULL,
     "Hosts' sockets that lonnet asked for at lonSockCreate in vain."},
};

/* Of each host of `hosts`; all have the label `host` as well. */
static const struct family host_families[] = {
    {"lonc_host_paused", KIND_GAUGE, "paused", NULL, "1 while the host is paused."},
    {"lonc_host_dead_seconds", KIND_GAUGE, "dead_for", NULL, "How long a dead host is dead."},
    {"lonc_host_connections", KIND_GAUGE, "connections", "state",
     "Connections to the host's lond, by state."},
    {"lonc_requests", KIND_COUNTER, "requests", NULL, "Requests for the host."},
    {"lonc_replies", KIND_COUNTER, "replies", NULL, "Requests that got lond's reply."},
    {"lonc_con_lost", KIND_COUNTER, "con_lost", "reason",
     "Requests that were answered con_lost, by reason."},
    {"lonc_queued_requests", KIND_GAUGE, "queued", NULL, "Requests that wait for the host now."},
    {"lonc_queue_oldest_seconds", KIND_GAUGE, "oldest_wait", NULL,
     "How long the first of them has waited."},
    {"lonc_deferred_files", KIND_GAUGE, "deferred", NULL,
     "Deferred transactions for the host; at least, while there are very many."},
    {"lonc_deferred_oldest_seconds", KIND_GAUGE, "deferred_oldest", NULL,
     "How long ago the first of them was deferred."},
};

/* Seconds without a request after which --http leaves its listening socket to systemd again; who
 * asks each quarter of a minute does not start a process each time. */
#define LINGER 60

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

struct exposition {
    FILE *file;
    bool openmetrics;
};

/* --- The format ------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

static void put_family(const struct exposition *to, const char *name, enum kind kind,
                       const char *help)
{
    const char *suffix = to->openmetrics ? "" : kinds[kind].suffix;
    fprintf(to->file, "# TYPE %s%s %s\n", name, suffix,
            to->openmetrics ? kinds[kind].type : kinds[kind].old_type);
    if (to->openmetrics && (ends_with(name, "_seconds") || ends_with(name, "_bytes")))
        fprintf(to->file, "# UNIT %s %s\n", name, strrchr(name, '_') + 1);
    fprintf(to->file, "# HELP %s%s %s\n", name, suffix, help);
}

/* NAME{A="...",B="..."}; labels are pairs, the last name NULL, and one without a value is left out.
 */
static void put_name(const struct exposition *to, const char *name, const char *suffix,
                     const char *const (*labels)[2])
{
    char before = '{';
    fprintf(to->file, "%s%s", name, suffix);
    for (; (*labels)[0] != NULL; labels++) {
        if ((*labels)[1] == NULL)
            continue;
        fprintf(to->file, "%c%s=\"", before, (*labels)[0]);
        for (const char *at = (*labels)[1]; *at != '\0'; at++) {
            if (*at == '\\' || *at == '"' || *at == '\n')
                fputc('\\', to->file);
            fputc(*at == '\n' ? 'n' : *at, to->file);
        }
        fputc('"', to->file);
        before = ',';
    }
    fputs(before == ',' ? "} " : " ", to->file);
}

#define LABELS(...) ((const char *const[][2]){__VA_ARGS__, {NULL, NULL}})

/* The shortest text that reads back as the number, with a point in it: OpenMetrics wants bounds of
 * buckets to be written alike everywhere ("1.0", "0.001", "1e-05"). */
static void format_real(double number, char *text, size_t size)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    if (strpbrk(text, ".en") == NULL)
        strncat(text, ".0", size - strlen(text) - 1);
}

static void put_value(const struct exposition *to, const json_t *value)
{
    char text[40];
    if (json_is_real(value)) {
        format_real(json_real_value(value), text, sizeof(text));
        fprintf(to->file, "%s\n", text);
    } else {
        fprintf(to->file, "%lld\n", json_is_true(value) ? 1 : (long long)json_integer_value(value));
    }
}

/* --- What is written -------------------------------------------------------------------------- */

/* The samples of one family of the tables, for the keeper (`host` NULL) or a host. What the keeper
 * does not say, as the wait of an empty queue, is no sample. */
static void put_samples(const struct exposition *to, const struct family *family,
                        const json_t *object, const char *host)
{
    const char *suffix = kinds[family->kind].suffix;
    json_t *value = json_object_get(object, family->key), *part;
    const char *key;
    if (family->label == NULL && (json_is_number(value) || json_is_boolean(value))) {
        put_name(to, family->name, suffix, LABELS({"host", host}));
        put_value(to, value);
    }
    if (family->label != NULL)
        json_object_foreach(value, key, part)
        {
            put_name(to, family->name, suffix, LABELS({"host", host}, {family->label, key}));
            put_value(to, part);
        }
}

static void put_keeper(const struct exposition *to, const json_t *status)
{
    put_family(to, "lonc_keeper", KIND_INFO, "Which keeper this is.");
    put_name(to, "lonc_keeper", "_info", LABELS({"version", field_text(status, "version")}));
    fputs("1\n", to->file);
    for (size_t i = 0; i < COUNT(keeper_families); i++) {
        const struct family *family = &keeper_families[i];
        put_family(to, family->name, family->kind, family->help);
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

/* A sample for each kind, also for those that are not there: so an alert sees its end, and a rule
 * can tell a kind without trouble from a word that no keeper knows. */
static void put_troubles(const struct exposition *to, const json_t *status)
{
    const json_t *troubles = json_object_get(status, "troubles"), *entry;
    size_t i;
    put_family(to, "lonc_trouble", KIND_GAUGE,
               "1 while the keeper itself has this trouble, else 0.");
    json_array_foreach(json_object_get(status, "trouble_kinds"), i, entry)
    {
        const char *kind = json_string_value(entry);
        if (kind == NULL)
            continue;
        put_name(to, "lonc_trouble", "", LABELS({"trouble", kind}));
        fprintf(to->file, "%d\n", is_in_trouble(troubles, kind));
    }
    put_family(to, "lonc_trouble_seconds", KIND_GAUGE, "How long a present trouble has lasted.");
    json_array_foreach(troubles, i, entry)
    {
        const json_t *lasted = json_object_get(entry, "for");
        if (!json_is_number(lasted))
            continue;
        put_name(to, "lonc_trouble_seconds", "", LABELS({"trouble", field_text(entry, "trouble")}));
        put_value(to, lasted);
    }
}

/* What is known of the host in words. */
static void put_host_info(const struct exposition *to, const json_t *hosts)
{
    const json_t *host;
    size_t i;
    put_family(to, "lonc_host", KIND_INFO, "The host's DNS name, and how its lond is spoken to.");
    json_array_foreach(hosts, i, host)
    {
        put_name(to, "lonc_host", "_info",
                 LABELS({"host", field_text(host, "id")}, {"dns", field_text(host, "name")},
                        {"mode", field_text(host, "mode")}, {"lond", field_text(host, "lond")}));
        fputs("1\n", to->file);
    }
}

/* One sample for each state a host can be in: 1 for the one it is in. */
static void put_host_states(const struct exposition *to, const json_t *hosts)
{
    static const char *const states[] = {"healthy", "failing", "dead"};
    const json_t *host;
    size_t i;
    put_family(to, "lonc_host_state", KIND_GAUGE, "1 for the state the host is in, else 0.");
    json_array_foreach(hosts, i, host)
    {
        const char *state = field_text(host, "state");
        for (size_t s = 0; s < COUNT(states) && state != NULL; s++) {
            put_name(to, "lonc_host_state", "",
                     LABELS({"host", field_text(host, "id")}, {"state", states[s]}));
            fprintf(to->file, "%d\n", strcmp(state, states[s]) == 0);
        }
    }
}

static void put_host_latency(const struct exposition *to, const json_t *hosts)
{
    static const char *const quantiles[][2] = {{"p50", "0.5"}, {"p99", "0.99"}};
    const json_t *host;
    size_t i;
    put_family(to, "lonc_host_latency_seconds", KIND_SUMMARY,
               "How long requests that the host replied to took in the last minutes.");
    json_array_foreach(hosts, i, host)
    {
        const json_t *latency = json_object_get(host, "latency");
        for (size_t q = 0; q < COUNT(quantiles); q++) {
            const json_t *value = json_object_get(latency, quantiles[q][0]);
            if (!json_is_number(value))
                continue;
            put_name(to, "lonc_host_latency_seconds", "",
                     LABELS({"host", field_text(host, "id")}, {"quantile", quantiles[q][1]}));
            put_value(to, value);
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
        put_family(to, family->name, family->kind, family->help);
        json_array_foreach(hosts, at, host) put_samples(to, family, host, field_text(host, "id"));
    }
}

/* The keeper counts each bucket by itself; a histogram's buckets hold all that is below too. */
static void put_histogram(const struct exposition *to, const char *name, const char *help,
                          const json_t *bounds, const json_t *histogram)
{
    const json_t *counts = json_object_get(histogram, "counts");
    json_int_t below = 0;
    char bound[40];
    if (json_array_size(counts) != json_array_size(bounds) + 1)
        return;
    put_family(to, name, KIND_HISTOGRAM, help);
    for (size_t i = 0; i < json_array_size(counts); i++) {
        below += count_of(json_array_get(counts, i));
        if (i < json_array_size(bounds))
            format_real(json_number_value(json_array_get(bounds, i)), bound, sizeof(bound));
        else
            strcpy(bound, "+Inf");
        put_name(to, name, "_bucket", LABELS({"le", bound}));
        fprintf(to->file, "%lld\n", (long long)below);
    }
    fprintf(to->file, "%s_sum ", name);
    put_value(to, json_object_get(histogram, "sum"));
    /* All buckets together, and not the keeper's count: they must not disagree. */
    fprintf(to->file, "%s_count %lld\n", name, (long long)below);
}

/* Everything, into a text that the caller frees; NULL without a keeper, and then *why. In HTTP's
 * answer that is something to tell: `partial`. */
static char *expose(const char *socket, bool openmetrics, bool partial, size_t *length,
                    const char **why)
{
    struct textstream text;
    json_t *status = ask_or_why(socket, "status\n", why);
    json_t *hosts = status != NULL ? ask_or_why(socket, "hosts\n", why) : NULL;
    json_t *histograms = hosts != NULL ? ask_or_why(socket, "histograms\n", why) : NULL;
    struct exposition to = {.file = NULL, .openmetrics = openmetrics};
    bool up = histograms != NULL;
    if (up || partial) {
        textstream_open(&text);
        to.file = text.out;
    }
    if (to.file != NULL) {
        put_family(&to, "lonc_up", KIND_GAUGE, "1 if the keeper has answered.");
        fprintf(to.file, "lonc_up %d\n", up);
    }
    if (up) {
        const json_t *bounds = json_object_get(histograms, "bounds");
        put_keeper(&to, status);
        put_troubles(&to, status);
        put_histogram(&to, "lonc_request_duration_seconds",
                      "From a request's arrival to lond's reply, for those that got one.", bounds,
                      json_object_get(histograms, "request"));
        put_histogram(&to, "lonc_queue_duration_seconds",
                      "How long requests waited for a connection, of those that were sent.", bounds,
                      json_object_get(histograms, "queue"));
        put_histogram(&to, "lonc_con_lost_duration_seconds",
                      "From a request's arrival to con_lost, for those that got that.", bounds,
                      json_object_get(histograms, "con_lost"));
        put_hosts(&to, json_object_get(hosts, "hosts"));
    }
    json_decref(status);
    json_decref(hosts);
    json_decref(histograms);
    if (to.file != NULL && openmetrics)
        fputs("# EOF\n", to.file);
    if (to.file == NULL)
        return NULL;
    char *exposed = textstream_close(&text);
    *length = text.length;
    return exposed;
}

/* --- The verb --------------------------------------------------------------------------------- */

static int serve(const char *socket)
{
    struct http_request request;
    const char *why;
    size_t length;
    struct stat connection;
    if (fstat(0, &connection) < 0 || !S_ISSOCK(connection.st_mode))
        fail(LONCCTL_USAGE, "--http", "descriptor 0 is no socket; systemd or an inetd starts this");
    if (httpd_is_listener() && !httpd_serve(LINGER))
        return LONCCTL_DONE;
    if (!http_read_request(&request, "/metrics"))
        return LONCCTL_DONE;
    const char *accept = http_header(&request, "Accept");
    bool openmetrics = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    char *text = expose(socket, openmetrics, true, &length, &why);
    http_answer(&request,
                openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                            : "text/plain; version=0.0.4; charset=utf-8",
                text, length);
    free(text);
    return LONCCTL_DONE;
}

static int print(const char *socket, bool openmetrics)
{
    const char *why;
    size_t length;
    char *text = expose(socket, openmetrics, false, &length, &why);
    if (text == NULL)
        fail(LONCCTL_UNREACHABLE, socket, why);
    bool written = fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0;
    free(text);
    return written ? LONCCTL_DONE : LONCCTL_NO;
}

int loncctl_metrics(const char *socket, int argc, char **argv)
{
    static const struct option known[] = {
        {"http", no_argument, NULL, 'w'},
        {"text", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    bool http = false, openmetrics = true;
    int option;
    optind = 0; /* again, from the first word on */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?')
            return LONCCTL_USAGE;
        http = http || option == 'w';
        openmetrics = openmetrics && option != 't';
    }
    if (optind < argc)
        fail(LONCCTL_USAGE, argv[optind], "metrics takes no more words");
    return http ? serve(socket) : print(socket, openmetrics);
}
