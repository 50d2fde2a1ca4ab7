/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See bench.h.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define SECOND 1000000000ull

uint64_t bench_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

struct sockaddr_in bench_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    const char *colon = strrchr(text, ':');
    char host[64];

    if (colon == NULL)
        errx(2, "%s: expected ADDRESS:PORT", text);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        errx(2, "%s: expected ADDRESS:PORT", text);
    return address;
}

void bench_raise_limits(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(2, "RLIMIT_NOFILE");
    prctl(PR_SET_TIMERSLACK, 1000ul); /* nanoseconds: for replies that are late by microseconds */
}

void bench_watch(int loop, int fd, uint32_t events, uint64_t what)
{
    struct epoll_event event = {.events = events, .data.u64 = what};

    if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) < 0)
        err(2, "epoll_ctl");
}

int bench_wait(int loop, struct epoll_event *events, int most, uint64_t until)
{
    uint64_t time = until != 0 ? bench_now() : 0, wait = until > time ? until - time : 0;
    struct timespec timeout = {(time_t)(wait / SECOND), (long)(wait % SECOND)};
    int count = epoll_pwait2(loop, events, most, until != 0 ? &timeout : NULL, NULL);

    if (count < 0 && errno != EINTR)
        err(2, "epoll_pwait2");
    return count;
}

void bench_say_ready(void)
{
    puts("ready");
    fclose(stdout);
}
