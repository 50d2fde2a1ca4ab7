/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The states of a conversation: reading (line_reader.c), waiting (dispatch.c), writing
 * (answer_writer.c); when each begins and ends, and how long it may take. Lines are served one at a
 * time, and the next is not looked at before the last is answered, so answers come in order.
 *
 * A long line is read, and a long answer written, in portions: on_portion, whose turn comes after
 * everything short (struct bulk).
 *
 * The socket is watched edge-triggered from the first wait on, with one registration for its whole
 * life.
 *
 * What a request on a connection of its own costs in system calls: getsockname (only the kernel
 * can be trusted with the path), recv, a look at lond's socket and send to it, recv and send back;
 * epoll_ctl, to see the client leave, and again before close, because the shim may still hold the
 * same socket and its events would find no owner; close. Shared with others of its batch: recvmsg
 * and the acknowledgement of the message that brought it, and the turn's epoll_wait. On a kept
 * connection five are left, and the turn's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "keeper/client/client.h"

#define STANDING_EVENTS ((uint32_t)EPOLLIN | EPOLLRDHUP | EPOLLET)

static void read_peer(const struct client *client, struct ucred *peer)
{
    socklen_t size = sizeof(*peer);
    *peer = (struct ucred){.pid = 0};
    (void)getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, peer, &size);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void release(struct client *client)
{
    dispatch_release(&client->dispatch);
    line_reader_release(&client->reader);
    answer_writer_end(&client->writer);
    core_check_memory(client->group->core);
    client->group->ended(client);
}

void client_end(struct client *client)
{
    struct core *core = client->group->core;
    client->state = CLIENT_ENDED;
    deadline_stop(&client->deadline);
    loop_unqueue(&core->loop, &client->bulk);
    line_reader_stop(&client->reader);
    loop_unwatch(&core->loop, &client->watch);
    core_close(core, client->fd);
    client->fd = -1;
    dispatch_abandon(&client->dispatch);
}

static void on_dispatch_ended(struct dispatch *dispatch)
{
    struct client *client = CONTAINER_OF(dispatch, struct client, dispatch);
    if (!client->running) /* else client_run sees to it */
        release(client);
}

static void on_timeout(struct deadline *deadline)
{
    client_end(CONTAINER_OF(deadline, struct client, deadline));
}

/* --- Watching --------------------------------------------------------------------------------- */

/*
 * The kernel has no memory to watch this client. A client whose request is under way can be left
 * unwatched, for it is answered all the same; one that is to ask again would not be heard, so it
 * gets its answer now.
 */
static void go_unwatched(struct client *client)
{
    struct core *core = client->group->core;
    if (client->state == CLIENT_WAITING)
        return;
    limit_reached(core, &core->memory_limit, NULL);
    if (client->state == CLIENT_READING)
        (void)send(client->fd, DISPATCH_CON_LOST, strlen(DISPATCH_CON_LOST),
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    client_end(client);
}

static void watch_for(struct client *client, uint32_t events)
{
    struct loop *loop = &client->group->core->loop;
    if (client->watch.fd >= 0)
        loop_change(loop, &client->watch, events);
    else if (loop_watch(loop, &client->watch, client->fd, events) < 0)
        go_unwatched(client);
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* The answer is on its way: its line is done with. */
static void finish_line(struct client *client)
{
    client->answered = true;
    client->state = CLIENT_READING;
    if (!client->running)
        client_run(client);
}

/* The client has this long to read a portion; the next one waits for its turn. */
static void await_portion(struct client *client)
{
    deadline_start(&client->group->write_deadlines, &client->deadline);
    loop_queue(&client->group->core->loop, &client->bulk);
}

static void answer(struct client *client, const char *bytes, size_t length, struct buffer *reply)
{
    line_reader_served(&client->reader);
    int r = answer_writer_start(&client->writer, bytes, length, reply);
    if (r < 0) {
        client_end(client);
    } else if (r == 0) {
        finish_line(client);
    } else {
        client->state = CLIENT_WRITING;
        await_portion(client);
    }
}

static void answer_text(struct client *client, const char *text)
{
    answer(client, text, strlen(text), NULL);
}

static void on_answered(struct dispatch *dispatch, const char *bytes, size_t length,
                        struct buffer *reply)
{
    answer(CONTAINER_OF(dispatch, struct client, dispatch), bytes, length, reply);
}

static void write_portion(struct client *client)
{
    int r = answer_writer_continue(&client->writer);
    if (r == -EAGAIN) {
        bool was_full = client->full;
        client->full = true;
        if (!was_full)
            watch_for(client, STANDING_EVENTS | EPOLLOUT); /* which may be the client's end */
    } else if (r < 0) {
        client_end(client);
    } else if (r > 0) {
        await_portion(client);
    } else {
        deadline_stop(&client->deadline);
        if (client->full) {
            client->full = false;
            watch_for(client, STANDING_EVENTS);
        }
        finish_line(client);
    }
}

/* --- Lines that are not dispatched ------------------------------------------------------------ */

static void close_over_limit(struct client *client)
{
    struct ucred peer;
    read_peer(client, &peer);
    const struct log_about about = {
        .host = client->dispatch.host != NULL ? client->dispatch.host->id : NULL,
        .client_pid = peer.pid,
        .reason = reason_word(REASON_TOO_LARGE),
    };
    log_write(LOG_WARNING, &about, "client closed: its line is over the limit of %llu bytes",
              (unsigned long long)client->group->core->settings.line_limit);
    client_end(client);
}

/* The line that has begun is dropped, and answered so when it has ended. */
static void drop_line(struct client *client, const char *refusal)
{
    client->refusal = refusal;
    line_reader_drop(&client->reader);
}

static void answer_dropped_line(struct client *client)
{
    const char *refusal = client->refusal;
    bool no_memory = strcmp(refusal, DISPATCH_CON_LOST) == 0;
    client->refusal = NULL;
    dispatch_count_refused(&client->dispatch, no_memory ? REASON_NO_MEMORY : REASON_NONE);
    deadline_stop(&client->deadline);
    answer_text(client, refusal);
}

/* A line that asks for a socket, and is too long for that. `length` is 0 if it is incomplete. */
static void refuse_long_line(struct client *client, size_t length)
{
    const char *refusal = dispatch_refuse_long(&client->dispatch);
    if (length == 0) {
        drop_line(client, refusal);
        return;
    }
    deadline_stop(&client->deadline);
    (void)line_reader_serve(&client->reader, length);
    dispatch_count_refused(&client->dispatch, REASON_NONE);
    answer_text(client, refusal);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void serve_line(struct client *client, size_t length)
{
    deadline_stop(&client->deadline);
    client->state = CLIENT_WAITING;
    dispatch_line(&client->dispatch, line_reader_serve(&client->reader, length), length);
}

static void wait_for_line(struct client *client)
{
    struct client_group *group = client->group;
    struct deadline_queue *queue = &group->idle_deadlines;
    if (group->core->stopping)
        queue = &group->drain_deadlines;
    else if (line_reader_has_begun(&client->reader))
        queue = &group->line_deadlines;
    /* The time for a line runs from its first byte: to send it slowly does not prolong it. */
    if (client->deadline.queue != queue)
        deadline_start(queue, &client->deadline);
    if (client->watch.fd < 0)
        watch_for(client, STANDING_EVENTS);
}

static void shut(struct client *client)
{
    client->shut = true;
    line_reader_shut(&client->reader);
}

/* Gets more of a line, `most` bytes. True while there is a point in looking again. */
static bool fill(struct client *client, size_t most)
{
    struct core *core = client->group->core;
    if (core->stopping && client->answered && !client->shut)
        shut(client);
    switch (line_reader_receive(&client->reader, most)) {
    case LINE_MORE:
        return true;
    case LINE_DROPPED:
        answer_dropped_line(client);
        return true;
    case LINE_NO_MEMORY:
        limit_reached(core, &core->memory_limit, NULL);
        drop_line(client, DISPATCH_CON_LOST);
        return true;
    case LINE_FINISHED:
        client_end(client);
        return false;
    case LINE_WAIT:
        break;
    }
    wait_for_line(client);
    return false;
}

/* Does one step for a client that is reading. True while there is a point in another. */
static bool read_or_serve(struct client *client, size_t most)
{
    struct line_reader *reader = &client->reader;
    size_t length = line_reader_complete(reader);
    size_t so_far = length > 0 ? length : line_reader_incomplete(reader);
    if (so_far > client->group->core->settings.line_limit) {
        close_over_limit(client);
    } else if (client->refusal == NULL && dispatch_is_over_limit(&client->dispatch, so_far)) {
        refuse_long_line(client, length);
    } else if (length > 0) {
        loop_moved(&client->group->core->loop, LOOP_CALL); /* many short lines are long, too */
        serve_line(client, length);
    } else {
        return fill(client, most);
    }
    return true;
}

/* gcc's analyzer does not see that a client is not freed while `running` is set. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free"

/* Serves what is there, as far as that is possible without waiting, up to a portion. */
void client_run(struct client *client)
{
    struct loop *loop = &client->group->core->loop;
    uint64_t end_of_portion = loop->moved + loop_portion(loop);
    client->running = true;
    while (client->state == CLIENT_READING) {
        if (loop->moved >= end_of_portion) {
            loop_queue(loop, &client->bulk);
            break;
        }
        if (!read_or_serve(client, (size_t)(end_of_portion - loop->moved)))
            break;
    }
    client->running = false;
    if (client->state == CLIENT_ENDED && !dispatch_is_pending(&client->dispatch))
        release(client);
    else if (client->state == CLIENT_WAITING && client->watch.fd < 0)
        watch_for(client, STANDING_EVENTS); /* to see it leave */
}

#pragma GCC diagnostic pop

/* --- Events ----------------------------------------------------------------------------------- */

static void on_ready(struct watch *watch, uint32_t events)
{
    struct client *client = CONTAINER_OF(watch, struct client, watch);
    line_reader_notify(&client->reader, events);
    if (events & (EPOLLHUP | EPOLLERR)) {
        /* Closed, not half-closed: there is nobody to answer. */
        client_end(client);
        return;
    }
    bool writes = client->state == CLIENT_WRITING && (events & EPOLLOUT);
    bool reads = client->state == CLIENT_READING;
    if (writes || (reads && line_reader_is_long(&client->reader)))
        loop_queue(&client->group->core->loop, &client->bulk);
    else if (reads)
        client_run(client);
}

static void on_may_grow(struct grower *grower)
{
    struct line_reader *reader = CONTAINER_OF(grower, struct line_reader, grower);
    struct client *client = CONTAINER_OF(reader, struct client, reader);
    loop_queue(&client->group->core->loop, &client->bulk);
}

/* The next portion of a long answer or line, or of many short lines. */
static void on_portion(struct bulk *bulk)
{
    struct client *client = CONTAINER_OF(bulk, struct client, bulk);
    if (client->state == CLIENT_WRITING)
        write_portion(client);
    else if (client->state == CLIENT_READING)
        client_run(client);
}

static void on_drain_timeout(struct deadline *deadline)
{
    struct client *client = CONTAINER_OF(deadline, struct client, deadline);
    shut(client);
    client_run(client);
}

/* --- Beginning -------------------------------------------------------------------------------- */

void client_group_open(struct client_group *group, struct core *core)
{
    struct loop *loop = &core->loop;
    const struct settings *settings = &core->settings;
    group->core = core;
    deadline_queue_add(loop, &group->line_deadlines, &settings->client_line_timeout, on_timeout);
    deadline_queue_add(loop, &group->idle_deadlines, &settings->client_idle_timeout, on_timeout);
    deadline_queue_add(loop, &group->write_deadlines, &settings->client_write_timeout, on_timeout);
    deadline_queue_add(loop, &group->drain_deadlines, &settings->drain_line_timeout,
                       on_drain_timeout);
}

void client_group_close(struct client_group *group)
{
    deadline_queue_remove(&group->line_deadlines);
    deadline_queue_remove(&group->idle_deadlines);
    deadline_queue_remove(&group->write_deadlines);
    deadline_queue_remove(&group->drain_deadlines);
}

void client_begin(struct client *client, struct client_group *group, int fd)
{
    struct core *core = group->core;
    *client = (struct client){
        .group = group,
        .watch = {.fd = -1, .ready = on_ready},
        .fd = fd,
        .reader = client->reader,
        .bulk.go_on = on_portion,
        .began = core->loop.now,
    };
    line_reader_begin(&client->reader, core, fd, on_may_grow);
    dispatch_begin(&client->dispatch, &group->dispatcher, fd, on_answered, on_dispatch_ended);
    answer_writer_begin(&client->writer, &core->loop, fd);
    core_descriptor_opened(core);
}

void client_free(struct client *client)
{
    line_reader_free(&client->reader);
    free(client);
}

void client_write(const struct client *client, struct json_writer *writer)
{
    static const char *const states[] = {
        [CLIENT_READING] = "reading",
        [CLIENT_WAITING] = "waiting",
        [CLIENT_WRITING] = "writing",
        [CLIENT_ENDED] = "ended",
    };
    const struct host *host = client->dispatch.host;
    struct ucred peer;
    read_peer(client, &peer);
    json_writer_open(writer, NULL, '{');
    json_writer_count(writer, "pid", (uint64_t)peer.pid);
    json_writer_count(writer, "uid", peer.uid);
    json_writer_text(writer, "host", host != NULL ? host->id : NULL);
    json_writer_text(writer, "state", states[client->state]);
    json_writer_seconds(writer, "since", client->group->core->loop.now - client->began);
    json_writer_close(writer, '}');
}
