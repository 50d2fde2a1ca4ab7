/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * As much of HTTP/1.1 (RFC 9112) as one read-only resource needs.
 *
 * Why not libmicrohttpd? It was tried (0.9.75, linked as Debian does). It can serve a connected
 * socket on descriptor 0 (MHD_add_connection), and would save about 120 of the 315 lines here and
 * in httpd.c; a process per request and the eviction of the oldest client would stay ours. In
 * return
 *
 * - every run of loncctl would load libgnutls and nine more libraries (19 by ldd instead of 9), for
 *   any verb: it starts in 4.0 ms instead of 1.1, takes 5.5 ms of processor time instead of 1.6 and
 *   5.0 MiB of memory instead of 2.1. Behind an inetd, each request pays that;
 * - it accepts a request without Host and one with a NUL byte, and closes without an answer where
 *   ours says what is wrong: to a client that is too slow, or that does not speak HTTP.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "common/monotonic.h"
#include "keeper/loncctl/metrics/http.h"

#define CONNECTION 0 /* the descriptor */

/* Microseconds for a request and its answer. Prometheus gives up after 10 s, too. */
#define PATIENCE (10 * (uint64_t)1000000)

/* Bytes to read and ignore from a client that still sends when it has its answer. */
#define IGNORED_MAX (1U << 20)

/* Waits until the connection is ready for `events`. Returns false at the deadline. */
static bool await_events(const struct http_request *request, short events)
{
    struct pollfd connection = {.fd = CONNECTION, .events = events};
    uint64_t time = monotonic_now();
    int left = time < request->deadline ? (int)((request->deadline - time) / 1000) : 0;
    return left > 0 && poll(&connection, 1, left) == 1;
}

static bool send_all(const struct http_request *request, const char *bytes, size_t length)
{
    while (length > 0) {
        if (!await_events(request, POLLOUT))
            return false;
        ssize_t sent = send(CONNECTION, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Closing a socket with unread bytes would reset the connection and discard the answer, so read
 * until the client closes. */
static void await_close(const struct http_request *request)
{
    char ignored[4096];
    size_t length = 0;
    shutdown(CONNECTION, SHUT_WR);
    while (length < IGNORED_MAX && await_events(request, POLLIN)) {
        ssize_t n = recv(CONNECTION, ignored, sizeof(ignored), MSG_DONTWAIT);
        if (n <= 0)
            return;
        length += (size_t)n;
    }
}

/* `extra` is more header lines, each with its CRLF. */
static void respond(const struct http_request *request, const char *status, const char *extra,
                    const char *type, const char *body, size_t length)
{
    char head[512], date[64];
    time_t seconds = time(NULL);
    struct tm utc;
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &utc));
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
                     status, date, type, length, extra);
    if (send_all(request, head, (size_t)n) &&
        (request->head_only || send_all(request, body, length)))
        await_close(request);
}

void http_answer(const struct http_request *request, const char *type, const char *body,
                 size_t length)
{
    respond(request, "200 OK", "", type, body, length);
}

static bool refuse_request(const struct http_request *request, const char *status,
                           const char *extra, const char *sentence)
{
    respond(request, status, extra, "text/plain; charset=utf-8", sentence, strlen(sentence));
    return false;
}

static bool bad_request(const struct http_request *request, const char *sentence)
{
    return refuse_request(request, "400 Bad Request", "", sentence);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* Returns the end of the headers, behind the empty line, or NULL if it has not come yet. Bare LFs
 * are accepted, as RFC 9112 section 2.2 allows, for people who type a request. */
static const char *end_of_head(const struct http_request *request)
{
    const char *crlf = memmem(request->head, request->length, "\r\n\r\n", 4);
    const char *lf = memmem(request->head, request->length, "\n\n", 2);
    if (crlf != NULL && (lf == NULL || crlf < lf))
        return crlf + 4;
    return lf != NULL ? lf + 2 : NULL;
}

/* Ends each line with a NUL instead of CRLF or LF. Returns false if a NUL was there already, which
 * HTTP forbids. */
static bool split_lines(struct http_request *request, const char *end)
{
    char *to = request->head;
    if (memchr(request->head, '\0', (size_t)(end - request->head)) != NULL)
        return false;
    for (const char *from = request->head; from < end; from++)
        if (*from != '\r' || from[1] != '\n')
            *to++ = *from == '\n' ? '\0' : *from;
    return true;
}

static bool read_head(struct http_request *request)
{
    const char *end;
    while ((end = end_of_head(request)) == NULL) {
        if (request->length == HTTP_HEAD_MAX)
            return bad_request(request, "the request is too large\n");
        if (!await_events(request, POLLIN)) {
            request->deadline = monotonic_now() + PATIENCE / 10; /* time to send the answer */
            return bad_request(request, "the request took too long\n");
        }
        ssize_t n = recv(CONNECTION, request->head + request->length,
                         HTTP_HEAD_MAX - request->length, MSG_DONTWAIT);
        if (n == 0 && request->length > 0)
            return bad_request(request, "the request is incomplete\n");
        if (n <= 0)
            return false;
        request->length += (size_t)n;
    }
    return split_lines(request, end) || bad_request(request, "the request contains a NUL byte\n");
}

const char *http_header(const struct http_request *request, const char *name)
{
    size_t length = strlen(name);
    const char *line = request->head;
    while (*(line += strlen(line) + 1) != '\0')
        if (strncasecmp(line, name, length) == 0 && line[length] == ':')
            return line + length + 1 + strspn(line + length + 1, " \t");
    return NULL;
}

/* Whether the target of the request line means the path: "/metrics", "/metrics?a=b" and
 * "http://host/metrics" all do. */
static bool is_path(const char *target, const char *path)
{
    if (strncasecmp(target, "http://", 7) == 0)
        target += 7 + strcspn(target + 7, "/");
    size_t length = strcspn(target, "?");
    return length == strlen(path) && strncmp(target, path, length) == 0;
}

bool http_read_request(struct http_request *request, const char *path)
{
    char method[32], target[1024], version[16], rest;
    request->length = 0;
    request->head_only = false;
    request->deadline = monotonic_now() + PATIENCE;
    if (!read_head(request))
        return false;
    if (sscanf(request->head, "%31[!-~] %1023[!-~] %15[!-~]%c", method, target, version, &rest) !=
            3 ||
        strncmp(version, "HTTP/1.", 7) != 0)
        return bad_request(request, "this is not an HTTP/1 request\n");
    if (strcmp(version, "HTTP/1.0") != 0 && http_header(request, "Host") == NULL)
        return bad_request(request, "the Host header is missing\n");
    request->head_only = strcmp(method, "HEAD") == 0;
    if (!is_path(target, path))
        return refuse_request(request, "404 Not Found", "", "there is nothing here\n");
    if (!request->head_only && strcmp(method, "GET") != 0)
        return refuse_request(request, "405 Method Not Allowed", "Allow: GET, HEAD\r\n",
                              "only GET and HEAD are supported\n");
    return true;
}
