/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket, from its client's side.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/unix.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/interrupt.h"

/* Seconds without a byte. A reload of ten thousand hosts takes one at the most. */
#define PATIENCE 30

/* The largest table allowed, 100,000 hosts, takes half of it. */
#define ANSWER_MAX ((size_t)256 << 20)

#define FIRST_SIZE 65536

_Noreturn void fail(enum loncctl_exit code, const char *what, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "loncctl: %s: %s\n", what, why);
    exit(code);
}

void *must(void *pointer)
{
    if (pointer == NULL)
        fail(LONCCTL_NO, "cannot go on", strerror(ENOMEM));
    return pointer;
}

void *must_malloc(size_t size)
{
    return must(malloc(size));
}

/* --- In steps --------------------------------------------------------------------------------- */

static int connect_to(const char *path, unsigned patience)
{
    struct sockaddr_un address;
    const struct timeval limit = {.tv_sec = patience};
    int error = unix_address(&address, path);
    if (error < 0)
        return error;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

static int send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

int asking_start(struct asking *asking, const char *path, const char *line, unsigned patience)
{
    *asking = (struct asking){.fd = connect_to(path, patience)};
    if (asking->fd < 0) {
        int error = asking->fd;
        asking->fd = -1;
        return error;
    }
    int error = send_all(asking->fd, line, strlen(line));
    /* A keeper that refuses to read on may have said why: that is what counts. */
    if (error < 0 && error != -EPIPE)
        asking_end(asking);
    return error == -EPIPE ? 0 : error;
}

int asking_receive(struct asking *asking)
{
    for (;;) {
        if (asking->length == asking->size) {
            if (asking->size >= ANSWER_MAX)
                return -EMSGSIZE;
            asking->size = asking->size == 0 ? FIRST_SIZE : 2 * asking->size;
            asking->bytes = must(realloc(asking->bytes, asking->size));
        }
        ssize_t n = recv(asking->fd, asking->bytes + asking->length, asking->size - asking->length,
                         MSG_DONTWAIT);
        if (n == 0)
            return 1;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        asking->length += (size_t)n;
    }
}

json_t *asking_value(const struct asking *asking)
{
    /* A reply of lond may hold any byte. */
    return json_loadb(asking->bytes, asking->length, JSON_ALLOW_NUL, NULL);
}

void asking_end(struct asking *asking)
{
    if (asking->fd >= 0)
        close(asking->fd);
    free(asking->bytes);
    *asking = (struct asking){.fd = -1};
}

/* --- At once ---------------------------------------------------------------------------------- */

_Noreturn static void unreachable(const char *path, const char *why)
{
    char what[256];
    snprintf(what, sizeof(what), "no keeper answers at %s", path);
    fail(LONCCTL_UNREACHABLE, what, why);
}

static struct asking start_or_fail(const char *path, const char *line)
{
    struct asking asking;
    int error = asking_start(&asking, path, line, PATIENCE);
    if (error == -ENAMETOOLONG || error == -EINVAL)
        fail(LONCCTL_USAGE, path, "this is no path of a socket");
    if (error < 0)
        unreachable(path, strerror(-error));
    return asking;
}

/* The value of a question that was put, which ends with it; NULL, and why. */
static json_t *await_value(struct asking *asking, const char **why)
{
    struct pollfd wait = {.fd = asking->fd, .events = POLLIN};
    int got = 0;
    while (got == 0) {
        if (poll(&wait, 1, PATIENCE * 1000) == 0)
            got = -ETIMEDOUT;
        else
            got = asking_receive(asking);
    }
    json_t *value = got > 0 ? asking_value(asking) : NULL;
    if (value == NULL)
        *why = got < 0               ? strerror(-got)
               : asking->length == 0 ? "it hung up"
                                     : "what came is no JSON";
    asking_end(asking);
    return value;
}

json_t *ask(const char *path, const char *line)
{
    const char *why;
    struct asking asking = start_or_fail(path, line);
    json_t *value = await_value(&asking, &why);
    if (value == NULL)
        unreachable(path, why);
    return value;
}

const char *turned_away(const json_t *value)
{
    static char why[256];
    const char *sentence = json_string_value(json_array_get(json_object_get(value, "errors"), 0));
    if (!json_is_true(json_object_get(value, "busy")))
        return NULL;
    snprintf(why, sizeof(why), "%s", sentence != NULL ? sentence : "it has no place left");
    return why;
}

json_t *ask_or_why(const char *path, const char *line, const char **why)
{
    struct asking asking;
    int error = asking_start(&asking, path, line, PATIENCE);
    if (error < 0) {
        *why = strerror(-error);
        return NULL;
    }
    json_t *value = await_value(&asking, why);
    const char *busy = turned_away(value);
    if (busy == NULL)
        return value;
    *why = busy;
    json_decref(value);
    return NULL;
}

/* --- A stream --------------------------------------------------------------------------------- */

/* Hands over the lines that are complete, and keeps the rest. */
static bool take_lines(struct asking *asking, bool (*each)(void *argument, const char *line),
                       void *argument)
{
    char *start = asking->bytes, *end = asking->bytes + asking->length, *feed;
    bool more = true;
    while (more && (feed = memchr(start, '\n', (size_t)(end - start))) != NULL) {
        *feed = '\0';
        more = each(argument, start);
        start = feed + 1;
    }
    asking->length = (size_t)(end - start);
    memmove(asking->bytes, start, asking->length);
    return more;
}

void follow(const char *path, const char *line, bool (*each)(void *argument, const char *line),
            void *argument)
{
    sigset_t before = interrupt_catch();
    struct asking asking = start_or_fail(path, line);
    struct pollfd wait[] = {
        {.fd = asking.fd, .events = POLLIN},
        {.fd =
             STDOUT_FILENO}, /* any event: its reader has gone, though there is nothing to write */
    };
    int got = 0;
    bool more = true;
    while (more && got == 0 && !interrupt_came()) {
        if (ppoll(wait, 2, NULL, &before) < 0)
            continue;
        got = asking_receive(&asking);
        more = take_lines(&asking, each, argument) && wait[1].revents == 0;
    }
    asking_end(&asking);
    if (more && !interrupt_came())
        unreachable(path, got > 0 ? "it hung up" : strerror(-got));
}
