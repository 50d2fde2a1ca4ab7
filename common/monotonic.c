/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading the monotonic clock.
 */
#include <limits.h>
#include <time.h>

#include "common/monotonic.h"

uint64_t monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int monotonic_milliseconds_until(uint64_t when)
{
    uint64_t now = monotonic_now();
    uint64_t left = when > now ? (when - now + 999) / 1000 : 0;
    return left < INT_MAX ? (int)left : INT_MAX;
}
