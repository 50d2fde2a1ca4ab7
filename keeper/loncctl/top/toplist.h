/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What top shows: the hosts of the last answer, with rates and graphs from earlier ones, filtered
 * and sorted. Neither draws nor asks the keeper.
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_TOPLIST_H
#define LONC_KEEPER_LONCCTL_TOP_TOPLIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "keeper/loncctl/top/graph.h"

/* A number that only grows, and how fast. */
struct counter {
    json_int_t last;
    bool known;
    double rate; /* per second since the last answer; NAN after the first one, and after a restart
                    of the keeper */
};

struct tophost {
    const char *id;      /* points into `value` */
    const json_t *value; /* the host in the last answer, which the list owns */
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
    json_t *status, *answer;           /* the last answers; NULL before the first */
    struct counter requests, con_lost; /* of all hosts together */
    struct series rates, latencies, queues;
    double status_at, hosts_at; /* when they came, in seconds of any clock */
    struct tophost *hosts;      /* sorted by id */
    size_t count;
    struct tophost **shown; /* those that match the filter, as `sort` says */
    size_t shown_count;
    enum topsort sort;
    char filter[FILTER_SIZE]; /* part of an id or DNS name; empty: all hosts match */
};

/* Add a new answer, which the list owns from now on; `now` is the time in seconds. The two may come
 * in any order. */
void toplist_take_status(struct toplist *list, json_t *status, double now);
void toplist_take_hosts(struct toplist *list, json_t *answer, double now);

/* Change the order, or which hosts are shown: those whose id or DNS name contains `part`, in upper
 * or lower case; all if it is empty. A longer part than FILTER_SIZE allows is cut. */
void toplist_sort_by(struct toplist *list, enum topsort sort);
void toplist_filter_by(struct toplist *list, const char *part);

/* Returns the index in `shown` of the host with this id; 0 if it is not there. */
size_t toplist_find(const struct toplist *list, const char *id);

/* Frees everything, and leaves an empty list. */
void toplist_free(struct toplist *list);

#endif
