/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counting of requests: quantiles, windows and series, with the clock as an argument.
 */
#include "keeper/core/stats.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)

static struct stats stats;

static uint64_t quantile(const struct histogram *histogram, double share)
{
    uint64_t time;
    cr_assert(histogram_quantile(histogram, NULL, share, &time));
    return time;
}

Test(stats, tells_every_time_within_a_sixteenth)
{
    for (uint64_t time = 0; time < (UINT64_C(1) << HISTOGRAM_OCTAVES); time += time / 7 + 1) {
        struct histogram histogram = {{0}};
        histogram_add(&histogram, time);
        uint64_t told = quantile(&histogram, 0.5);
        uint64_t error = told > time ? told - time : time - told;
        cr_assert_leq(16 * error, time, "%llu us are told as %llu", (unsigned long long)time,
                      (unsigned long long)told);
    }
}

Test(stats, counts_what_takes_longer_than_all_in_the_last_bucket)
{
    struct histogram histogram = {{0}};
    histogram_add(&histogram, UINT64_C(1) << HISTOGRAM_OCTAVES);
    histogram_add(&histogram, UINT64_MAX);
    cr_assert_eq(histogram.counts[HISTOGRAM_BUCKETS - 1], 2);
    cr_assert_gt(quantile(&histogram, 0.5), (UINT64_C(1) << HISTOGRAM_OCTAVES) * 15 / 16);
}

Test(stats, finds_the_quantile_by_rank)
{
    struct histogram histogram = {{0}};
    for (int i = 0; i < 99; i++)
        histogram_add(&histogram, 2);
    histogram_add(&histogram, 7);
    cr_assert_eq(quantile(&histogram, 0), 2);
    cr_assert_eq(quantile(&histogram, 0.5), 2);
    cr_assert_eq(quantile(&histogram, 0.99), 2);
    cr_assert_eq(quantile(&histogram, 0.991), 7);
    cr_assert_eq(quantile(&histogram, 1), 7);

    struct histogram more = {{0}};
    uint64_t time;
    for (int i = 0; i < 300; i++)
        histogram_add(&more, 5);
    cr_assert(histogram_quantile(&histogram, &more, 0.5, &time));
    cr_assert_eq(time, 5, "both are counted");
}

Test(stats, has_no_quantile_of_nothing)
{
    struct histogram nothing = {{0}};
    uint64_t time;
    cr_assert_not(histogram_quantile(&nothing, NULL, 0.5, &time));
    cr_assert_not(histogram_quantile(&nothing, &nothing, 0.5, &time));
}

Test(stats, forgets_what_is_ten_minutes_old)
{
    static struct window window;
    uint64_t start = 1234567, time;
    window.since = start;
    window_add(&window, start, 3);
    cr_assert(window_quantile(&window, start + WINDOW_SPAN - 1, 0.5, &time));
    cr_assert(window_quantile(&window, start + 2 * WINDOW_SPAN - 1, 0.5, &time));
    cr_assert_eq(time, 3);
    cr_assert_not(window_quantile(&window, start + 2 * WINDOW_SPAN, 0.5, &time));

    window_add(&window, start + WINDOW_SPAN, 6);
    cr_assert(window_quantile(&window, start + WINDOW_SPAN, 0, &time));
    cr_assert_eq(time, 3, "the span before counts");
    window_add(&window, start + 2 * WINDOW_SPAN, 6);
    cr_assert(window_quantile(&window, start + 2 * WINDOW_SPAN, 0, &time));
    cr_assert_eq(time, 6, "but not the one before that");
    window_add(&window, start + 9 * WINDOW_SPAN, 4);
    cr_assert(window_quantile(&window, start + 9 * WINDOW_SPAN, 1, &time));
    cr_assert_eq(time, 4, "and nothing after a long pause");
}

Test(stats, totals_stand_at_powers_of_two)
{
    static struct totals totals;
    const uint64_t times[] = {
        0, 1, 2, 3, 4, 1023, 1024, (UINT64_C(1) << 28) - 1, UINT64_C(1) << 28};
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
        totals_add(&totals, times[i]);
    cr_assert_eq(totals.counts[0], 1, "0");
    cr_assert_eq(totals.counts[1], 1, "1");
    cr_assert_eq(totals.counts[2], 2, "2 and 3");
    cr_assert_eq(totals.counts[3], 1, "4");
    cr_assert_eq(totals.counts[10], 1, "1023");
    cr_assert_eq(totals.counts[11], 1, "1024");
    cr_assert_eq(totals.counts[HISTOGRAM_OCTAVES], 2, "the longest, and what is longer still");
    cr_assert_eq(totals.sum, 0 + 1 + 2 + 3 + 4 + 1023 + 1024 + 2 * (UINT64_C(1) << 28) - 1);
}

Test(stats, keeps_a_sample_for_each_minute_of_an_hour)
{
    uint64_t start = 1000 * MINUTE;
    stats_init(&stats, start);
    for (unsigned minute = 0; minute < 60; minute++)
        for (unsigned i = 0; i <= minute; i++)
            stats_reply(&stats, NULL, start + minute * MINUTE, 5);
    uint64_t now = start + 59 * MINUTE;
    for (unsigned back = 0; back < 60; back++)
        cr_assert_eq(series_sample(&stats.hour, now, back).requests, 60 - back, "%u ago", back);
    cr_assert_eq(series_sample(&stats.hour, now, 60).requests, 0, "no longer ago than an hour");
    cr_assert_eq(series_sample(&stats.hour, now, 1).p50, 5);
    cr_assert_eq(series_sample(&stats.hour, now, 1).p99, 5);
    cr_assert_eq(series_sample(&stats.hour, now, 0).p50, 0, "the current minute is not over");
    cr_assert_eq(series_sample(&stats.hour, now + MINUTE, 0).requests, 0);
    cr_assert_eq(series_sample(&stats.hour, now + MINUTE, 1).requests, 60);
    cr_assert_eq(series_sample(&stats.hour, now + MINUTE, 59).requests, 2);
}

Test(stats, keeps_a_sample_for_each_quarter_of_a_day)
{
    uint64_t start = 15 * MINUTE * 400;
    stats_init(&stats, start);
    stats_reply(&stats, NULL, start, 5);
    stats_reply(&stats, NULL, start + 14 * MINUTE, 5);
    stats_reply(&stats, NULL, start + 15 * MINUTE, 5);
    cr_assert_eq(series_sample(&stats.day, start + 15 * MINUTE, 0).requests, 1);
    cr_assert_eq(series_sample(&stats.day, start + 15 * MINUTE, 1).requests, 2);
    cr_assert_eq(series_sample(&stats.day, start + 96 * 15 * MINUTE, 0).requests, 0);
    cr_assert_eq(series_sample(&stats.day, start + 96 * 15 * MINUTE, 95).requests, 1);
}

Test(stats, leaves_nothing_of_what_is_older_than_its_ring)
{
    uint64_t start = 7 * MINUTE;
    stats_init(&stats, start);
    stats_con_lost(&stats, start, 0);
    stats_queued(&stats, start, 17);
    stats_queued(&stats, start, 16);
    cr_assert_eq(series_sample(&stats.hour, start, 0).con_lost, 1);
    cr_assert_eq(series_sample(&stats.hour, start, 0).requests, 1);
    cr_assert_eq(series_sample(&stats.hour, start, 0).queued, 17);
    for (unsigned back = 0; back < 60; back++) {
        struct sample sample = series_sample(&stats.hour, start + 10000 * MINUTE, back);
        cr_assert_eq(sample.requests + sample.con_lost + sample.queued + sample.p50, 0);
    }
    stats_init(&stats, start);
    cr_assert_eq(series_sample(&stats.hour, start, 8).requests, 0, "before the clock's zero");
}

Test(stats, tells_the_rate_of_the_last_minute)
{
    uint64_t start = 500 * MINUTE;
    stats_init(&stats, start);
    for (unsigned i = 0; i < 600; i++)
        stats_reply(&stats, NULL, start + i * SECOND / 10, 5);
    double rate = stats_rate(&stats, start + MINUTE);
    cr_assert(rate > 9.9 && rate < 10.1, "%f", rate);
    rate = stats_rate(&stats, start + MINUTE + MINUTE / 2);
    cr_assert(rate > 6.6 && rate < 6.7, "%f", rate);
    rate = stats_rate(&stats, start + 2 * MINUTE);
    cr_assert_float_eq(rate, 0, 1e-9);
}

Test(stats, counts_con_lost_by_how_long_it_took_and_apart_from_replies)
{
    uint64_t start = 1000 * MINUTE, time;
    stats_init(&stats, start);
    stats_reply(&stats, NULL, start, 3);
    cr_assert_not(window_quantile(&stats.losing, start, 0.5, &time));
    stats_con_lost(&stats, start, 0);
    stats_con_lost(&stats, start, 6);
    cr_assert(window_quantile(&stats.losing, start, 1, &time));
    cr_assert_eq(time, 6);
    cr_assert_eq(stats.losses.counts[0], 1);
    cr_assert_eq(stats.losses.counts[3], 1);
    cr_assert_eq(stats.losses.sum, 6);
    cr_assert_eq(stats.latencies.sum, 3, "a reply is no con_lost");
    cr_assert(window_quantile(&stats.latency, start, 1, &time));
    cr_assert_eq(time, 3, "and the other way round");
}
