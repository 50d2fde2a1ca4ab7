/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stand-in-lond: a peer for tests and benches that plays LON-CAPA's remote daemon lond, with faults
 * on demand. It is written from lonc-protocol(7) alone and shares no code with the keeper, so that
 * one misreading does not hide another. It is no lond: it executes nothing and keeps nothing.
 * `stand-in-lond --help` describes its options, requests, faults and control socket in full
 * (options.c).
 *
 * This file is the loop: one epoll, one thread. The others: listener, connection, answer (how it is
 * given), handshake, tls, keyfile, command and idea (what it is), fault, counts, control.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/lond/lond.h"

#define EVENTS_A_TURN 256

static int loop = -1;
static int exit_code = -1; /* -1: goes on */
static uint64_t started;   /* microseconds */

static uint64_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t loop_now(void)
{
    return monotonic() - started;
}

static void control_loop(int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(loop, operation, watch->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

void loop_add(struct watch *watch, uint32_t events)
{
    control_loop(EPOLL_CTL_ADD, watch, events);
}

void loop_change(struct watch *watch, uint32_t events)
{
    control_loop(EPOLL_CTL_MOD, watch, events);
}

void loop_remove(struct watch *watch)
{
    control_loop(EPOLL_CTL_DEL, watch, 0);
}

static void print_line(const char *text)
{
    uint64_t now = loop_now();

    fprintf(stderr, "stand-in-lond %lu.%06lu: ", now / 1000000, now % 1000000);
    for (const char *c = text; *c != '\0'; c++)
        fputc(*c >= ' ' && *c <= '~' ? *c : '?', stderr);
    fputc('\n', stderr);
}

void say(const char *format, ...)
{
    va_list arguments;
    char text[1024];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    print_line(text);
}

void fail(const char *format, ...)
{
    va_list arguments;
    char text[1024];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    print_line(text);
    exit(2);
}

static void on_signal(struct watch *watch, uint32_t events)
{
    struct signalfd_siginfo signal;

    (void)events;
    if (read(watch->fd, &signal, sizeof(signal)) != sizeof(signal))
        return;
    if (signal.ssi_signo == SIGUSR1)
        counts_write_file();
    else
        exit_code = signal.ssi_signo == SIGALRM ? 1 : 0;
}

static void watch_signals(void)
{
    static struct watch watch = {-1, on_signal};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    watch.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watch.fd < 0)
        fail("signalfd: %s", strerror(errno));
    loop_add(&watch, EPOLLIN);
    signal(SIGPIPE, SIG_IGN); /* TLS writes without MSG_NOSIGNAL */
    alarm(lond.lifetime);
}

static void tell_ready(void)
{
    struct buffer lines = {0};

    listener_print(&lines, "\n");
    if (lond.ready_fd >= 0) {
        if (write(lond.ready_fd, lines.data, lines.length) != (ssize_t)lines.length)
            fail("--ready-fd %d: %s", lond.ready_fd, strerror(errno));
        close(lond.ready_fd);
    }
    if (lond.ready_file != NULL)
        buffer_write_file(&lines, lond.ready_file);
    SAY("ready: %.*s", (int)lines.length, lines.data);
    buffer_free(&lines);
}

static void raise_limits(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    prctl(PR_SET_TIMERSLACK, 1000ul); /* nanoseconds: --delay means what it says */
}

/* `wait` in microseconds, -1 for ever. valgrind 3.19 knows no epoll_pwait2. */
static int wait_for_events(struct epoll_event *events, int64_t wait)
{
    struct timespec timeout = {wait / 1000000, wait % 1000000 * 1000};
    int count = epoll_pwait2(loop, events, EVENTS_A_TURN, wait < 0 ? NULL : &timeout, NULL);

    if (count < 0 && errno == ENOSYS)
        count = epoll_wait(loop, events, EVENTS_A_TURN, wait < 0 ? -1 : (int)(wait / 1000 + 1));
    return count;
}

static void turn(void)
{
    struct epoll_event events[EVENTS_A_TURN];
    int count = wait_for_events(events, connection_next_timeout());

    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;

        watch->ready(watch, events[i].events);
    }
    connection_run_timers();
    connection_bury();
}

int main(int argc, char **argv)
{
    const char *error;

    started = monotonic();
    srand((unsigned)(started ^ (uint64_t)getpid() << 16));
    options_read(argc, argv);
    raise_limits();
    idea_initialize();
    answer_initialize();
    if (!tls_prepare(&error))
        fail("ssl: %s", error);
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0)
        fail("epoll_create1: %s", strerror(errno));
    watch_signals();
    if (lond.control != NULL)
        control_listen(lond.control);
    listener_open();
    tell_ready();
    while (exit_code < 0)
        turn();
    counts_write_file();
    return exit_code;
}
