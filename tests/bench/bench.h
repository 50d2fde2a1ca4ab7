/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the bench's peer and its floor share: the few calls around their loops. All of them end the
 * program with a message where they fail, for a bench that is not as it should be measures nothing.
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

/* As many descriptors as the hard limit has. */
void bench_raise_limits(void);

/* Adds a descriptor to an epoll; `what` is what its events will carry. */
void bench_watch(int loop, int fd, uint32_t events, uint64_t what);

/* Waits for events, or until a time (bench_now's; 0: without end). How many there are. */
int bench_wait(int loop, struct epoll_event *events, int most, uint64_t until);

/* Tells who started the program that it can be used: "ready" on standard output, then its end. */
void bench_say_ready(void);

#endif
