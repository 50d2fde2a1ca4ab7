/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A loop, for the tests of loops.
 */
#ifndef LONC_TESTS_UNIT_ONE_LOOP_H
#define LONC_TESTS_UNIT_ONE_LOOP_H

#include <stdbool.h>

#include "keeper/core/loop.h"

#define MS UINT64_C(1000)

/* Nothing here takes as long as this unless it does not come at all. */
#define LONG (5000 * MS)

extern struct loop one_loop;

/* For TestSuite(): .init and .fini. */
void one_loop_begin(void);
void one_loop_end(void);

/* One turn of the loop, which ends without an event after `wait`. Whether there was one. */
bool turn(uint64_t wait);

/* Turns for as long as this. Returns how many turns had an event. */
unsigned run_for(uint64_t time);

void sleep_for(uint64_t time);

#endif
