/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP requests, in pieces whose lengths the input gives, with the connection played here. Each
 * gets one whole answer, unless its peer left without a word, and only GET and HEAD of the path get
 * what there is.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "keeper/loncctl/metrics/http.h"
#include "tests/fuzz/fuzz.h"

#define BODY "lonc_up 1\n"

static struct input input;
static char sent[4096];
static size_t sent_length;
static unsigned ends; /* how often the answer was ended */
static bool heard;    /* a byte of it */

int __wrap_poll(struct pollfd *fds, nfds_t count, int patience);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);
int __wrap_shutdown(int fd, int how);

/* A piece of length 0 is a pause that is too long. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int patience)
{
    CHECK(count == 1 && patience > 0 && patience <= 10000);
    if (fds->events == POLLIN && input.left > 0 && *input.data == 0) {
        input_byte(&input);
        return 0;
    }
    fds->revents = fds->events;
    return 1;
}

ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
    CHECK(fd == 0 && flags == MSG_DONTWAIT && size > 0);
    if (input.left == 0)
        return 0;
    size_t length = input_byte(&input);
    if (length == 255) {
        errno = ECONNRESET;
        return -1;
    }
    length *= 8;
    if (length > size)
        length = size;
    const char *piece = input_take(&input, &length);
    memcpy(bytes, piece, length);
    heard |= length > 0;
    return (ssize_t)length;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
    CHECK(fd == 0 && (flags & MSG_NOSIGNAL) && ends == 0);
    CHECK(sent_length + length < sizeof(sent));
    memcpy(sent + sent_length, bytes, length);
    sent_length += length;
    return (ssize_t)length;
}

int __wrap_shutdown(int fd, int how)
{
    CHECK(fd == 0 && how == SHUT_WR);
    ends++;
    return 0;
}

static void check_answer(bool taken, bool head_only)
{
    sent[sent_length] = '\0';
    if (sent_length == 0) {
        CHECK(!taken && ends == 0);
        return;
    }
    CHECK(ends == 1);
    const char *body = strstr(sent, "\r\n\r\n");
    const char *announced = strstr(sent, "\r\nContent-Length: ");
    CHECK(strncmp(sent, "HTTP/1.1 ", 9) == 0 && body != NULL && announced != NULL);
    size_t length = strtoul(announced + strlen("\r\nContent-Length: "), NULL, 10);
    CHECK(strlen(body + 4) == (head_only ? 0 : length));
    CHECK((strncmp(sent, "HTTP/1.1 200 OK\r\n", 17) == 0) == taken);
    CHECK(taken || strncmp(sent + 9, "40", 2) == 0);
}

/* The request line as it stands in what was read. */
static void check_taken(const struct http_request *request)
{
    char method[32], target[1024];
    CHECK(sscanf(request->head, "%31s %1023s", method, target) == 2);
    CHECK(strcmp(method, request->head_only ? "HEAD" : "GET") == 0);
    CHECK(strstr(target, "/metrics") != NULL);
    const char *host = http_header(request, "host");
    CHECK(host != NULL || strstr(request->head, "HTTP/1.0") != NULL);
    CHECK(host == NULL || (host > request->head && host < request->head + HTTP_HEAD_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request *request = malloc(sizeof(*request));
    CHECK(request != NULL);
    input = (struct input){.data = data, .left = size};
    sent_length = 0;
    ends = 0;
    heard = false;
    bool taken = http_read_request(request, "/metrics");
    if (taken) {
        CHECK(sent_length == 0);
        check_taken(request);
        http_answer(request, "text/plain", BODY, strlen(BODY));
    }
    check_answer(taken, request->head_only);
    free(request);
    return 0;
}
