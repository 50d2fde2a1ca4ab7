/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of lonnet-load share: its options, and what it counts.
 */
#ifndef LONC_TESTS_BENCH_LOAD_H
#define LONC_TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKETS_MAX 4096
#define SECOND      1000000000ull /* all times are nanoseconds */

struct options {
    const char *sockets[SOCKETS_MAX];
    unsigned socket_count;
    const char *tcp, *own, *remote;
    uint64_t clients, requests, duration, pipeline, size, rate, timeout;
    bool kept, warm, json;
    const char *command, *expect; /* expect NULL: any reply will do */
};

/* What becomes of a request; the manual (load.c) says what each means. */
enum result {
    RESULT_OK,
    RESULT_CON_LOST,
    RESULT_WRONG,
    RESULT_EMPTY,
    RESULT_CUT,
    RESULT_REFUSED,
    RESULT_UNANSWERED,
    RESULT_COUNT
};

struct results {
    uint64_t begun, ended;
    uint64_t of[RESULT_COUNT];
    uint64_t connects, backlog_full;
    double seconds;
};

extern struct options options;
extern struct results results;

/* load.c */
__attribute__((noreturn, format(printf, 1, 2))) void load_fail(const char *format, ...);
uint64_t load_now(void);

/* load_client.c: all of it, from the first connect to the last reply or the time-out. */
void client_run(void);

/* load_text.c: texts with at most one %u, where the payload goes. */
#define HEAD_MAX 1024 /* of a command or a reply, up to and with the payload's numbers */

struct pattern {
    char before[HEAD_MAX - 64];
    size_t before_length;
    bool unique;   /* has a payload */
    char *rest;    /* what follows the numbers: padding, the text behind %u, LF */
    size_t length; /* of rest */
};

void text_make(struct pattern *pattern, const char *text);

/* The start, up to where all requests are the same, into HEAD_MAX bytes; how long it is. */
size_t text_head(const struct pattern *pattern, unsigned client, uint64_t serial, char *head);

/* load_handshake.c: a connection's way through the handshake. */
#define LINE_MAX_HERE 300

struct handshake {
    unsigned step;
    char heard[LINE_MAX_HERE]; /* of the answer being read */
    size_t length;
};

/* The first line is said, the next after what is there to hear: false if it has failed. */
bool handshake_begin(struct handshake *handshake, int fd);
bool handshake_hear(struct handshake *handshake, int fd);
bool handshake_done(const struct handshake *handshake);

/* load_connect.c: a descriptor, or -1 and errno; EAGAIN: try again a little later. */
int connect_tcp(void); /* blocking, the handshake included, if there is one */
int connect_unix(const char *path);

/* load_latency.c */
void latency_count(uint64_t nanoseconds);
void latency_forget(void);
double latency_percentile(double share); /* microseconds; 0 if there was none */
double latency_max(void);

#endif
