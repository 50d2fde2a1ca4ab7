/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the keeper is, on one screen; what is left of the screen shows the hosts that want attention.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/plural.h"
#include "keeper/loncctl/views/table.h"
#include "keeper/loncctl/views/view.h"

/* Column where the values begin. */
#define INDENT 14

/* Hosts in trouble that are shown on any terminal, however small. */
#define TROUBLE_LEAST 5

/* Lines of the screen that are taken by everything else (what is above the table of hosts, its
 * heading, the lines below it and the prompt), and by each of the keeper's own troubles. */
#define LINES_TAKEN   19
#define TROUBLE_LINES 5

static void print_label(const char *name)
{
    printf("  %s%-*s%s", terminal_start(STYLE_FAINT), INDENT - 2, name, terminal_stop(STYLE_FAINT));
}

static void show_heading(const json_t *status)
{
    const char *version = field_text(status, "version");
    printf("%slonc-keeper %s%s, process %lld, up for %s%s\n", terminal_start(STYLE_HEADING),
           version != NULL ? version : "-", terminal_stop(STYLE_HEADING),
           (long long)field_integer(status, "pid"),
           display_age(field_number(status, "up_for")).text,
           field_true(status, "stopping") ? ", STOPPING" : "");
    if (field_true(status, "configured"))
        return;
    fputs(terminal_start(STYLE_BAD), stdout);
    display_wrapped(0, "NO VALID CONFIGURATION: every request is answered con_lost; see "
                       "lonc-keeper --check");
    fputs(terminal_stop(STYLE_BAD), stdout);
}

/* Prints one line of a trouble. */
static void show_detail(const char *name, const char *text)
{
    print_label(name);
    display_wrapped(INDENT, text != NULL ? text : "-");
}

static void show_own_troubles(const json_t *troubles)
{
    const json_t *trouble;
    size_t i;
    json_array_foreach(troubles, i, trouble)
    {
        const char *kind = field_text(trouble, "trouble");
        char *clean = display_clean(kind != NULL ? kind : "-", kind != NULL ? strlen(kind) : 1);
        printf("%sTROUBLE: %s%s, for %s\n", terminal_start(STYLE_BAD), clean,
               terminal_stop(STYLE_BAD), display_age(field_number(trouble, "for")).text);
        free(clean);
        show_detail("found", field_text(trouble, "detail"));
        show_detail("costs", field_text(trouble, "cost"));
        show_detail("to do", field_text(trouble, "remedy"));
    }
    if (json_array_size(troubles) > 0)
        putchar('\n');
}

/* Prints "5 dead" in the given style; "0 dead" is plain. */
static void show_count(const json_t *hosts, const char *key, enum style style)
{
    json_int_t count = field_integer(hosts, key);
    if (count == 0)
        style = STYLE_PLAIN;
    printf("%s%lld %s%s", terminal_start(style), (long long)count, key, terminal_stop(style));
}

static void show_hosts(const json_t *hosts)
{
    print_label("hosts");
    printf("%lld: ", (long long)field_integer(hosts, "total"));
    show_count(hosts, "healthy", STYLE_PLAIN);
    fputs(", ", stdout);
    show_count(hosts, "failing", STYLE_WARNING);
    fputs(", ", stdout);
    show_count(hosts, "dead", STYLE_BAD);
    if (field_integer(hosts, "paused") > 0) {
        fputs(", ", stdout);
        show_count(hosts, "paused", STYLE_NOTE);
    }
    putchar('\n');
}

static void show_requests(const json_t *status)
{
    double rate = field_number(status, "rate");
    char *con_lost = view_con_lost(json_object_get(status, "con_lost"));
    print_label("requests");
    printf("%lld, of which %lld got lond's reply\n", (long long)field_integer(status, "requests"),
           (long long)field_integer(status, "replies"));
    if (!isnan(rate)) {
        print_label("rate");
        printf("%s/s\n", display_rate(rate).text);
    }
    if (con_lost != NULL) {
        print_label("con_lost");
        display_wrapped(INDENT, con_lost);
    }
    free(con_lost);
}

static void show_latencies(const json_t *status)
{
    const json_t *latency = json_object_get(status, "latency");
    const json_t *queue = json_object_get(status, "queue_time");
    const json_t *lost = json_object_get(status, "con_lost_time");
    if (json_is_object(latency)) {
        print_label("latency");
        printf("p50 %s, p99 %s, p99.9 %s\n", display_latency(field_number(latency, "p50")).text,
               display_latency(field_number(latency, "p99")).text,
               display_latency(field_number(latency, "p999")).text);
    }
    if (json_is_object(queue)) {
        print_label("queue time");
        printf("p50 %s, p99 %s\n", display_latency(field_number(queue, "p50")).text,
               display_latency(field_number(queue, "p99")).text);
    }
    if (!isnan(field_number(lost, "p50"))) {
        print_label("lost after");
        printf("p50 %s, p99 %s\n", display_latency(field_number(lost, "p50")).text,
               display_latency(field_number(lost, "p99")).text);
    }
}

static void show_waiting(const json_t *status)
{
    print_label("waiting");
    printf("%lld queued, %lld deferred\n", (long long)field_integer(status, "queued"),
           (long long)field_integer(status, "deferred"));
}

static void show_connections(const json_t *status)
{
    const json_t *connections = json_object_get(status, "connections");
    if (!json_is_object(connections))
        return;
    print_label("connections");
    long long clients = (long long)field_integer(status, "clients");
    printf("%lld opening, %lld idle, %lld busy; %lld client%s\n",
           (long long)field_integer(connections, "opening"),
           (long long)field_integer(connections, "idle"),
           (long long)field_integer(connections, "busy"), clients, plural((uint64_t)clients));
}

static void show_resources(const json_t *status)
{
    json_int_t most = field_integer(status, "descriptors_max");
    json_int_t cut = field_integer(status, "handovers_cut");
    print_label("descriptors");
    printf("%lld", (long long)field_integer(status, "descriptors"));
    if (most > 0)
        printf(" of %lld", (long long)most);
    if (cut > 0)
        printf("; %s%lld hand-over%s lost clients for lack of them%s",
               terminal_start(STYLE_WARNING), (long long)cut, plural((uint64_t)cut),
               terminal_stop(STYLE_WARNING));
    putchar('\n');
    if (field_integer(status, "control_refused") > 0) {
        print_label("control");
        printf("%s%lld turned away%s for lack of a place\n", terminal_start(STYLE_WARNING),
               (long long)field_integer(status, "control_refused"), terminal_stop(STYLE_WARNING));
    }
    json_int_t made = field_integer(status, "create_done");
    json_int_t failed = field_integer(status, "create_failed");
    if (made + failed > 0) {
        print_label("sockets");
        printf("%lld requested by lonnet, %lld of them in vain\n", (long long)(made + failed),
               (long long)failed);
    }
    if (json_object_get(status, "buffers") == NULL)
        return;
    print_label("buffers");
    printf("%s of %s\n", display_size(field_number(status, "buffers")).text,
           display_size(field_number(status, "buffers_limit")).text);
}

/* --- Hosts in trouble ------------------------------------------------------------------------- */

static const struct column columns[] = {
    {.title = "HOST", .least = 12}, {"STATE", .least = 7},
    {"REASON", .least = 14},        {.title = "FOR", .dispense = 1},
    {"NEXT TRY", .dispense = 2},    {"ADDRESS", .least = 12, .dispense = 3},
};

/* The cells are in the order of the columns. */
static void add_host_in_trouble(struct table *table, const json_t *host)
{
    char *reason = view_reason(host), *addresses = view_addresses(host);
    enum style style = view_state_style(host);
    table_cell(table, style, field_text(host, "id"));
    table_cell(table, style, view_state(host).text);
    table_cell(table, STYLE_PLAIN, reason);
    table_cell(table, STYLE_PLAIN, display_age(field_number(host, "dead_for")).text);
    table_cell(table, STYLE_PLAIN, display_age(field_number(host, "next_attempt_in")).text);
    table_cell(table, STYLE_PLAIN, addresses);
    free(reason);
    free(addresses);
}

/* How many hosts the screen has room for, below the keeper's own troubles. */
static size_t room_for_hosts(size_t own_troubles)
{
    size_t taken = LINES_TAKEN + TROUBLE_LINES * own_troubles;
    if (terminal.height == 0)
        return SIZE_MAX;
    return terminal.height > taken + TROUBLE_LEAST ? terminal.height - taken : TROUBLE_LEAST;
}

static void show_hosts_in_trouble(const json_t *hosts, size_t own_troubles)
{
    const json_t *trouble = json_object_get(hosts, "trouble"), *host;
    size_t room = room_for_hosts(own_troubles), i;
    if (json_array_size(trouble) == 0)
        return;
    puts("\nHosts that want attention:");
    struct table *table = table_new(columns, sizeof(columns) / sizeof(*columns));
    json_array_foreach(trouble, i, host)
    {
        if (i == room)
            break;
        add_host_in_trouble(table, host);
    }
    table_print(table);
    table_free(table);
    if (i < json_array_size(trouble))
        printf("%s%zu more: loncctl hosts%s\n", terminal_start(STYLE_FAINT),
               json_array_size(trouble) - i, terminal_stop(STYLE_FAINT));
}

void view_status(const json_t *status)
{
    const json_t *hosts = json_object_get(status, "hosts");
    const json_t *troubles = json_object_get(status, "troubles");
    show_heading(status);
    show_own_troubles(troubles);
    show_hosts(hosts);
    show_requests(status);
    show_latencies(status);
    show_waiting(status);
    show_connections(status);
    show_resources(status);
    show_hosts_in_trouble(hosts, json_array_size(troubles));
}
