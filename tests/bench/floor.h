/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the two halves of bench-floor have in common: how they are told to hand over.
 */
#ifndef LONC_TESTS_BENCH_FLOOR_H
#define LONC_TESTS_BENCH_FLOOR_H

#include <stdbool.h>

/* Both serve until they are killed. `acknowledged`: each message is, before its clients are read.
 */
__attribute__((noreturn)) void floor_shim(const char *listen_at, const char *channel,
                                          bool acknowledged);
__attribute__((noreturn)) void floor_relay(const char *channel, const char *peer,
                                           bool acknowledged);

#endif
