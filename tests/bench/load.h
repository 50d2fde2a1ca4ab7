/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of lonnet-load share: its options, its counts, and what they call of each other.
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

/* How a request ended. The manual in load.c explains each. */
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

/* load_client.c: runs the clients, from the first connect to the last reply or the time-out. */
void client_run(void);

/* load_text.c: texts with at most one %u, which stands for the payload. */
#define HEAD_MAX 1024 /* the beginning of a command or a reply, including the payload's numbers */

struct pattern {
    char before[HEAD_MAX - 64];
    size_t before_length;
    bool unique;   /* it has a payload */
    char *rest;    /* what follows the numbers: padding, the text after %u, LF */
    size_t length; /* of rest */
};

void text_make(struct pattern *pattern, const char *text);

/* Writes the head, the part that differs from request to request, into HEAD_MAX bytes. Returns its
 * length. */
size_t text_head(const struct pattern *pattern, unsigned client, uint64_t serial, char *head);

/* load_reply.c: compares a reply with the one that is expected. */
#define REPLY_SHOWN 64

struct reply {
    char head[HEAD_MAX]; /* how it should begin */
    size_t head_length;
    size_t got; /* bytes that have been read */
    bool differs;
    char shown[REPLY_SHOWN]; /* how it does begin */
};

void reply_init(void); /* once, after the options have been read */
void reply_begin(struct reply *reply);
void reply_expect(struct reply *reply, unsigned client, uint64_t serial);
void reply_take(struct reply *reply, const char *data, size_t length);
bool reply_is_right(const struct reply *reply); /* after its LF has been taken */
bool reply_is_con_lost(const struct reply *reply);
void reply_show(const struct reply *reply); /* says on standard error what is wrong */

/* load_handshake.c: the client's side of the handshake, on one connection. */
#define LINE_MAX_HERE 300

struct handshake {
    unsigned step;
    char heard[LINE_MAX_HERE]; /* of the answer being read */
    size_t length;
};

/* handshake_begin sends the first line, handshake_hear reads an answer and sends the next line.
 * False if the handshake has failed. */
bool handshake_begin(struct handshake *handshake, int fd);
bool handshake_hear(struct handshake *handshake, int fd);
bool handshake_done(const struct handshake *handshake);

/* load_connect.c: both return a descriptor, or -1 and errno. EAGAIN asks for another try later. */
int connect_tcp(void); /* blocks; with the handshake, if there is one */
int connect_unix(const char *path);

/* load_latency.c */
void latency_count(uint64_t nanoseconds);
void latency_forget(void);
double latency_percentile(double share); /* microseconds; 0 if there was none */
double latency_max(void);

#endif
