/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clock of all time-outs and intervals. It is not the time of day, so setting the machine's
 * clock neither fires a time-out nor delays one (keeper/README.md rule 11).
 */
#ifndef LONC_COMMON_MONOTONIC_H
#define LONC_COMMON_MONOTONIC_H

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. */
uint64_t monotonic_now(void);

/* For poll(2) and epoll_wait(2): the milliseconds until `when`, rounded up; 0 if it is over, and
 * INT_MAX if it is further away than that. */
int monotonic_milliseconds_until(uint64_t when);

#endif
