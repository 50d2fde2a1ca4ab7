/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One HTTP request on descriptor 0, a connected socket as an inetd gives it, or httpd.h, and one
 * answer on it. It serves a single resource and closes: no server, no keep-alive, no
 * body.
 */
#ifndef LONC_KEEPER_LONCCTL_METRICS_HTTP_H
#define LONC_KEEPER_LONCCTL_METRICS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All lines of a request together; Prometheus sends 400 bytes, a browser with cookies some 4,000.
 */
#define HTTP_HEAD_MAX 16384

struct http_request {
    char head[HTTP_HEAD_MAX]; /* its lines, each ended by a NUL instead; behind the last, another */
    size_t length;            /* while it is read: bytes so far */
    uint64_t deadline;        /* microseconds, CLOCK_MONOTONIC: nobody is served longer */
    bool head_only;           /* HEAD: the answer goes without its body */
};

/*
 * Reads a request. True when it is a GET or HEAD of `path`, which the caller answers with
 * http_answer. Else it has been answered (400 malformed, too large or too slow; 404; 405), or the
 * peer left without a word. Bounded by HTTP_HEAD_MAX and by 10 s with the answer.
 */
bool http_take(struct http_request *request, const char *path);

/* The value of a header, which lives in the request; NULL where it was not sent. */
const char *http_header(const struct http_request *request, const char *name);

/* Answers 200 with the body, and waits until the peer has it. */
void http_answer(const struct http_request *request, const char *type, const char *body,
                 size_t length);

#endif
