/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counts latencies in buckets of 1/128 of their power of two, as an HDR histogram does. The size is
 * fixed, counting costs next to nothing, and the error is below 1 % from nanoseconds to hours.
 */
#include <stddef.h>
#include <string.h>

#include "tests/bench/load.h"

#define SUB_BITS 7
#define SUB      (1u << SUB_BITS)

static uint64_t buckets[(64 - SUB_BITS + 1) * SUB];
static uint64_t slowest, total;

static size_t bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < SUB)
        return (size_t)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - SUB_BITS;
    return (size_t)(shift + 1) * SUB + (size_t)(value >> shift) - SUB;
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    uint64_t shift, low;

    if (bucket < 2 * SUB)
        return bucket;
    shift = bucket / SUB - 1;
    low = (uint64_t)(bucket % SUB + SUB) << shift;
    return low + (1ull << shift) / 2;
}

void latency_count(uint64_t nanoseconds)
{
    buckets[bucket_of(nanoseconds)]++;
    total++;
    if (nanoseconds > slowest)
        slowest = nanoseconds;
}

void latency_forget(void)
{
    memset(buckets, 0, sizeof(buckets));
    slowest = total = 0;
}

double latency_percentile(double share)
{
    uint64_t wanted = (uint64_t)((double)total * share), seen = 0;

    for (size_t i = 0; i < sizeof(buckets) / sizeof(buckets[0]); i++) {
        seen += buckets[i];
        if (seen > wanted || (seen == total && seen > 0))
            return (double)(value_of(i) < slowest ? value_of(i) : slowest) / 1000;
    }
    return 0;
}

double latency_max(void)
{
    return (double)slowest / 1000;
}
