/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the two halves of bench-floor have in common: how they are told to hand over.
 */
#ifndef LONC_TESTS_BENCH_FLOOR_H
#define LONC_TESTS_BENCH_FLOOR_H

/* As the manual (floor.c) has it. */
enum handover { HANDOVER_ONE_BY_ONE, HANDOVER_GATHERED, HANDOVER_ACKNOWLEDGED };

/* Both serve until they are killed. */
__attribute__((noreturn)) void floor_shim(const char *listen_at, const char *channel,
                                          enum handover handover);
__attribute__((noreturn)) void floor_relay(const char *channel, const char *peer,
                                           enum handover handover);

#endif
