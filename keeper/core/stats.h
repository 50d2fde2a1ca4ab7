/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is counted of requests: how long they took, and how many there were in each minute of the
 * last hour and each quarter of the last day. Everything has a fixed size, a request costs a few
 * additions, and no timer runs: time passes when somebody counts or looks. Pure: the clock is an
 * argument, in microseconds.
 */
#ifndef LONC_KEEPER_CORE_STATS_H
#define LONC_KEEPER_CORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Counts of times, eight buckets to each power of two: a bucket is a tenth of its value wide. What
 * takes longer than the last one counts there.
 */
#define HISTOGRAM_OCTAVES 28 /* up to 2^28 us, four minutes and a half: past request_timeout */
#define HISTOGRAM_BUCKETS (8 * (HISTOGRAM_OCTAVES - 2))

struct histogram {
    uint32_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t time);

/*
 * The time, in microseconds, that `share` (0 to 1) of what was counted in both did not exceed, to
 * the middle of its bucket. False when nothing was counted. `more` may be NULL.
 */
bool histogram_quantile(const struct histogram *histogram, const struct histogram *more,
                        double share, uint64_t *time);

/* The last five to ten minutes. */
#define WINDOW_SPAN (5 * 60 * UINT64_C(1000000))

struct window {
    uint64_t since; /* of `now`; 0: nothing was ever counted */
    struct histogram now, before;
};

void window_add(struct window *window, uint64_t clock, uint64_t time);
bool window_quantile(const struct window *window, uint64_t clock, double share, uint64_t *time);

/* Since the start, by powers of two, as metrics want it. */
struct totals {
    uint64_t counts[HISTOGRAM_OCTAVES +
                    1]; /* [i]: below 2^i us, and not counted before; the last: more */
    uint64_t sum;       /* us */
};

void totals_add(struct totals *totals, uint64_t time);

/* What happened during one span of time. */
struct sample {
    uint32_t requests, con_lost;
    uint32_t queued;   /* the most at once */
    uint32_t p50, p99; /* us, of replies; 0: there were none */
};

#define SERIES_LENGTH 96

/* The last `length` spans. */
struct series {
    uint64_t span;                     /* us */
    unsigned length;                   /* at most SERIES_LENGTH */
    uint64_t number;                   /* of the current span, since the clock's zero */
    struct sample ring[SERIES_LENGTH]; /* span n at n % length; the current without quantiles */
    struct histogram latency;          /* of the current span */
};

/* Sample `back` spans ago; 0 is the current one, which is not over. */
struct sample series_sample(struct series *series, uint64_t clock, unsigned back);

struct stats {
    struct window latency, waiting, losing;
    struct totals latencies, waits, losses;
    struct series hour, day;
};

void stats_init(struct stats *stats, uint64_t clock);

/* A request was answered con_lost after `time`, perhaps 0. */
void stats_con_lost(struct stats *stats, uint64_t clock, uint64_t time);

/* A request got its reply after `time`; `host` is its host's own window, or NULL. */
void stats_reply(struct stats *stats, struct window *host, uint64_t clock, uint64_t time);

/* A request was sent after waiting in the queue for `time`, perhaps 0. */
void stats_sent(struct stats *stats, uint64_t clock, uint64_t time);

/* How many requests wait in all queues now. */
void stats_queued(struct stats *stats, uint64_t clock, size_t queued);

/* Answered requests per second, over the last complete minute and the current one so far. */
double stats_rate(struct stats *stats, uint64_t clock);

#endif
