/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Histograms, windows and series of samples.
 */
#include <string.h>

#include "keeper/core/stats.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)

/* The place of a time's highest bit: 1 for 1, 2 for 2 and 3, and so on; 0 for 0. */
static unsigned magnitude(uint64_t time)
{
    return time == 0 ? 0 : 64 - (unsigned)__builtin_clzll(time);
}

/* --- Histograms ------------------------------------------------------------------------------- */

/* Below 8 us each has a bucket; above, the three bits behind the highest one tell them apart. */
static unsigned bucket_of(uint64_t time)
{
    if (time < 8)
        return (unsigned)time;
    unsigned octave = magnitude(time) - 1;
    unsigned bucket = 8 * (octave - 2) + (unsigned)((time >> (octave - 3)) & 7);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < 8)
        return bucket;
    unsigned octave = bucket / 8 + 2;
    uint64_t width = UINT64_C(1) << (octave - 3);
    return (8 + bucket % 8) * width + width / 2;
}

void histogram_add(struct histogram *histogram, uint64_t time)
{
    histogram->counts[bucket_of(time)]++;
}

bool histogram_quantile(const struct histogram *histogram, const struct histogram *more,
                        double share, uint64_t *time)
{
    uint64_t all = 0, seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        all += histogram->counts[i] + (more != NULL ? (uint64_t)more->counts[i] : 0);
    if (all == 0)
        return false;
    /* The rank, from 1: of 100, the 99th is the first that 0.99 of them do not exceed. */
    double exact = share * (double)all;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact || rank == 0)
        rank++;
    unsigned i = 0;
    for (; i < HISTOGRAM_BUCKETS - 1; i++) {
        seen += histogram->counts[i] + (more != NULL ? (uint64_t)more->counts[i] : 0);
        if (seen >= rank)
            break;
    }
    *time = middle_of(i);
    return true;
}

/* --- Windows ---------------------------------------------------------------------------------- */

/* How many spans have passed since `now` began; two and more leave nothing of it. */
static uint64_t spans_passed(const struct window *window, uint64_t clock)
{
    return (clock - window->since) / WINDOW_SPAN;
}

void window_add(struct window *window, uint64_t clock, uint64_t time)
{
    uint64_t passed = spans_passed(window, clock);
    if (passed > 0) {
        if (passed == 1)
            window->before = window->now;
        else
            memset(&window->before, 0, sizeof(window->before));
        memset(&window->now, 0, sizeof(window->now));
        window->since += passed * WINDOW_SPAN;
    }
    histogram_add(&window->now, time);
}

bool window_quantile(const struct window *window, uint64_t clock, double share, uint64_t *time)
{
    uint64_t passed = spans_passed(window, clock);
    if (passed > 1)
        return false;
    return histogram_quantile(&window->now, passed == 0 ? &window->before : NULL, share, time);
}

/* --- Totals ----------------------------------------------------------------------------------- */

void totals_add(struct totals *totals, uint64_t time)
{
    unsigned i = magnitude(time);
    totals->counts[i < HISTOGRAM_OCTAVES ? i : HISTOGRAM_OCTAVES]++;
    totals->sum += time;
}

/* --- Series ----------------------------------------------------------------------------------- */

static struct sample *place(struct series *series, uint64_t number)
{
    return &series->ring[number % series->length];
}

/* The current span is over. */
static void close_span(struct series *series)
{
    struct sample *sample = place(series, series->number);
    uint64_t p50, p99;
    if (!histogram_quantile(&series->latency, NULL, 0.5, &p50))
        return;
    histogram_quantile(&series->latency, NULL, 0.99, &p99);
    sample->p50 = p50 > 0 ? (uint32_t)p50 : 1;
    sample->p99 = p99 > 0 ? (uint32_t)p99 : 1;
    memset(&series->latency, 0, sizeof(series->latency));
}

/* The sample of the clock's span, which is current from now on. */
static struct sample *current(struct series *series, uint64_t clock)
{
    uint64_t number = clock / series->span;
    if (number != series->number) {
        close_span(series);
        uint64_t passed = number - series->number;
        for (uint64_t i = 0; i < passed && i < series->length; i++)
            *place(series, number - i) = (struct sample){0};
        series->number = number;
    }
    return place(series, number);
}

struct sample series_sample(struct series *series, uint64_t clock, unsigned back)
{
    current(series, clock);
    if (back >= series->length || back > series->number)
        return (struct sample){0};
    return *place(series, series->number - back);
}

/* --- All of it -------------------------------------------------------------------------------- */

void stats_init(struct stats *stats, uint64_t clock)
{
    *stats = (struct stats){
        .latency = {.since = clock},
        .waiting = {.since = clock},
        .losing = {.since = clock},
        .hour = {.span = MINUTE, .length = 60, .number = clock / MINUTE},
        .day = {.span = 15 * MINUTE, .length = 96, .number = clock / (15 * MINUTE)},
    };
}

void stats_con_lost(struct stats *stats, uint64_t clock, uint64_t time)
{
    struct series *all[] = {&stats->hour, &stats->day};
    for (unsigned i = 0; i < 2; i++) {
        struct sample *sample = current(all[i], clock);
        sample->requests++;
        sample->con_lost++;
    }
    window_add(&stats->losing, clock, time);
    totals_add(&stats->losses, time);
}

void stats_reply(struct stats *stats, struct window *host, uint64_t clock, uint64_t time)
{
    struct series *all[] = {&stats->hour, &stats->day};
    for (unsigned i = 0; i < 2; i++) {
        current(all[i], clock)->requests++;
        histogram_add(&all[i]->latency, time);
    }
    window_add(&stats->latency, clock, time);
    if (host != NULL)
        window_add(host, clock, time);
    totals_add(&stats->latencies, time);
}

void stats_sent(struct stats *stats, uint64_t clock, uint64_t time)
{
    window_add(&stats->waiting, clock, time);
    totals_add(&stats->waits, time);
}

void stats_queued(struct stats *stats, uint64_t clock, size_t queued)
{
    struct series *all[] = {&stats->hour, &stats->day};
    for (unsigned i = 0; i < 2; i++) {
        struct sample *sample = current(all[i], clock);
        if (queued > sample->queued)
            sample->queued = (uint32_t)queued;
    }
}

double stats_rate(struct stats *stats, uint64_t clock)
{
    uint32_t now = series_sample(&stats->hour, clock, 0).requests;
    uint32_t before = series_sample(&stats->hour, clock, 1).requests;
    return (double)(now + before) / (double)(MINUTE + clock % MINUTE) * (double)SECOND;
}
