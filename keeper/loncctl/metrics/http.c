/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * As much of HTTP/1.1 (RFC 9112) as a resource that can only be read needs.
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

/* Prometheus itself gives up after 10 s. */
#define PATIENCE (10 * (uint64_t)1000000)
/* What a peer may still be sending when it has its answer; past it, it is cut off. */
#define IGNORED_MAX (1U << 20)

/* Until the connection is ready for `events`, or the time is over: then false. */
static bool await(const struct http_request *request, short events)
{
    struct pollfd connection = {.fd = CONNECTION, .events = events};
    uint64_t time = monotonic_now();
    int left = time < request->deadline ? (int)((request->deadline - time) / 1000) : 0;
    return left > 0 && poll(&connection, 1, left) == 1;
}

static bool send_all(const struct http_request *request, const char *bytes, size_t length)
{
    while (length > 0) {
        if (!await(request, POLLOUT))
            return false;
        ssize_t sent = send(CONNECTION, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Closing with bytes of the peer's unread would reset the connection and take the answer with it.
 */
static void await_close(const struct http_request *request)
{
    char ignored[4096];
    size_t length = 0;
    shutdown(CONNECTION, SHUT_WR);
    while (length < IGNORED_MAX && await(request, POLLIN)) {
        ssize_t n = recv(CONNECTION, ignored, sizeof(ignored), MSG_DONTWAIT);
        if (n <= 0)
            return;
        length += (size_t)n;
    }
}

/* `extra`: more header lines, each with its line end. */
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

static bool refuse(const struct http_request *request, const char *status, const char *extra,
                   const char *sentence)
{
    respond(request, status, extra, "text/plain; charset=utf-8", sentence, strlen(sentence));
    return false;
}

static bool bad_request(const struct http_request *request, const char *sentence)
{
    return refuse(request, "400 Bad Request", "", sentence);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* Where the lines end: behind the first empty one. NULL: not yet. Bare LFs are let pass (RFC 9112,
 * 2.2), since people type. */
static const char *end_of_head(const struct http_request *request)
{
    const char *crlf = memmem(request->head, request->length, "\r\n\r\n", 4);
    const char *lf = memmem(request->head, request->length, "\n\n", 2);
    if (crlf != NULL && (lf == NULL || crlf < lf))
        return crlf + 4;
    return lf != NULL ? lf + 2 : NULL;
}

/* Makes each line a text of its own, and the last one empty; false where one holds a NUL, as none
 * may. */
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
        if (!await(request, POLLIN)) {
            request->deadline = monotonic_now() + PATIENCE / 10; /* to say so */
            return bad_request(request, "the request took too long\n");
        }
        ssize_t n = recv(CONNECTION, request->head + request->length,
                         HTTP_HEAD_MAX - request->length, MSG_DONTWAIT);
        if (n == 0 && request->length > 0)
            return bad_request(request, "the request ends in the middle\n");
        if (n <= 0)
            return false;
        request->length += (size_t)n;
    }
    return split_lines(request, end) || bad_request(request, "a NUL byte is in the request\n");
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

/* Whether the target, as it stands in the request line, is the path: "/metrics", "/metrics?a=b",
 * "http://host/metrics". */
static bool is_path(const char *target, const char *path)
{
    if (strncasecmp(target, "http://", 7) == 0)
        target += 7 + strcspn(target + 7, "/");
    size_t length = strcspn(target, "?");
    return length == strlen(path) && strncmp(target, path, length) == 0;
}

bool http_take(struct http_request *request, const char *path)
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
        return bad_request(request, "this is no HTTP/1 request\n");
    if (strcmp(version, "HTTP/1.0") != 0 && http_header(request, "Host") == NULL)
        return bad_request(request, "the Host header is missing\n");
    request->head_only = strcmp(method, "HEAD") == 0;
    if (!is_path(target, path))
        return refuse(request, "404 Not Found", "", "nothing is here\n");
    if (!request->head_only && strcmp(method, "GET") != 0)
        return refuse(request, "405 Method Not Allowed", "Allow: GET, HEAD\r\n",
                      "there is only GET and HEAD\n");
    return true;
}
