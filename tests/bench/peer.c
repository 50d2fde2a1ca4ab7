/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench-peer: the leanest lond for a bench. It makes the handshake of insecure mode
 * (lonc-protocol(7) section 2), and answers `echo:TEXT` with TEXT, and nothing else. For clients
 * that do not begin with `init` it is an echo server without a handshake, unless it is told to ask
 * everybody for one; so relays that know no handshake, such as the floor, can be measured too. It
 * shares the processors with what is measured, and therefore does as little as possible.
 *
 *     bench-peer [--ask-everybody] [--delay MICROSECONDS] ADDRESS:PORT...
 *
 * It prints "ready" on standard output when it listens. Lines must arrive whole, as small ones do.
 * If one does not, it ends with a message, so that no bench measures something else by mistake.
 */
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define CONNECTIONS_MAX 65536
#define EVENTS_A_TURN   256
#define LINES_MAX       65536

/* What is said next. Only those that begin with `init` are asked for more than requests. */
enum step {
    STEP_LISTEN,
    STEP_BEGIN,
    STEP_CHALLENGE,
    STEP_VERSION,
    STEP_SETHOST,
    STEP_EKEY,
    STEP_IDLE
};

/* A reply that waits for its time; one a connection, since a request follows the last one's reply.
 */
struct late {
    uint64_t due;
    int fd;
    unsigned length;
    char text[256];
};

static enum step steps[CONNECTIONS_MAX];
static bool ask_everybody;
static uint64_t delay; /* nanoseconds */
static int loop;

/* All replies are delayed by the same time, so they are due in order. */
static struct late late[CONNECTIONS_MAX];
static unsigned late_first, late_end;

static const struct {
    const char *wanted, *answer;
} handshake[] = {
    [STEP_BEGIN] = {"init", "2718281828"},
    [STEP_CHALLENGE] = {"2718281828", "ok"},
    [STEP_VERSION] = {"version", "version:$Revision: 1.500 $"},
    [STEP_SETHOST] = {"sethost:", "ok"},
    [STEP_EKEY] = {"ekey", "31415926535897932384"},
};

static bool starts(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* Appends the answer to one line, which includes its LF, to `out`. Returns its length. */
static size_t answer(int fd, const char *line, size_t length, char *out)
{
    enum step step = steps[fd];

    if (step == STEP_BEGIN && !ask_everybody && !starts(line, handshake[STEP_BEGIN].wanted))
        step = steps[fd] = STEP_IDLE;
    if (step == STEP_IDLE) {
        size_t skip = starts(line, "echo:") ? strlen("echo:") : 0;

        memcpy(out, line + skip, length - skip);
        return length - skip;
    }
    if (!starts(line, handshake[step].wanted))
        return (size_t)sprintf(out, "refused\n");
    steps[fd]++;
    return (size_t)sprintf(out, "%s\n", handshake[step].answer);
}

static void reply(int fd, const char *text, size_t length)
{
    ssize_t sent = send(fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent >= 0 && (size_t)sent < length)
        errx(2, "a reply did not fit into the socket's buffer");
}

static void reply_later(int fd, const char *text, size_t length)
{
    struct late *one = &late[late_end++ % CONNECTIONS_MAX];

    if (length > sizeof(one->text) || late_end - late_first > CONNECTIONS_MAX)
        errx(2, "too much is late");
    one->due = bench_now() + delay;
    one->fd = fd;
    one->length = (unsigned)length;
    memcpy(one->text, text, length);
}

/* A connection that has closed meanwhile left its number to another: bench clients do not. */
static void send_late(void)
{
    for (; late_first != late_end; late_first++) {
        struct late *one = &late[late_first % CONNECTIONS_MAX];

        if (one->due > bench_now())
            return;
        reply(one->fd, one->text, one->length);
    }
}

static void serve(int fd)
{
    static char in[LINES_MAX + 1], out[LINES_MAX + 64];
    ssize_t got = recv(fd, in, LINES_MAX, MSG_DONTWAIT);
    size_t length = 0;

    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            close(fd);
        return;
    }
    if (in[got - 1] != '\n')
        errx(2, "a line came in pieces");
    in[got] = '\0';
    for (char *line = in, *end; line < in + got; line = end) {
        end = (char *)memchr(line, '\n', (size_t)(in + got - line)) + 1;
        length += answer(fd, line, (size_t)(end - line), out + length);
    }
    if (delay > 0)
        reply_later(fd, out, length);
    else
        reply(fd, out, length);
}

static void welcome(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (fd >= CONNECTIONS_MAX)
        errx(2, "more than %d connections", CONNECTIONS_MAX);
    steps[fd] = STEP_BEGIN;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    bench_watch(loop, fd, EPOLLIN, (uint64_t)fd);
}

static void listen_at(const char *where)
{
    struct sockaddr_in address = bench_address(where);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 4096) < 0)
        err(2, "%s", where);
    steps[listener] = STEP_LISTEN;
    bench_watch(loop, listener, EPOLLIN, (uint64_t)listener);
}

static void take_arguments(int argc, char **argv)
{
    if (argc < 2)
        errx(2, "usage: bench-peer [--ask-everybody] [--delay MICROSECONDS] ADDRESS:PORT...");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ask-everybody") == 0)
            ask_everybody = true;
        else if (strcmp(argv[i], "--delay") == 0 && i + 1 < argc)
            delay = strtoull(argv[++i], NULL, 10) * 1000;
        else
            listen_at(argv[i]);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_A_TURN];

    bench_raise_limits();
    loop = epoll_create1(EPOLL_CLOEXEC);
    take_arguments(argc, argv);
    bench_say_ready();
    for (;;) {
        int count = bench_wait(loop, events, EVENTS_A_TURN,
                               late_first != late_end ? late[late_first % CONNECTIONS_MAX].due : 0);

        for (int i = 0; i < count; i++)
            if (steps[events[i].data.u64] == STEP_LISTEN)
                welcome((int)events[i].data.u64);
            else
                serve((int)events[i].data.u64);
        send_late();
    }
}
