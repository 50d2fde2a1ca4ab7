/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads one HTTP request from descriptor 0, a connected socket that an inetd or httpd.h provides,
 * and answers it. There is one resource, which can only be read: no keep-alive, no request body.
 */
#ifndef LONC_KEEPER_LONCCTL_METRICS_HTTP_H
#define LONC_KEEPER_LONCCTL_METRICS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"

/* Upper bound for request line and headers. Prometheus sends 400 bytes, a browser with cookies some
 * 4,000. */
#define HTTP_HEAD_MAX 16384

struct http_request {
    char head[HTTP_HEAD_MAX]; /* request line and headers, each ended by NUL; then an empty one */
    size_t length;            /* bytes received so far */
    uint64_t deadline;        /* when to give up, in microseconds of CLOCK_MONOTONIC */
    bool head_only;           /* the method is HEAD: answer without the body */
};

/*
 * Reads the request. Returns true if it is a GET or HEAD of `path`; then the caller must answer it
 * with http_answer(). Returns false if nothing is left to do: the request has been answered with an
 * error (400 malformed, too large or too slow; 404; 405), or the client left without sending one.
 * Request and answer together take at most 10 s.
 */
MUST_CHECK bool http_read_request(struct http_request *request, const char *path);

/* Returns the value of the first header of that name, which points into the request, or NULL. */
const char *http_header(const struct http_request *request, const char *name);

/* Answers 200 with the body, and waits until the client has received it. A client that left, or
 * that does not read, is given up in silence: there is nobody to tell. */
void http_answer(const struct http_request *request, const char *type, const char *body,
                 size_t length);

#endif
