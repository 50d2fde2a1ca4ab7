/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the bench's peer and its floor share: the few calls around their loops. On failure, all of
 * them end the program with a message, because a bench that is not set up properly measures
 * nothing.
 */
#ifndef LONC_TESTS_BENCH_BENCH_H
#define LONC_TESTS_BENCH_BENCH_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/epoll.h>

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t bench_now(void);

/* "ADDRESS:PORT", an IPv4 address. */
struct sockaddr_in bench_address(const char *text);

/* Raises the limit of descriptors to the hard limit. */
void bench_raise_limits(void);

/* Adds a descriptor to an epoll; `what` is what its events will carry. */
void bench_watch(int loop, int fd, uint32_t events, uint64_t what);

/* Waits for events until a time of bench_now, or forever if it is 0. Returns the number of events.
 */
int bench_wait(int loop, struct epoll_event *events, int most, uint64_t until);

/* Announces that the program can be used: prints "ready" on standard output and closes it. */
void bench_say_ready(void);

#endif
