/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hosts over time: what is new is compared with what was known before, host by host.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/top/toplist.h"
#include "keeper/loncctl/views/view.h"

/* --- The order -------------------------------------------------------------------------------- */

static const char *const sort_names[TOPSORT_COUNT] = {
    [TOPSORT_TROUBLE] = "trouble", [TOPSORT_RATE] = "rate",         [TOPSORT_LATENCY] = "latency",
    [TOPSORT_QUEUE] = "queue",     [TOPSORT_CON_LOST] = "con_lost", [TOPSORT_DEFERRED] = "deferred",
    [TOPSORT_NAME] = "name",
};

const char *topsort_name(enum topsort sort)
{
    return sort_names[sort];
}

/* Compares so that the larger comes first, and NAN last. */
static int compare_descending(double one, double other)
{
    one = isnan(one) ? -1 : one;
    other = isnan(other) ? -1 : other;
    return one < other ? 1 : one > other ? -1 : 0;
}

static int compare_trouble(const struct tophost *one, const struct tophost *other)
{
    int order = (int)view_condition(other->value) - (int)view_condition(one->value);
    if (order == 0)
        order = compare_descending((double)one->queued, (double)other->queued);
    if (order == 0)
        order = compare_descending(one->con_lost.rate, other->con_lost.rate);
    return order != 0 ? order : compare_descending(one->requests.rate, other->requests.rate);
}

static int compare_hosts(const void *a, const void *b, void *argument)
{
    const struct tophost *one = *(struct tophost *const *)a, *other = *(struct tophost *const *)b;
    const enum topsort *sort = argument;
    int order = 0;
    switch (*sort) {
    case TOPSORT_TROUBLE:
        order = compare_trouble(one, other);
        break;
    case TOPSORT_RATE:
        order = compare_descending(one->requests.rate, other->requests.rate);
        break;
    case TOPSORT_LATENCY:
        order = compare_descending(one->p99, other->p99);
        break;
    case TOPSORT_QUEUE:
        order = compare_descending((double)one->queued, (double)other->queued);
        break;
    case TOPSORT_CON_LOST:
        order = compare_descending(one->con_lost.rate, other->con_lost.rate);
        break;
    case TOPSORT_DEFERRED:
        order = compare_descending((double)one->deferred, (double)other->deferred);
        break;
    case TOPSORT_NAME:
    case TOPSORT_COUNT:
        break;
    }
    return order != 0 ? order : strcmp(one->id, other->id);
}

static bool matches_filter(const struct toplist *list, const struct tophost *host)
{
    const char *name = field_text(host->value, "name");
    return strcasestr(host->id, list->filter) != NULL ||
           (name != NULL && strcasestr(name, list->filter) != NULL);
}

static void filter_and_sort(struct toplist *list)
{
    free(list->shown);
    list->shown = must(calloc(list->count + 1, sizeof(struct tophost *)));
    list->shown_count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (matches_filter(list, &list->hosts[i]))
            list->shown[list->shown_count++] = &list->hosts[i];
    qsort_r(list->shown, list->shown_count, sizeof(struct tophost *), compare_hosts, &list->sort);
}

void toplist_sort_by(struct toplist *list, enum topsort sort)
{
    list->sort = sort;
    filter_and_sort(list);
}

void toplist_filter_by(struct toplist *list, const char *part)
{
    snprintf(list->filter, sizeof(list->filter), "%s", part);
    filter_and_sort(list);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void update_counter(struct counter *counter, json_int_t value, double elapsed)
{
    /* A counter that went back belongs to another keeper. */
    bool comparable = counter->known && value >= counter->last && elapsed > 0;
    counter->rate = comparable ? (double)(value - counter->last) / elapsed : (double)NAN;
    counter->last = value;
    counter->known = true;
}

void toplist_take_status(struct toplist *list, json_t *status, double now)
{
    double elapsed = now - list->status_at;
    json_decref(list->status);
    list->status = status;
    list->status_at = now;
    update_counter(&list->requests, field_integer(status, "requests"), elapsed);
    update_counter(&list->con_lost, view_con_lost_count(status), elapsed);
    series_add(&list->rates, list->requests.rate);
    series_add(&list->latencies, field_number(json_object_get(status, "latency"), "p99"));
    series_add(&list->queues, field_number(status, "queued"));
}

static int compare_ids(const void *a, const void *b)
{
    const struct tophost *one = a, *other = b;
    return strcmp(one->id, other->id);
}

/* Returns the host as it is now, with the series of what was known of it before. */
static struct tophost updated_host(const struct toplist *list, const json_t *value, const char *id,
                                   double elapsed)
{
    const struct tophost key = {.id = id};
    const struct tophost *before =
        list->count > 0 ? bsearch(&key, list->hosts, list->count, sizeof(key), compare_ids) : NULL;
    const json_t *latency = json_object_get(value, "latency");
    struct tophost host = before != NULL ? *before : key;
    host.id = id;
    host.value = value;
    host.queued = field_integer(value, "queued");
    host.deferred = field_integer(value, "deferred");
    host.p50 = field_number(latency, "p50");
    host.p99 = field_number(latency, "p99");
    update_counter(&host.requests, field_integer(value, "requests"), elapsed);
    update_counter(&host.con_lost, view_con_lost_count(value), elapsed);
    series_add(&host.rates, host.requests.rate);
    series_add(&host.latencies, host.p99);
    series_add(&host.queues, (double)host.queued);
    return host;
}

void toplist_take_hosts(struct toplist *list, json_t *answer, double now)
{
    const json_t *values = json_object_get(answer, "hosts"), *value;
    struct tophost *hosts = must(calloc(json_array_size(values) + 1, sizeof(*hosts)));
    size_t known = 0, i;
    json_array_foreach(values, i, value)
    {
        const char *id = field_text(value, "id");
        if (id != NULL)
            hosts[known++] = updated_host(list, value, id, now - list->hosts_at);
    }
    qsort(hosts, known, sizeof(*hosts), compare_ids);
    free(list->hosts);
    list->hosts = hosts;
    list->count = known;
    list->hosts_at = now;
    /* Only now: the old hosts pointed into the old answer. */
    json_decref(list->answer);
    list->answer = answer;
    filter_and_sort(list);
}

size_t toplist_find(const struct toplist *list, const char *id)
{
    for (size_t i = 0; i < list->shown_count; i++)
        if (strcmp(list->shown[i]->id, id) == 0)
            return i;
    return 0;
}

void toplist_free(struct toplist *list)
{
    json_decref(list->status);
    json_decref(list->answer);
    free(list->hosts);
    free(list->shown);
    *list = (struct toplist){.count = 0};
}
