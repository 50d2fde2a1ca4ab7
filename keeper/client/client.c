/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation with a client. Lines are taken one at a time, and the next is not looked at before
 * the last is answered, so that answers come in order and a request stays where it is until it is
 * sent.
 *
 * A long line is read, and a long answer written, in portions: next_portion, whose turn comes
 * behind what is short (see struct bulk).
 *
 * The socket is watched edge-triggered from the first wait on, with one registration for good: what
 * has come is remembered in `readable`, and read when it is wanted.
 *
 * What a request on a connection of its own costs in system calls: getsockname (only the kernel
 * says whose it is), recv, a look at lond's socket and send to it, recv and send back; epoll_ctl,
 * to see the client leave, and again before close, since the shim may still hold the same socket
 * and its events would find nobody; close. And shared with others of its batch: recvmsg and the
 * acknowledgement for the message that brought it, epoll_wait for a turn. On a kept connection five
 * are left, and the turn's.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/host_name.h"
#include "common/log.h"
#include "keeper/client/client.h"
#include "keeper/client/create.h"
#include "keeper/host/hosts.h"
#include "keeper/lond/request.h"

#define STANDING_EVENTS ((uint32_t)EPOLLIN | EPOLLRDHUP | EPOLLET)

/* Clients kept for the next ones, with their buffers; more would be memory kept for nothing. */
#define SPARES 64

/* A socket's path of full length, and a NUL. */
#define SOCKET_PATH_SIZE (sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1)

static const char con_lost[] = "con_lost\n", con_failed[] = "con_failed\n";

enum client_state {
    CLIENT_READING, /* wants a line */
    CLIENT_WAITING, /* its request is with the host, or with create.c */
    CLIENT_WRITING, /* its answer is more than the socket takes */
    CLIENT_ENDED,   /* its socket is closed; freed when nobody needs it any more */
};

struct client {
    struct watch watch;
    struct clients *clients;
    struct host *host;   /* held; NULL until its first line */
    struct host *target; /* held; whom its request is meant for: mostly the same */
    uint64_t began;      /* when it was handed over */
    enum client_state state;
    int fd;
    bool readable;        /* there may be something to read */
    bool full;            /* it was full once, and is watched for the room to write more */
    bool half_closed;     /* it sends no more; what it has sent may still be there to read */
    bool finished;        /* and nothing is */
    bool running;         /* inside run(): who changes the state need not call it */
    bool answered;        /* has had an answer */
    bool deferrable;      /* what cannot be answered is to be stored (lonc_defer) */
    bool storing;         /* and is being stored */
    bool last_call;       /* the keeper stops: nothing that it writes now is taken any more */
    struct bulk bulk;     /* where more is to be read, written or served than goes at once */
    struct grower grower; /* once the line is long */
    size_t line_length;   /* of the line being served, which stands at the front of `in` */
    const char *refusal;  /* this line is read and dropped, and then answered so; else NULL */
    size_t discarded;     /* so much of it */
    struct buffer in, out;
    struct transaction transaction;
    struct create_waiter creation;
    struct deadline deadline;
    TAILQ_ENTRY(client) link; /* among all, or among the spares */
};

struct clients {
    struct core *core;
    struct deferred *deferred;
    struct create *create;
    /* The time-outs of a line, an answer that is not taken, silence, and a line during a stop. */
    struct deadline_queue line_deadlines, write_deadlines, idle_deadlines, drain_deadlines;
    TAILQ_HEAD(, client) all, spares;
    size_t count, spare_count;
    void (*gone)(void *argument);
    void *gone_argument;
};

static void run(struct client *client);
static void store(struct client *client);

/* --- The end ---------------------------------------------------------------------------------- */

static void release(struct client *client)
{
    struct clients *clients = client->clients;
    if (client->target != NULL)
        hosts_release(client->target);
    if (client->host != NULL)
        hosts_release(client->host);
    buffer_consume(&client->in, buffer_length(&client->in));
    buffer_free(&client->out);
    core_check_memory(clients->core);
    TAILQ_REMOVE(&clients->all, client, link);
    clients->count--;
    if (clients->spare_count < SPARES) {
        TAILQ_INSERT_HEAD(&clients->spares, client, link);
        clients->spare_count++;
    } else {
        buffer_free(&client->in);
        free(client);
    }
    if (clients->count == 0 && clients->gone != NULL)
        clients->gone(clients->gone_argument);
}

/*
 * Closes the conversation. A request in the queue is taken back; one on its way to lond is waited
 * for, since the connection is not free before its reply.
 */
static void end(struct client *client)
{
    struct core *core = client->clients->core;
    bool asked = client->transaction.state != TRANSACTION_NONE;
    bool withdrawn = asked && host_withdraw(&client->transaction);
    bool awaited = client->storing || (asked && !withdrawn);
    client->state = CLIENT_ENDED;
    create_withdraw(&client->creation);
    deadline_stop(&client->deadline);
    loop_unqueue(&core->loop, &client->bulk);
    scarcity_leave(core, &client->grower);
    loop_unwatch(&core->loop, &client->watch);
    core_close(core, client->fd);
    client->fd = -1;
    /* A transaction is worth storing though its client has left: that is what it was sent for. */
    if (withdrawn && client->deferrable)
        store(client);
    else if (!awaited && !client->running)
        release(client);
}

static struct log_about about(const struct client *client)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);
    (void)getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return (struct log_about){
        .host = client->host != NULL ? client->host->id : NULL,
        .client_pid = peer.pid,
    };
}

static void on_timeout(struct deadline *deadline)
{
    end(CONTAINER_OF(deadline, struct client, deadline));
}

/* --- Answers ---------------------------------------------------------------------------------- */

/*
 * The kernel has no memory to watch this client. One whose request is with the host need not be
 * seen leaving; one that is to ask again would not be heard, and has its answer now.
 */
static void go_unwatched(struct client *client)
{
    if (client->state == CLIENT_WAITING)
        return;
    limit_reached(client->clients->core, &client->clients->core->memory_limit, NULL);
    if (client->state == CLIENT_READING)
        (void)send(client->fd, con_lost, sizeof(con_lost) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    end(client);
}

static void watch_for(struct client *client, uint32_t events)
{
    struct loop *loop = &client->clients->core->loop;
    if (client->watch.fd >= 0)
        loop_change(loop, &client->watch, events);
    else if (loop_watch(loop, &client->watch, client->fd, events) < 0)
        go_unwatched(client);
}

/* The answer is out: its line is done with. */
static void answered(struct client *client)
{
    client->answered = true;
    client->state = CLIENT_READING;
    if (!client->running)
        run(client);
}

/* What was not sent at once waits in `out`; the lond it came from is already free. */
static void keep_rest(struct client *client, const char *rest, size_t length, struct buffer *reply)
{
    struct core *core = client->clients->core;
    if (reply != NULL) {
        buffer_consume(reply, (size_t)(rest - reply->data) - reply->start);
        reply->end = reply->start + length;
        buffer_swap(&client->out, reply);
    } else if (buffer_append(&client->out, rest, length) < 0) {
        end(client);
        return;
    }
    client->state = CLIENT_WRITING;
    deadline_start(&client->clients->write_deadlines, &client->deadline);
    loop_queue(&core->loop, &client->bulk);
}

/* Sends an answer; `reply` is the buffer it lies in, which may be taken away, or NULL. */
static void answer(struct client *client, const char *bytes, size_t length, struct buffer *reply)
{
    struct loop *loop = &client->clients->core->loop;
    size_t portion = loop_portion(loop);
    buffer_consume(&client->in, client->line_length);
    ssize_t n;
    do
        n = send(client->fd, bytes, length < portion ? length : portion,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        loop_moved(loop, (size_t)n);
    /* Without memory in the kernel it is tried once more, when the loop comes round. */
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM))
        end(client);
    else if (n == (ssize_t)length)
        answered(client);
    else
        keep_rest(client, bytes + (n > 0 ? n : 0), length - (size_t)(n > 0 ? n : 0), reply);
}

/* The next portion; whoever takes no more is told of when he does. */
static void write_rest(struct client *client)
{
    struct core *core = client->clients->core;
    struct loop *loop = &core->loop;
    ssize_t n = buffer_send(&client->out, client->fd, loop_portion(loop));
    if (n == -EAGAIN) {
        if (!client->full)
            watch_for(client, STANDING_EVENTS | EPOLLOUT);
        client->full = true;
        return;
    }
    if (n < 0) {
        end(client);
        return;
    }
    loop_moved(loop, (size_t)n);
    if (buffer_length(&client->out) > 0) {
        deadline_start(&client->clients->write_deadlines, &client->deadline);
        loop_queue(loop, &client->bulk);
        return;
    }
    deadline_stop(&client->deadline);
    if (client->full) {
        client->full = false;
        watch_for(client, STANDING_EVENTS);
    }
    answered(client);
}

static void answer_text(struct client *client, const char *text)
{
    answer(client, text, strlen(text), NULL);
}

static void on_stored(void *argument, bool stored)
{
    struct client *client = argument;
    client->storing = false;
    if (client->state == CLIENT_ENDED)
        release(client);
    else
        answer_text(client, stored ? "con_delayed\n" : con_failed);
}

/* What the host does not answer now is delivered later (lonc_defer). */
static void store(struct client *client)
{
    client->storing = true;
    if (client->state != CLIENT_ENDED)
        client->state = CLIENT_WAITING;
    deferred_enqueue(client->clients->deferred, client->target->id, client->transaction.request,
                     client->transaction.length, on_stored, client);
}

static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length)
{
    struct client *client = CONTAINER_OF(transaction, struct client, transaction);
    if (reason != REASON_NONE && client->deferrable)
        store(client);
    else if (client->state == CLIENT_ENDED)
        release(client);
    else if (reason == REASON_NONE)
        answer(client, reply->data + reply->start, length, reply);
    else
        answer_text(client, con_lost);
}

/* --- Requests --------------------------------------------------------------------------------- */

/* The path by which this client came; "" for none. The kernel says it, not the shim. */
static void read_path(const struct client *client, char path[SOCKET_PATH_SIZE])
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    path[0] = '\0';
    if (getsockname(client->fd, (struct sockaddr *)&address, &size) < 0 ||
        address.sun_family != AF_UNIX || size <= offsetof(struct sockaddr_un, sun_path))
        return;
    size_t length = size - offsetof(struct sockaddr_un, sun_path);
    memcpy(path, address.sun_path, length);
    path[length] = '\0'; /* a path of full length has none */
}

/* Whether it came by lonSockCreate, where sockets are asked for. */
static bool asks_for_sockets(const struct client *client)
{
    const struct config *config = client->clients->core->config;
    char path[SOCKET_PATH_SIZE];
    if (client->host != NULL || !config->valid)
        return false;
    read_path(client, path);
    return create_is_meant(config, path);
}

/*
 * The host stays the client's; without one it is looked for again with each line, since a reload
 * may bring it. *creates: it has none, and asks for sockets.
 */
static enum reason find_host(struct client *client, bool *creates)
{
    struct core *core = client->clients->core;
    char path[SOCKET_PATH_SIZE];
    *creates = false;
    if (client->host != NULL)
        return REASON_NONE;
    if (!core->config->valid)
        return REASON_NO_TABLE;
    read_path(client, path);
    const char *name = host_name_from_socket(path, core->config->loncapa.sock_dir);
    if (name != NULL && (client->host = hosts_hold(core->hosts, name)) != NULL)
        return REASON_NONE;
    *creates = create_is_meant(core->config, path);
    if (*creates)
        return REASON_NONE;
    if (name == NULL)
        return REASON_WRONG_DIRECTORY;
    if (client->deferrable)
        deferred_refuse(client->clients->deferred, name, client->transaction.request,
                        client->transaction.length);
    return REASON_UNKNOWN_HOST;
}

/*
 * Several lonHostIDs may share a DNS name, and so one socket, whose requests say by `sethost:`
 * which of them they mean. Each has connections of its own, where a request meets no other id.
 */
static void aim(struct client *client)
{
    struct hosts *hosts = client->clients->core->hosts;
    struct request request = request_parse(client->transaction.request, client->transaction.length);
    struct host *target = NULL;
    char id[HOST_NAME_MAX_LENGTH + 1];
    if (request_is_for_other(&request, client->host->id) && request.id_length < sizeof(id)) {
        memcpy(id, request.id, request.id_length);
        id[request.id_length] = '\0';
        target = hosts_hold_alias(hosts, client->host, id);
    }
    if (target == NULL) {
        target = client->host;
        target->users++;
    }
    if (client->target != NULL)
        hosts_release(client->target);
    client->target = target;
}

static bool is_line(const struct transaction *transaction, const char *text)
{
    size_t length = strlen(text);
    return transaction->length == length + 1 && memcmp(transaction->request, text, length) == 0;
}

/* Counts an answer that the keeper gives itself. */
static void count(struct client *client, enum reason reason)
{
    struct core *core = client->clients->core;
    core->answers[reason]++;
    if (reason != REASON_NONE)
        stats_con_lost(&core->stats, core->loop.now, 0); /* it was never begun */
}

/* `lonc_defer:<command>`: the rest is the request, and it may be stored. */
static void strip_prefix(struct client *client)
{
    static const char prefix[] = "lonc_defer:";
    struct transaction *transaction = &client->transaction;
    size_t length = sizeof(prefix) - 1;
    client->deferrable =
        transaction->length > length && memcmp(transaction->request, prefix, length) == 0;
    if (client->deferrable) {
        transaction->request += length;
        transaction->length -= length;
    }
}

/* For its host. One that is in trouble is not waited for where the request can be stored. */
static void submit(struct client *client)
{
    aim(client);
    if (client->deferrable && client->target->health.state != HEALTH_HEALTHY) {
        store(client);
    } else {
        client->state = CLIENT_WAITING;
        host_submit(client->target, &client->transaction);
    }
}

static void on_created(struct create_waiter *waiter, const char *text)
{
    struct client *client = CONTAINER_OF(waiter, struct client, creation);
    count(client, REASON_NONE);
    answer_text(client, text);
}

/* The line is no request, whatever it looks like. */
static void ask_for_socket(struct client *client)
{
    client->deferrable = false;
    client->state = CLIENT_WAITING;
    const char *text = create_ask(client->clients->create, client->in.data + client->in.start,
                                  client->line_length, &client->creation);
    if (text != NULL)
        on_created(&client->creation, text);
}

/* One whole line stands at the front of `in`; it stays there until it is answered. */
static void serve_line(struct client *client, size_t length)
{
    struct transaction *transaction = &client->transaction;
    deadline_stop(&client->deadline);
    scarcity_leave(client->clients->core, &client->grower);
    client->clients->core->requests++;
    client->line_length = length;
    transaction->request = client->in.data + client->in.start;
    transaction->length = length;
    strip_prefix(client);

    bool creates;
    enum reason reason = find_host(client, &creates);
    if (creates) {
        ask_for_socket(client);
    } else if (reason != REASON_NONE) {
        count(client, reason);
        answer_text(client, client->deferrable ? con_failed : con_lost);
    } else if (is_line(transaction, "close_connection_exit")) {
        host_close_connections(client->host);
        count(client, REASON_CLOSED);
        answer_text(client, con_lost);
    } else if (is_line(transaction, "reset_retries")) {
        host_retry(client->host);
        count(client, REASON_NONE);
        answer_text(client, "ok\n");
    } else {
        submit(client);
    }
}

/* --- Reading ---------------------------------------------------------------------------------- */

static struct deadline_queue *time_for_line(const struct client *client)
{
    struct clients *clients = client->clients;
    if (clients->core->stopping)
        return &clients->drain_deadlines;
    bool begun = buffer_length(&client->in) > 0 || client->refusal != NULL;
    return begun ? &clients->line_deadlines : &clients->idle_deadlines;
}

static void wait_for_line(struct client *client)
{
    /* The time for a line runs from its first byte: it is not for the slowest to prolong. */
    struct deadline_queue *queue = time_for_line(client);
    if (client->deadline.queue != queue)
        deadline_start(queue, &client->deadline);
    if (client->watch.fd < 0)
        watch_for(client, STANDING_EVENTS);
}

/* Whether the line at the front, whose length is 0 while it is incomplete, is too long. */
static bool is_over_limit(const struct client *client, size_t length)
{
    if (length == 0)
        length = buffer_length(&client->in) + client->discarded;
    return length > client->clients->core->settings.line_limit;
}

/* The same of a line that asks for a socket. One that is being dropped is not asked about again. */
static bool is_over_create_limit(const struct client *client, size_t length)
{
    if (length == 0)
        length = buffer_length(&client->in);
    return length > CREATE_LINE_MAX && asks_for_sockets(client);
}

static void refuse_line(struct client *client)
{
    struct log_about who = about(client);
    who.reason = reason_word(REASON_TOO_LARGE);
    log_write(LOG_WARNING, &who, "client closed: its line is over the limit of %llu bytes",
              (unsigned long long)client->clients->core->settings.line_limit);
    end(client);
}

/* This line is not kept: the rest of it is dropped, and then it is answered. */
static void start_discarding(struct client *client, const char *refusal)
{
    scarcity_leave(client->clients->core, &client->grower);
    client->refusal = refusal;
    client->discarded = buffer_length(&client->in);
    buffer_consume(&client->in, client->discarded);
}

/* A line that asks for a socket, and is too long for that; its length is 0 while it is incomplete.
 */
static void refuse_creation(struct client *client, size_t length)
{
    struct core *core = client->clients->core;
    const char *text = create_refuse_long(client->clients->create);
    if (length == 0) {
        start_discarding(client, text);
        return;
    }
    deadline_stop(&client->deadline);
    scarcity_leave(core, &client->grower);
    core->requests++;
    client->line_length = length;
    count(client, REASON_NONE);
    answer_text(client, text);
}

static ssize_t receive_discarding(struct client *client, size_t most)
{
    static char dustbin[LOOP_PORTION];
    /* Peeking finds the line's end without taking what stands behind it. */
    ssize_t peeked = recv(client->fd, dustbin, most, MSG_DONTWAIT | MSG_PEEK);
    if (peeked <= 0)
        return peeked < 0 ? -errno : 0;
    const char *lf = memchr(dustbin, '\n', (size_t)peeked);
    size_t length = lf != NULL ? (size_t)(lf - dustbin) + 1 : (size_t)peeked;
    ssize_t n = recv(client->fd, dustbin, length, MSG_DONTWAIT);
    int error = errno;
    explicit_bzero(dustbin, (size_t)peeked); /* nobody's password stays there */
    if (n <= 0)
        return n < 0 ? -error : 0;
    client->discarded += (size_t)n;
    if (lf != NULL && (size_t)n == length) {
        const char *refusal = client->refusal;
        client->refusal = NULL;
        client->discarded = 0;
        client->line_length = 0;
        client->clients->core->requests++;
        count(client, refusal == con_lost ? REASON_NO_MEMORY : REASON_NONE);
        deadline_stop(&client->deadline);
        answer_text(client, refusal);
    }
    return n;
}

/* Reads once. True when something came. */
static bool receive(struct client *client, size_t most)
{
    bool more = true;
    ssize_t n = client->refusal != NULL ? receive_discarding(client, most)
                                        : buffer_receive(&client->in, client->fd, most, &more);
    if (n > 0)
        loop_moved(&client->clients->core->loop, (size_t)n);
    if (client->state == CLIENT_ENDED)
        return false;
    if (n == -ENOBUFS || n == -ENOMEM) {
        limit_reached(client->clients->core, &client->clients->core->memory_limit, NULL);
        start_discarding(client, con_lost);
        return true;
    }
    if (n == -EINTR)
        return true;
    if (n <= 0) {
        client->readable = false;
        client->finished = n != -EAGAIN;
        return false;
    }
    /* The end of the stream is told once, perhaps together with the last bytes. */
    client->readable = more || client->half_closed;
    return true;
}

/* Stops taking: what was written before is still read, what is written now fails at the client. */
static void call_last(struct client *client)
{
    shutdown(client->fd, SHUT_RD);
    client->last_call = true;
    client->half_closed = true;
    client->readable = true;
}

/* Gets more of a line, `most` bytes. True while there is a point in looking again. */
static bool fill(struct client *client, size_t most)
{
    struct core *core = client->clients->core;
    if (core->stopping && client->answered && !client->last_call)
        call_last(client);
    bool may_read = client->readable && (client->refusal != NULL ||
                                         scarcity_may_fill(core, &client->grower, &client->in));
    if (may_read && receive(client, most))
        return true;
    if (client->state != CLIENT_READING)
        return false;
    if (client->finished) /* What is left, if anything, is no line. */
        end(client);
    else
        wait_for_line(client);
    return false;
}

/* gcc's analyzer forgets that nobody who runs is freed: see end(). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free"

/* Serves what is there, as far as it goes without waiting: a portion, and the next one queues. */
static void run(struct client *client)
{
    struct loop *loop = &client->clients->core->loop;
    uint64_t end_of_portion = loop->moved + loop_portion(loop);
    client->running = true;
    while (client->state == CLIENT_READING) {
        if (loop->moved >= end_of_portion) {
            loop_queue(loop, &client->bulk);
            break;
        }
        size_t length = buffer_line(&client->in);
        if (is_over_limit(client, length)) {
            refuse_line(client);
        } else if (is_over_create_limit(client, length)) {
            refuse_creation(client, length);
        } else if (length > 0) {
            loop_moved(loop, LOOP_CALL); /* thousands of short lines are long, too */
            serve_line(client, length);
        } else if (!fill(client, (size_t)(end_of_portion - loop->moved))) {
            break;
        }
    }
    client->running = false;
    if (client->state == CLIENT_ENDED && client->transaction.state == TRANSACTION_NONE &&
        !client->storing)
        release(client);
    else if (client->state == CLIENT_WAITING && client->watch.fd < 0)
        watch_for(client, STANDING_EVENTS); /* to see it leave */
}

#pragma GCC diagnostic pop

static void on_ready(struct watch *watch, uint32_t events)
{
    struct client *client = CONTAINER_OF(watch, struct client, watch);
    if (events & (EPOLLIN | EPOLLRDHUP))
        client->readable = true;
    if (events & EPOLLRDHUP)
        client->half_closed = true;
    if (events & (EPOLLHUP | EPOLLERR)) {
        /* Closed, not half-closed: nobody is left to answer. */
        end(client);
        return;
    }
    bool writes = client->state == CLIENT_WRITING && (events & EPOLLOUT);
    bool reads = client->state == CLIENT_READING;
    bool is_long = buffer_length(&client->in) >= LOOP_SHORT || client->refusal != NULL;
    if (writes || (reads && is_long))
        loop_queue(&client->clients->core->loop, &client->bulk);
    else if (reads)
        run(client);
}

static void on_may_grow(struct grower *grower)
{
    struct client *client = CONTAINER_OF(grower, struct client, grower);
    loop_queue(&client->clients->core->loop, &client->bulk);
}

/* The next portion of a long reply, or request, or of many short ones. */
static void next_portion(struct bulk *bulk)
{
    struct client *client = CONTAINER_OF(bulk, struct client, bulk);
    if (client->state == CLIENT_WRITING)
        write_rest(client);
    else if (client->state == CLIENT_READING)
        run(client);
}

/* --- Beginning -------------------------------------------------------------------------------- */

int clients_reserve(struct clients *clients, size_t count)
{
    while (clients->spare_count < count) {
        struct client *client = calloc(1, sizeof(*client));
        if (client == NULL) {
            limit_reached(clients->core, &clients->core->memory_limit, NULL);
            return -ENOMEM;
        }
        TAILQ_INSERT_HEAD(&clients->spares, client, link);
        clients->spare_count++;
    }
    return 0;
}

static struct client *take_spare(struct clients *clients)
{
    struct client *client = TAILQ_FIRST(&clients->spares);
    TAILQ_REMOVE(&clients->spares, client, link);
    clients->spare_count--;
    struct buffer in = client->in;
    *client = (struct client){.in = in};
    return client;
}

void client_start(struct clients *clients, int fd)
{
    struct core *core = clients->core;
    struct client *client = take_spare(clients);
    core_descriptor_opened(core);
    client->clients = clients;
    client->began = core->loop.now;
    client->fd = fd;
    client->watch = (struct watch){.fd = -1, .ready = on_ready};
    client->bulk.go_on = next_portion;
    client->grower.may_grow = on_may_grow;
    client->readable = true;
    client->transaction.done = on_done;
    client->creation.done = on_created;
    TAILQ_INSERT_TAIL(&clients->all, client, link);
    clients->count++;
    run(client);
}

size_t clients_count(const struct clients *clients)
{
    return clients->count;
}

static json_t *client_json(const struct client *client)
{
    static const char *const states[] = {
        [CLIENT_READING] = "reading",
        [CLIENT_WAITING] = "waiting",
        [CLIENT_WRITING] = "writing",
        [CLIENT_ENDED] = "ended",
    };
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);
    (void)getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    uint64_t now = client->clients->core->loop.now;
    return json_pack("{s:I, s:I, s:s?, s:s, s:f}", "pid", (json_int_t)peer.pid, "uid",
                     (json_int_t)peer.uid, "host", client->host != NULL ? client->host->id : NULL,
                     "state", states[client->state], "since", (double)(now - client->began) / 1e6);
}

json_t *clients_json(const struct clients *clients)
{
    json_t *list = json_array();
    const struct client *client;
    TAILQ_FOREACH (client, &clients->all, link) {
        if (json_array_size(list) == CLIENTS_SHOWN)
            break;
        if (client->fd >= 0)
            json_array_append_new(list, client_json(client));
    }
    return json_pack("{s:I, s:o}", "total", (json_int_t)clients->count, "clients", list);
}

struct create_counts clients_create_counts(const struct clients *clients)
{
    return create_counts(clients->create);
}

void clients_on_missing_socket(struct clients *clients, void (*missing)(void *argument),
                               void *argument)
{
    create_on_missing_socket(clients->create, missing, argument);
}

void clients_scarce(struct clients *clients, bool scarce)
{
    struct core *core = clients->core;
    const struct settings *settings = &core->settings;
    bool sooner = scarce && settings->client_idle_scarce < settings->client_idle_timeout;
    clients->idle_deadlines.span =
        sooner ? &settings->client_idle_scarce : &settings->client_idle_timeout;
    loop_spans_changed(&core->loop);
}

static void on_drained(struct deadline *deadline)
{
    struct client *client = CONTAINER_OF(deadline, struct client, deadline);
    call_last(client);
    run(client);
}

void clients_drain(struct clients *clients, void (*gone)(void *argument), void *argument)
{
    struct client *client, *next;
    create_stop(clients->create);
    TAILQ_FOREACH_SAFE (client, &clients->all, link, next)
        if (client->state == CLIENT_READING)
            run(client);
    clients->gone = gone;
    clients->gone_argument = argument;
    if (clients->count == 0)
        gone(argument);
}

struct clients *clients_new(struct core *core, struct deferred *deferred)
{
    struct clients *clients = calloc(1, sizeof(*clients));
    if (clients == NULL)
        return NULL;
    const struct settings *settings = &core->settings;
    struct loop *loop = &core->loop;
    clients->create = create_new(core);
    if (clients->create == NULL) {
        free(clients);
        return NULL;
    }
    clients->core = core;
    clients->deferred = deferred;
    TAILQ_INIT(&clients->all);
    TAILQ_INIT(&clients->spares);
    deadline_queue_add(loop, &clients->line_deadlines, &settings->client_line_timeout, on_timeout);
    deadline_queue_add(loop, &clients->idle_deadlines, &settings->client_idle_timeout, on_timeout);
    deadline_queue_add(loop, &clients->write_deadlines, &settings->client_write_timeout,
                       on_timeout);
    deadline_queue_add(loop, &clients->drain_deadlines, &settings->drain_line_timeout, on_drained);
    return clients;
}

void clients_free(struct clients *clients)
{
    struct client *client, *next;
    if (clients == NULL)
        return;
    clients->gone = NULL;
    create_stop(clients->create);
    TAILQ_FOREACH_SAFE (client, &clients->all, link, next)
        end(client);
    TAILQ_FOREACH_SAFE (client, &clients->spares, link, next) {
        buffer_free(&client->in);
        free(client);
    }
    create_free(clients->create);
    deadline_queue_remove(&clients->line_deadlines);
    deadline_queue_remove(&clients->write_deadlines);
    deadline_queue_remove(&clients->idle_deadlines);
    deadline_queue_remove(&clients->drain_deadlines);
    free(clients);
}
