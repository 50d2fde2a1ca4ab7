/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clients of lonnet-load, and their loop. A client has one connection and at most --pipeline
 * requests in flight. A request takes two system calls on a kept connection, and six on a
 * connection of its own.
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

#define WRONG_SHOWN   3
#define EVENTS_A_TURN 256

/* No event tells that a full backlog has room again or that somebody listens, so clients retry. */
#define RETRY_BACKLOG (SECOND / 1000)
#define RETRY_REFUSED (SECOND / 100)

struct request {
    uint64_t serial;
    uint64_t intended; /* when it began or, with --rate, should have begun */
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
    struct reply reply; /* to the first request in flight */
    TAILQ_ENTRY(client) waiting;
    bool is_idle; /* it waits until --rate lets its next request begin */
};

TAILQ_HEAD(client_list, client);

static struct pattern request_text;
static struct client *clients;
static struct client_list retrying = TAILQ_HEAD_INITIALIZER(retrying);
static struct client_list idle = TAILQ_HEAD_INITIALIZER(idle);
static int loop;
static bool warming;                         /* each client asks once */
static uint64_t started, stopping, deadline; /* stopping: no request begins from then on */

/* --- The end of a request --- */

static void end_request(struct client *client, enum result result)
{
    const struct request *request = &client->requests[client->first];

    results.of[result]++;
    results.ended++;
    if (result == RESULT_OK)
        latency_count(load_now() - request->intended);
    else if (result == RESULT_WRONG && results.of[RESULT_WRONG] <= WRONG_SHOWN)
        reply_show(&client->reply);
    client->first = (client->first + 1) % (unsigned)options.pipeline;
    client->flying--;
    reply_begin(&client->reply);
}

static void disconnect(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->wants_write = client->shaking = false;
    client->out_total = client->out_sent = 0;
}

/* The connection has ended, and with it all requests in flight. */
static void lose_connection(struct client *client)
{
    disconnect(client);
    while (client->flying > 0)
        end_request(client, client->reply.got > 0 ? RESULT_CUT : RESULT_EMPTY);
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
        /* If it fails, the reader sees why. */
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

/* Goes on writing, with a single call. Copying a short request is cheaper than gathering it. */
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

/* False if the connection takes no more at the moment, or has ended. */
static bool write_request(struct client *client)
{
    while (client->out_sent < client->out_total) {
        ssize_t sent = send_rest(client);

        /* The reader notices any other failure, after it has read what has still come. */
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
        reply_expect(&client->reply, client->number, client->requests[client->first].serial);
}

static bool may_begin(void)
{
    if (options.requests > 0 && results.begun >= options.requests)
        return false;
    return stopping == 0 || load_now() < stopping;
}

/* When the next request should begin: now, or when --rate says. */
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

static void wait_for_rate(struct client *client)
{
    client->is_idle = true;
    TAILQ_INSERT_TAIL(&idle, client, waiting);
}

/* Begins the requests that may begin, and writes as much as the connection takes. */
static void advance(struct client *client)
{
    if (client->is_idle)
        TAILQ_REMOVE(&idle, client, waiting);
    client->is_idle = false;
    for (;;) {
        uint64_t intended;
        bool writing =
            client->out_sent < client->out_total; /* even if its reply has come already */

        if ((client->flying > 0 || writing) &&
            (!is_connected(client) || client->shaking || !write_request(client)))
            return;
        if (client->flying == options.pipeline || !may_begin() || (warming && client->serial > 0))
            return;
        intended = intended_time();
        if (options.rate > 0 && intended > load_now()) {
            wait_for_rate(client);
            return;
        }
        begin_request(client, intended);
    }
}

/* --- Reading --- */

static void end_reply(struct client *client)
{
    if (reply_is_con_lost(&client->reply))
        end_request(client, RESULT_CON_LOST);
    else
        end_request(client, reply_is_right(&client->reply) ? RESULT_OK : RESULT_WRONG);
    expect_next(client);
}

/* Bytes came that answer no request: the last request was not answered rightly after all. */
static void end_with_surplus(struct client *client, size_t length)
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
            end_with_surplus(client, length);
            return;
        }
        reply_take(&client->reply, data, size);
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
        lose_connection(client);
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
        lose_connection(client);
}

/* --- The loop --- */

static void run_retries(void)
{
    struct client *client;

    /* The list is in order but for its two lengths of pauses, so a long one may delay a short one.
     */
    while ((client = TAILQ_FIRST(&retrying)) != NULL && client->retry <= load_now()) {
        TAILQ_REMOVE(&retrying, client, waiting);
        advance(client);
    }
}

static void run_idle(void)
{
    struct client *client;

    while ((client = TAILQ_FIRST(&idle)) != NULL && may_begin() && intended_time() <= load_now())
        advance(client);
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

/* Falls back to epoll_wait, because valgrind 3.19 does not know epoll_pwait2. */
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
        /* A client that waits for a retry has no descriptor, so no event is its. */
        advance(client);
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
        /* Handshakes are not measured. */
        if (options.tcp != NULL && !is_connected(&clients[i]))
            load_fail("--tcp %s: no handshake", options.tcp);
    }
}

static void begin_all(void)
{
    for (unsigned i = 0; i < options.clients; i++)
        advance(&clients[i]);
}

/* Waits until each client has been answered once, and then forgets what went well meanwhile. */
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
    reply_init();
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
