/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What top shows: the hosts of the last answer with what became of them since earlier ones, chosen
 * by a filter and sorted. No drawing here, and no asking.
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_TOPLIST_H
#define LONC_KEEPER_LONCCTL_TOP_TOPLIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "keeper/loncctl/top/graph.h"

/* What is counted up, and how fast. */
struct counter {
    json_int_t last;
    bool known;
    double rate; /* per second since the last answer; NAN before the second, and after a restart */
};

struct tophost {
    const char *id;      /* of `value` */
    const json_t *value; /* as it came last; the list's */
    struct counter requests, con_lost;
    json_int_t queued, deferred;
    double p50, p99;
    struct series rates, latencies, queues;
};

enum topsort {
    TOPSORT_TROUBLE,
    TOPSORT_RATE,
    TOPSORT_LATENCY,
    TOPSORT_QUEUE,
    TOPSORT_CON_LOST,
    TOPSORT_DEFERRED,
    TOPSORT_NAME,
    TOPSORT_COUNT
};

const char *topsort_name(enum topsort sort);

#define FILTER_SIZE 64

struct toplist {
    json_t *status, *answer;           /* the last of each, NULL before */
    struct counter requests, con_lost; /* of all hosts */
    struct series rates, latencies, queues;
    double status_at, hosts_at; /* when they came, in seconds of some clock */
    struct tophost *hosts;      /* by id */
    size_t count;
    struct tophost **shown; /* those that match the filter, in order */
    size_t shown_count;
    enum topsort sort;
    char filter[FILTER_SIZE]; /* a part of id or DNS name */
};

/* New answers, which become the list's. Both may come in any order. */
void toplist_take_status(struct toplist *list, json_t *status, double now);
void toplist_take_hosts(struct toplist *list, json_t *answer, double now);

/* Filters and sorts anew, after a change of either. */
void toplist_arrange(struct toplist *list);

/* Where the host of that id is in `shown`; 0 when it is not there. */
size_t toplist_find(const struct toplist *list, const char *id);

void toplist_free(struct toplist *list);

#endif
