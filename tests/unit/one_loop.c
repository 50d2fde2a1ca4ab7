/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop that the tests of loops use. It tests nothing itself.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "tests/unit/one_loop.h"

struct loop one_loop;

void one_loop_begin(void)
{
    cr_assert_geq(loop_open(&one_loop), 0);
}

void one_loop_end(void)
{
    loop_close(&one_loop);
}

bool turn(uint64_t wait)
{
    int r = loop_turn(&one_loop, wait);
    cr_assert_geq(r, 0, "%s", strerror(-r));
    return r > 0;
}

unsigned run_for(uint64_t time)
{
    unsigned turns = 0;
    uint64_t end_time = monotonic_now() + time;
    for (uint64_t now; (now = monotonic_now()) < end_time;)
        turns += turn(end_time - now);
    return turns;
}

void sleep_for(uint64_t time)
{
    usleep((useconds_t)time);
}
