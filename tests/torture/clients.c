/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * world-clients: lonnet-like clients for a random world (tests/scenario/lib/World.pm). They ask in
 * all ways that a client may, check each reply by itself, and print one line about each request:
 *
 *     ID HOST KIND OUTCOME CONNECTED BEGUN ENDED [what came instead]
 *
 * The clients do not know what was executed and who may have been cut off; the driver finds that
 * out. OUTCOME is one of ok, con_lost, delayed, failed, wrong what the reply was eof, cut    the
 * stream ended before the reply, or in the middle of it unsent      the kernel did not take the
 * whole line, so nobody may answer it half        the client closed before its line was complete
 *     left        the client closed before it was answered
 *     unanswered  nothing came within the time-out
 * and a line `refused HOST` says that nobody listened where somebody should.
 *
 * At SIGTERM it begins nothing more, and exits with 0 when all requests are answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/torture/clients.h"

#define SOCKETS_MAX    16
#define PIPELINED_MOST 6
#define PATIENCE       (150 * 1000000ull) /* longer than any bound of the keeper's */
#define EVENTS_A_TURN  128

/* How a client uses its connection. */
enum manner {
    MANNER_LONNET,     /* one request, as lonnet */
    MANNER_KEPT,       /* some, one after the other */
    MANNER_PIPELINED,  /* several lines before the first reply */
    MANNER_HALF_CLOSE, /* one, and says that it will write no more */
    MANNER_PIECES,     /* one, written in pieces */
    MANNER_LEAVES,     /* goes before the reply comes */
    MANNER_BREAKS_OFF, /* goes before its line is complete */
    MANNERS
};

static const unsigned weights[MANNERS] = {
    [MANNER_LONNET] = 60, [MANNER_KEPT] = 20,  [MANNER_PIPELINED] = 10, [MANNER_HALF_CLOSE] = 4,
    [MANNER_PIECES] = 3,  [MANNER_LEAVES] = 2, [MANNER_BREAKS_OFF] = 1,
};

struct target {
    char host[64];
    struct sockaddr_un address;
    unsigned weight;
};

struct client {
    int fd; /* -1: waits until `due` to connect */
    enum manner manner;
    const struct target *target;
    uint64_t connected;
    uint64_t due;     /* when something is to be done without an event; 0: never */
    uint64_t heard;   /* when it last connected, or a byte went either way */
    unsigned to_come; /* requests that this connection will still begin */
    struct request requests[PIPELINED_MOST];
    unsigned count;   /* of them, the oldest first */
    unsigned written; /* so many are written whole */
    bool shut;        /* the peer takes nothing more */
    char *in;
    size_t in_length, in_size;
};

static struct target targets[SOCKETS_MAX];
static unsigned target_count, weight_sum, client_count = 40;
static struct client *clients;
static uint64_t state; /* of the random numbers */
static int loop;
static FILE *account;
static volatile sig_atomic_t stopping;

uint64_t clients_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* splitmix64. */
uint64_t clients_random(uint64_t bound)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % bound;
}

/* --- The end of a request, and of a connection ------------------------------------------------ */

/* Writes its line, with the beginning of what came where that was not what should have come. */
static void settle(struct client *client, const char *outcome, const char *came, size_t length)
{
    struct request *request = &client->requests[0];
    fprintf(account, "%lu %s %s %s %lu %lu %lu ", request->id, client->target->host, request->kind,
            outcome, client->connected, request->begun, clients_now());
    for (size_t i = 0; i < length && i < 60; i++)
        fputc(came[i] > ' ' && came[i] <= '~' ? came[i] : '?', account);
    fputc('\n', account);
    request_free(request);
    client->count--;
    client->written -= client->written > 0;
    memmove(client->requests, client->requests + 1, client->count * sizeof(*request));
}

/* Comes back as a new client, after a pause if it is not to be at once. */
static void disconnect(struct client *client, uint64_t pause)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->in_length = 0;
    client->due = clients_now() + pause;
}

/* The connection has ended, which decides the outcome of each of its requests. */
static void lose(struct client *client, const char *of_written)
{
    size_t partial = client->in_length;
    while (client->count > 0) {
        bool whole = client->written > 0;
        if (whole && partial > 0)
            settle(client, "cut", client->in, partial);
        else
            settle(client, whole ? of_written : "unsent", NULL, 0);
        partial = 0;
    }
    disconnect(client, 1000);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void await(struct client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    epoll_ctl(loop, EPOLL_CTL_MOD, client->fd, &event);
}

static void begin_request(struct client *client)
{
    struct request *request = &client->requests[client->count++];
    request_make(request, client->target->host);
    request->begun = clients_now();
    client->to_come--;
}

/* How much of a line goes out now, and what comes after it. */
static size_t portion(const struct client *client, const struct request *request)
{
    size_t left = request->length - request->sent;
    if (client->manner == MANNER_PIECES && left > 1)
        return 1 + clients_random(left);
    if (client->manner == MANNER_BREAKS_OFF)
        return left - 1;
    return left;
}

/* The line is out, as far as it will be. */
static void written(struct client *client)
{
    client->written++;
    if (client->manner == MANNER_HALF_CLOSE)
        shutdown(client->fd, SHUT_WR);
    if (client->manner == MANNER_LEAVES)
        client->due = clients_now() + clients_random(20000);
}

/* Writes what there is to write. False when the connection has ended here. */
static bool write_some(struct client *client)
{
    while (!client->shut && client->written < client->count) {
        struct request *request = &client->requests[client->written];
        size_t size = portion(client, request);
        ssize_t n = size == 0 ? 0
                              : send(client->fd, request->line + request->sent, size,
                                     MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            client->shut = true; /* what it was sent before may still be answered */
            break;
        }
        request->sent += (size_t)n;
        client->heard = clients_now();
        if (client->manner == MANNER_BREAKS_OFF && request->sent == request->length - 1) {
            settle(client, "half", NULL, 0);
            disconnect(client, clients_random(5000));
            return false;
        }
        if (request->sent == request->length) {
            written(client);
        } else if (client->manner == MANNER_PIECES && (size_t)n == size) {
            client->due = clients_now() + 1000 + clients_random(20000);
            await(client, EPOLLIN);
            return true;
        }
    }
    bool more = !client->shut && client->written < client->count;
    await(client, more ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return true;
}

/* --- Beginning -------------------------------------------------------------------------------- */

static const struct target *any_target(void)
{
    uint64_t chosen = clients_random(weight_sum);
    const struct target *target = targets;
    while (chosen >= target->weight)
        chosen -= target++->weight;
    return target;
}

static enum manner any_manner(void)
{
    uint64_t chosen = clients_random(100);
    unsigned manner = 0;
    while (chosen >= weights[manner])
        chosen -= weights[manner++];
    return (enum manner)manner;
}

static void connect_client(struct client *client)
{
    client->due = 0;
    if (stopping)
        return;
    client->target = any_target();
    client->manner = any_manner();
    client->connected = client->heard = clients_now();
    client->shut = false;
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        abort();
    const struct sockaddr *address = (const struct sockaddr *)&client->target->address;
    if (connect(client->fd, address, sizeof(client->target->address)) < 0) {
        if (errno != EAGAIN) /* the backlog is full: a little later, as lonnet does */
            fprintf(account, "refused %s\n", client->target->host);
        disconnect(client, 10000);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(loop, EPOLL_CTL_ADD, client->fd, &event);
    client->count = client->written = 0;
    client->to_come = client->manner == MANNER_KEPT ? 1 + (unsigned)clients_random(20)
                      : client->manner == MANNER_PIPELINED
                          ? 1 + (unsigned)clients_random(PIPELINED_MOST)
                          : 1;
    do
        begin_request(client);
    while (client->manner == MANNER_PIPELINED && client->to_come > 0);
    write_some(client);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* A reply is here. False when the connection has ended with it. */
static bool take_line(struct client *client, size_t length)
{
    bool lost = false;
    if (client->count == 0 || client->written == 0) {
        fprintf(account, "surplus %s %.*s", client->target->host, (int)length, client->in);
    } else {
        const char *outcome = request_judge(&client->requests[0], client->in, length);
        lost = *outcome == 'c';
        settle(client, outcome, client->in, *outcome == 'w' ? length : 0);
    }
    client->in_length -= length;
    memmove(client->in, client->in + length, client->in_length);
    if (client->count > 0)
        return true;
    if (client->to_come == 0 || client->shut || stopping) {
        /* lonnet tries again, not as fast as it can. */
        disconnect(client, lost ? 5000 + clients_random(50000) : 0);
        return false;
    }
    begin_request(client);
    return write_some(client);
}

static void read_some(struct client *client)
{
    if (client->in_size - client->in_length < 65536) {
        client->in_size = client->in_size * 2 + 65536;
        client->in = realloc(client->in, client->in_size);
        if (client->in == NULL)
            abort();
    }
    ssize_t n = recv(client->fd, client->in + client->in_length,
                     client->in_size - client->in_length, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        lose(client, "eof");
        return;
    }
    client->heard = clients_now();
    char *lf = memchr(client->in + client->in_length, '\n', (size_t)n);
    client->in_length += (size_t)n;
    while (lf != NULL && take_line(client, (size_t)(lf - client->in) + 1))
        lf = memchr(client->in, '\n', client->in_length);
}

/* --- The loop --------------------------------------------------------------------------------- */

/* Does what no event triggers. True if the client has nothing under way. */
static bool look_after(struct client *client, uint64_t now)
{
    bool due = client->due != 0 && client->due <= now;
    if (due)
        client->due = 0;
    if (client->fd < 0 && due) {
        connect_client(client);
    } else if (client->fd >= 0 && due && client->manner == MANNER_LEAVES) {
        if (client->count > 0)
            settle(client, "left", NULL, 0);
        disconnect(client, 0);
    } else if (client->fd >= 0 && due) {
        write_some(client);
    } else if (client->fd >= 0 && client->heard + PATIENCE < now) {
        lose(client, "unanswered");
    }
    return client->fd < 0 && stopping;
}

static void run(void)
{
    struct epoll_event events[EVENTS_A_TURN];
    bool all_done = false;
    while (!all_done) {
        int n = epoll_wait(loop, events, EVENTS_A_TURN, 1);
        for (int i = 0; i < n; i++) {
            struct client *client = events[i].data.ptr;
            if (events[i].events & EPOLLOUT && !write_some(client))
                continue;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                read_some(client);
        }
        uint64_t now = clients_now();
        all_done = true;
        for (unsigned i = 0; i < client_count; i++)
            all_done &= look_after(&clients[i], now);
    }
}

static void on_term(int signal)
{
    (void)signal;
    stopping = 1;
}

/* HOST=PATH=WEIGHT. */
static void add_target(char *text)
{
    struct target *target = &targets[target_count++];
    char *host = strsep(&text, "="), *path = strsep(&text, "=");
    if (target_count > SOCKETS_MAX || text == NULL)
        exit(2);
    snprintf(target->host, sizeof(target->host), "%s", host);
    target->address.sun_family = AF_UNIX;
    snprintf(target->address.sun_path, sizeof(target->address.sun_path), "%s", path);
    weight_sum += target->weight = (unsigned)atoi(text);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                            {"clients", required_argument, NULL, 'c'},
                                            {"seed", required_argument, NULL, 'S'},
                                            {"account", required_argument, NULL, 'a'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            add_target(optarg);
        else if (option == 'c')
            client_count = (unsigned)atoi(optarg);
        else if (option == 'S')
            state = strtoull(optarg, NULL, 10);
        else if (option != 'a' || (account = fopen(optarg, "w")) == NULL)
            return 2;
    }
    clients = calloc(client_count, sizeof(*clients));
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (target_count == 0 || account == NULL || clients == NULL || loop < 0)
        return 2;
    for (unsigned i = 0; i < client_count; i++) {
        clients[i].fd = -1;
        clients[i].due = 1;
    }
    signal(SIGTERM, on_term);
    puts("world-clients begin");
    fflush(stdout);
    run();
    return fclose(account) == 0 ? 0 : 1;
}
