/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hosts: the parts that describe one host, and the table of all.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/plural.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/textstream.h"
#include "keeper/loncctl/views/table.h"
#include "keeper/loncctl/views/view.h"

/* --- One host --------------------------------------------------------------------------------- */

enum host_condition view_condition(const json_t *host)
{
    const char *state = field_text(host, "state");
    if (state != NULL && strcmp(state, "dead") == 0)
        return HOST_DEAD;
    if (state != NULL && strcmp(state, "failing") == 0)
        return HOST_FAILING;
    return field_true(host, "paused") ? HOST_PAUSED : HOST_HEALTHY;
}

struct word view_state(const json_t *host)
{
    struct word word;
    const char *state = field_text(host, "state");
    snprintf(word.text, sizeof(word.text), "%s%s", state != NULL ? state : "-",
             field_true(host, "paused") ? ", paused" : "");
    return word;
}

enum style view_state_style(const json_t *host)
{
    static const enum style styles[HOST_CONDITIONS] = {
        [HOST_HEALTHY] = STYLE_PLAIN,
        [HOST_PAUSED] = STYLE_NOTE,
        [HOST_FAILING] = STYLE_WARNING,
        [HOST_DEAD] = STYLE_BAD,
    };
    return styles[view_condition(host)];
}

char *view_reason(const json_t *host)
{
    const char *reason = field_text(host, "reason"), *detail = field_text(host, "detail");
    char *text;
    if (reason == NULL)
        return NULL;
    if (detail == NULL)
        return must(strdup(reason));
    return must(asprintf(&text, "%s (%s)", reason, detail) < 0 ? NULL : text);
}

char *view_addresses(const json_t *host)
{
    const json_t *addresses = json_object_get(host, "addresses"), *address;
    struct textstream text;
    size_t i;
    if (json_array_size(addresses) == 0)
        return NULL;
    textstream_open(&text);
    json_array_foreach(addresses, i, address)
        fprintf(text.out, "%s%s", i > 0 ? " " : "", json_string_value(address));
    return textstream_close(&text);
}

struct cause {
    const char *reason;
    json_int_t count;
};

static int compare_causes(const void *a, const void *b)
{
    const struct cause *one = a, *other = b;
    if (one->count != other->count)
        return one->count < other->count ? 1 : -1;
    return strcmp(one->reason, other->reason);
}

char *view_con_lost(const json_t *causes)
{
    size_t count = json_object_size(causes), i = 0;
    const char *reason;
    json_t *value;
    struct textstream text;
    if (count == 0)
        return NULL;
    struct cause *sorted = must(calloc(count, sizeof(*sorted)));
    json_object_foreach((json_t *)(uintptr_t)causes, reason, value) sorted[i++] =
        (struct cause){reason, count_of(value)};
    qsort(sorted, count, sizeof(*sorted), compare_causes);
    textstream_open(&text);
    for (i = 0; i < count; i++)
        fprintf(text.out, "%s%s %lld", i > 0 ? ", " : "", sorted[i].reason,
                (long long)sorted[i].count);
    free(sorted);
    return textstream_close(&text);
}

json_int_t view_con_lost_count(const json_t *host)
{
    const char *reason;
    json_t *value;
    json_int_t all = 0;
    json_object_foreach(json_object_get(host, "con_lost"), reason, value) all += count_of(value);
    return all;
}

struct word view_lond_version(const json_t *host)
{
    struct word word = {.text = "-"};
    const char *version = field_text(host, "lond");
    if (version != NULL && sscanf(version, "$Revision: %31[0-9.] $", word.text) != 1)
        snprintf(word.text, sizeof(word.text), "%s", version);
    return word;
}

/* --- All hosts -------------------------------------------------------------------------------- */

enum {
    HOST,
    STATE,
    OPENING,
    IDLE,
    BUSY,
    QUEUED,
    OLDEST,
    REQUESTS,
    P50,
    P99,
    DEFERRED,
    OLDEST_FILE,
    MODE,
    LOND,
    CON_LOST,
    COLUMNS
};

/* On 80 columns, what stays is how a host is doing; what kind of host it is needs more room. */
static const struct column columns[COLUMNS] = {
    [HOST] = {.title = "HOST", .least = 10},
    [STATE] = {.title = "STATE", .least = 7},
    [OPENING] = {.title = "OPENING", .right = true, .dispense = 8},
    [IDLE] = {.title = "IDLE", .right = true, .dispense = 2},
    [BUSY] = {.title = "BUSY", .right = true, .dispense = 3},
    [QUEUED] = {.title = "QUEUED", .right = true},
    [OLDEST] = {.title = "OLDEST", .right = true, .dispense = 5},
    [REQUESTS] = {.title = "REQUESTS", .right = true, .dispense = 7},
    [P50] = {.title = "P50", .right = true, .dispense = 4},
    [P99] = {.title = "P99", .right = true, .dispense = 1},
    [DEFERRED] = {.title = "DEFERRED", .right = true},
    [OLDEST_FILE] = {.title = "OLDEST FILE", .right = true, .dispense = 6},
    [MODE] = {.title = "MODE", .dispense = 9},
    [LOND] = {.title = "LOND", .dispense = 10},
    [CON_LOST] = {.title = "CON_LOST", .least = 10},
};

static void integer_cell(struct table *table, const json_t *object, const char *key)
{
    table_printf(table, STYLE_PLAIN, "%lld", (long long)field_integer(object, key));
}

/* The cells are in the order of the columns. */
static void add_host(struct table *table, const json_t *host)
{
    const json_t *connections = json_object_get(host, "connections");
    const json_t *latency = json_object_get(host, "latency");
    char *con_lost = view_con_lost(json_object_get(host, "con_lost"));
    bool exact = !json_is_false(json_object_get(host, "deferred_exact"));
    enum style style = view_state_style(host);
    table_cell(table, style, field_text(host, "id"));
    table_cell(table, style, view_state(host).text);
    integer_cell(table, connections, "opening");
    integer_cell(table, connections, "idle");
    integer_cell(table, connections, "busy");
    integer_cell(table, host, "queued");
    table_cell(table, STYLE_PLAIN, display_age(field_number(host, "oldest_wait")).text);
    integer_cell(table, host, "requests");
    table_cell(table, STYLE_PLAIN, display_latency(field_number(latency, "p50")).text);
    table_cell(table, STYLE_PLAIN, display_latency(field_number(latency, "p99")).text);
    table_printf(table, STYLE_PLAIN, "%lld%s", (long long)field_integer(host, "deferred"),
                 exact ? "" : "+");
    table_cell(table, STYLE_PLAIN, display_age(field_number(host, "deferred_oldest")).text);
    table_cell(table, STYLE_PLAIN, field_text(host, "mode"));
    table_cell(table, STYLE_PLAIN, view_lond_version(host).text);
    table_cell(table, STYLE_PLAIN, con_lost);
    free(con_lost);
}

void view_hosts(const json_t *answer)
{
    const json_t *hosts = json_object_get(answer, "hosts"), *host;
    struct table *table = table_new(columns, COLUMNS);
    size_t i;
    json_array_foreach(hosts, i, host) add_host(table, host);
    table_print(table);
    table_free(table);
    if (terminal.present)
        printf("%s%zu host%s%s\n", terminal_start(STYLE_FAINT), i, plural(i),
               terminal_stop(STYLE_FAINT));
}
