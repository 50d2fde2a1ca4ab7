/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clients of lonnet-load, and their loop. A client has a connection and at most --pipeline
 * requests in flight; it compares replies as they come, so that their size costs no memory. It
 * needs two system calls a request on a kept connection, and six on one of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/load.h"

#define REPLY_SHOWN   64
#define WRONG_SHOWN   3
#define EVENTS_A_TURN 256

/* A full backlog cannot be waited for, only tried again; a missing listener less often. */
#define RETRY_BACKLOG (SECOND / 1000)
#define RETRY_REFUSED (SECOND / 100)

struct request {
    uint64_t serial;
    uint64_t intended; /* when it began, or should have */
};

struct client {
    unsigned number;
    int fd;
    bool wants_write; /* EPOLLOUT is asked for */
    bool shaking;     /* the handshake is under way */
    struct handshake handshake;
    uint64_t retry; /* when to connect again */
    uint64_t serial;
    struct request *requests; /* a ring of --pipeline */
    unsigned first, flying;
    char out[HEAD_MAX]; /* the head of the request being written */
    size_t out_head, out_sent, out_total;
    char want[HEAD_MAX]; /* the head of the reply being read */
    size_t want_head, got;
    bool differs;
    char shown[REPLY_SHOWN]; /* how the reply starts */
    TAILQ_ENTRY(client) waiting;
    bool is_idle; /* for something to begin (open loop) */
};

TAILQ_HEAD(client_list, client);

static struct pattern request_text, reply_text;
static struct client *clients;
static struct client_list retrying = TAILQ_HEAD_INITIALIZER(retrying);
static struct client_list idle = TAILQ_HEAD_INITIALIZER(idle);
static int loop;
static bool warming;                         /* each client asks once */
static uint64_t started, stopping, deadline; /* stopping: no request begins from then on */

/* --- The end of a request --- */

static void show_wrong(const struct client *client)
{
    size_t length = client->got < REPLY_SHOWN ? client->got : REPLY_SHOWN;

    if (results.of[RESULT_WRONG] > WRONG_SHOWN)
        return;
    fprintf(stderr, "lonnet-load: wrong reply: wanted %.*s.., got %zu bytes: ",
            (int)(client->want_head < 80 ? client->want_head : 80), client->want, client->got);
    for (size_t i = 0; i < length; i++)
        fputc(client->shown[i] >= ' ' && client->shown[i] <= '~' ? client->shown[i] : '?', stderr);
    fputc('\n', stderr);
}

static void end_request(struct client *client, enum result result)
{
    const struct request *request = &client->requests[client->first];

    results.of[result]++;
    results.ended++;
    if (result == RESULT_OK)
        latency_count(load_now() - request->intended);
    else if (result == RESULT_WRONG)
        show_wrong(client);
    client->first = (client->first + 1) % (unsigned)options.pipeline;
    client->flying--;
    client->got = 0;
    client->differs = false;
}

static void disconnect(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->wants_write = client->shaking = false;
    client->out_total = client->out_sent = 0;
}

/* The connection ended: whatever was in flight went with it. */
static void lose(struct client *client)
{
    disconnect(client);
    while (client->flying > 0)
        end_request(client, client->got > 0 ? RESULT_CUT : RESULT_EMPTY);
}

/* --- Connecting --- */

static int connect_client(const struct client *client)
{
    uint64_t which = options.kept ? client->number : client->number + client->serial;

    return options.tcp != NULL ? connect_tcp()
                               : connect_unix(options.sockets[which % options.socket_count]);
}

static bool is_connected(struct client *client)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    bool again;

    if (client->fd >= 0)
        return true;
    client->fd = connect_client(client);
    if (client->fd >= 0) {
        results.connects++;
        epoll_ctl(loop, EPOLL_CTL_ADD, client->fd, &event);
        /* Where it fails, the reader sees why. */
        client->shaking = options.tcp == NULL && options.remote != NULL;
        if (client->shaking)
            handshake_begin(&client->handshake, client->fd);
        return true;
    }
    again = errno == EAGAIN || errno == EINTR;
    results.backlog_full += again;
    if (!again) {
        disconnect(client);
        while (client->flying > 0)
            end_request(client, RESULT_REFUSED);
    }
    client->retry = load_now() + (again ? RETRY_BACKLOG : RETRY_REFUSED);
    TAILQ_INSERT_TAIL(&retrying, client, waiting);
    return false;
}

/* --- Writing --- */

static void want_write(struct client *client, bool wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0u), .data.ptr = client};

    if (client->wants_write != wanted)
        epoll_ctl(loop, EPOLL_CTL_MOD, client->fd, &event);
    client->wants_write = wanted;
}

/* Writes from where it stopped. One call either way; a short rest is cheaper copied than gathered.
 */
static ssize_t send_rest(struct client *client)
{
    size_t skip = client->out_sent < client->out_head ? client->out_sent : client->out_head;
    struct iovec parts[2] = {{client->out + skip, client->out_head - skip},
                             {request_text.rest + (client->out_sent - skip),
                              request_text.length - (client->out_sent - skip)}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (client->out_sent > 0 || client->out_total > sizeof(client->out))
        return sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    memcpy(client->out + client->out_head, request_text.rest, request_text.length);
    return send(client->fd, client->out, client->out_total, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* False if the connection takes no more now, or is gone. */
static bool write_request(struct client *client)
{
    while (client->out_sent < client->out_total) {
        ssize_t sent = send_rest(client);

        /* Any other failure is seen by the reader, behind what may still be there to read. */
        if (sent < 0) {
            want_write(client, errno == EAGAIN);
            return false;
        }
        client->out_sent += (size_t)sent;
    }
    want_write(client, false);
    return true;
}

/* The first request in flight is the one whose reply comes next. */
static void expect_next(struct client *client)
{
    if (client->flying > 0)
        client->want_head = text_head(&reply_text, client->number,
                                      client->requests[client->first].serial, client->want);
}

static bool may_begin(void)
{
    if (options.requests > 0 && results.begun >= options.requests)
        return false;
    return stopping == 0 || load_now() < stopping;
}

/* When the next request should begin: at once, or as --rate has it. */
static uint64_t intended_time(void)
{
    if (options.rate == 0)
        return load_now();
    return started + (uint64_t)((double)results.begun * (double)SECOND / (double)options.rate);
}

static void begin_request(struct client *client, uint64_t intended)
{
    unsigned place = (client->first + client->flying) % (unsigned)options.pipeline;

    client->requests[place] = (struct request){client->serial, intended};
    client->out_head = text_head(&request_text, client->number, client->serial, client->out);
    client->out_total = client->out_head + request_text.length;
    client->out_sent = 0;
    client->serial++;
    results.begun++;
    if (client->flying++ == 0)
        expect_next(client);
}

static void rest(struct client *client)
{
    client->is_idle = true;
    TAILQ_INSERT_TAIL(&idle, client, waiting);
}

/* Begins what may begin, and writes as much as goes. */
static void go_on(struct client *client)
{
    if (client->is_idle)
        TAILQ_REMOVE(&idle, client, waiting);
    client->is_idle = false;
    for (;;) {
        uint64_t intended;
        bool writing = client->out_sent < client->out_total; /* its reply may have come already */

        if ((client->flying > 0 || writing) &&
            (!is_connected(client) || client->shaking || !write_request(client)))
            return;
        if (client->flying == options.pipeline || !may_begin() || (warming && client->serial > 0))
            return;
        intended = intended_time();
        if (options.rate > 0 && intended > load_now()) {
            rest(client);
            return;
        }
        begin_request(client, intended);
    }
}

/* --- Reading --- */

/* Compares as it reads, so that a reply of any size needs no memory. */
static void compare(struct client *client, const char *data, size_t length)
{
    size_t at = client->got, size;

    for (; at < REPLY_SHOWN && at < client->got + length; at++)
        client->shown[at] = data[at - client->got];
    at = client->got;
    client->got += length;
    if (options.expect == NULL || client->differs)
        return;
    if (at < client->want_head) {
        size = client->want_head - at < length ? client->want_head - at : length;
        client->differs = memcmp(client->want + at, data, size) != 0;
        data += size;
        at += size;
        length -= size;
    }
    if (length == 0)
        return;
    at -= client->want_head;
    client->differs = client->differs || at + length > reply_text.length ||
                      memcmp(reply_text.rest + at, data, length) != 0;
}

static bool is_con_lost(const struct client *client)
{
    return client->got == strlen("con_lost\n") &&
           memcmp(client->shown, "con_lost\n", strlen("con_lost\n")) == 0;
}

/* The reply is there with its LF. */
static void end_reply(struct client *client)
{
    bool right = options.expect == NULL ||
                 (!client->differs && client->got == client->want_head + reply_text.length);

    if (is_con_lost(client))
        end_request(client, RESULT_CON_LOST);
    else
        end_request(client, right ? RESULT_OK : RESULT_WRONG);
    expect_next(client);
}

/* Bytes nobody asked for: the request before them was not answered as it should be, after all. */
static void blame(struct client *client, size_t length)
{
    if (++results.of[RESULT_WRONG] <= WRONG_SHOWN)
        fprintf(stderr, "lonnet-load: %zu bytes that nobody asked for\n", length);
    disconnect(client);
    while (client->flying > 0)
        end_request(client, RESULT_EMPTY);
}

static void take_bytes(struct client *client, const char *data, size_t length)
{
    while (length > 0) {
        const char *end = memchr(data, '\n', length);
        size_t size = end != NULL ? (size_t)(end - data) + 1 : length;

        if (client->flying == 0) {
            blame(client, length);
            return;
        }
        compare(client, data, size);
        if (end != NULL)
            end_reply(client);
        data += size;
        length -= size;
    }
    if (!options.kept && client->flying == 0)
        disconnect(client);
}

static void read_handshake(struct client *client)
{
    if (handshake_hear(&client->handshake, client->fd))
        client->shaking = !handshake_done(&client->handshake);
    else
        lose(client);
}

static void read_replies(struct client *client)
{
    static char data[262144];
    ssize_t size;

    if (client->shaking) {
        read_handshake(client);
        return;
    }
    size = recv(client->fd, data, sizeof(data), MSG_DONTWAIT);
    if (size > 0)
        take_bytes(client, data, (size_t)size);
    else if (size == 0 || (errno != EAGAIN && errno != EINTR))
        lose(client);
}

/* --- The loop --- */

static void run_retries(void)
{
    struct client *client;

    /* Two pauses are in use, so the list is not quite in order: a long one may delay a short. */
    while ((client = TAILQ_FIRST(&retrying)) != NULL && client->retry <= load_now()) {
        TAILQ_REMOVE(&retrying, client, waiting);
        go_on(client);
    }
}

static void run_idle(void)
{
    struct client *client;

    while ((client = TAILQ_FIRST(&idle)) != NULL && may_begin() && intended_time() <= load_now())
        go_on(client);
}

static uint64_t next_time(void)
{
    uint64_t next = deadline;

    if (!TAILQ_EMPTY(&retrying) && TAILQ_FIRST(&retrying)->retry < next)
        next = TAILQ_FIRST(&retrying)->retry;
    if (!TAILQ_EMPTY(&idle) && may_begin() && intended_time() < next)
        next = intended_time();
    if (stopping != 0 && stopping > load_now() && stopping < next)
        next = stopping;
    return next;
}

/* valgrind 3.19 knows no epoll_pwait2. */
static int wait_for_events(struct epoll_event *events, uint64_t wait)
{
    struct timespec timeout = {(time_t)(wait / SECOND), (long)(wait % SECOND)};
    int count = epoll_pwait2(loop, events, EVENTS_A_TURN, &timeout, NULL);

    if (count < 0 && errno == ENOSYS)
        count = epoll_wait(loop, events, EVENTS_A_TURN, (int)(wait / 1000000 + 1));
    return count;
}

static void turn(void)
{
    struct epoll_event events[EVENTS_A_TURN];
    uint64_t time = load_now(), next = next_time();
    int count = wait_for_events(events, next > time ? next - time : 0);

    for (int i = 0; i < count; i++) {
        struct client *client = events[i].data.ptr;

        if (events[i].events & ~(uint32_t)EPOLLOUT)
            read_replies(client);
        /* A connection waiting for a retry has no descriptor, hence no event. */
        go_on(client);
    }
    run_retries();
    run_idle();
}

static void make_clients(void)
{
    clients = calloc(options.clients, sizeof(*clients));
    for (unsigned i = 0; clients != NULL && i < options.clients; i++) {
        clients[i].number = i;
        clients[i].fd = -1;
        clients[i].requests = calloc(options.pipeline, sizeof(struct request));
        if (clients[i].requests == NULL)
            load_fail("no memory for %lu clients", options.clients);
        /* A handshake is no part of the measurement. */
        if (options.tcp != NULL && !is_connected(&clients[i]))
            load_fail("--tcp %s: no handshake", options.tcp);
    }
}

static void begin_all(void)
{
    for (unsigned i = 0; i < options.clients; i++)
        go_on(&clients[i]);
}

/* Of what happens until everybody has been answered once, only what is not ok counts. */
static void warm_up(void)
{
    warming = true;
    begin_all();
    while (results.ended < options.clients && load_now() < deadline)
        turn();
    warming = false;
    results.begun -= results.of[RESULT_OK];
    results.ended -= results.of[RESULT_OK];
    results.of[RESULT_OK] = 0;
    latency_forget();
    fputs("warm\n", stderr);
    started = load_now();
}

void client_run(void)
{
    text_make(&request_text, options.command);
    text_make(&reply_text, options.expect != NULL ? options.expect : "");
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0)
        load_fail("epoll_create1: %s", strerror(errno));
    make_clients();
    started = load_now();
    deadline = started + options.timeout * SECOND;
    if (options.warm)
        warm_up();
    stopping = options.duration > 0 ? started + options.duration : 0;
    begin_all();
    while ((may_begin() || results.ended < results.begun) && load_now() < deadline)
        turn();
    for (unsigned i = 0; i < options.clients; i++)
        while (clients[i].flying > 0)
            end_request(&clients[i], RESULT_UNANSWERED);
    results.seconds = (double)(load_now() - started) / (double)SECOND;
}
