/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket's clients: one line in, one JSON value out, or events for as long as they
 * listen. What a line means is verbs.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/control.h"
#include "keeper/listener.h"

/* Administrators at once; the next ones wait in the backlog. */
#define CLIENTS_MAX 16

/* No request is longer. */
#define REQUEST_MAX (64 * 1024)

/* Events that a client has not taken; one that falls behind further is closed. */
#define EVENTS_MAX (64 * 1024)

/* For the request to come, and for the answer to be taken: it is a person or a script on this host.
 */
static const uint64_t control_timeout = 10000000;

struct control_client {
    struct watch watch;
    struct control *control;
    int fd;         /* -1: gone, while its answer is still to come */
    bool answering; /* else its line is read */
    bool asking;    /* the verb is running: an answer that it gives waits until it returns */
    bool given;
    json_t *value; /* that answer */
    struct question question;
    struct buffer in, out;
    struct deadline deadline;
    LIST_ENTRY(control_client) link;
};

struct control {
    struct service *service;
    struct verbs verbs;
    struct listener listener;
    struct deadline_queue deadlines;
    LIST_HEAD(, control_client) clients;
    unsigned count;
};

/* --- Clients ---------------------------------------------------------------------------------- */

static void update_listener(struct control *control)
{
    listener_want(&control->listener, control->count < CLIENTS_MAX);
}

static void free_client(struct control_client *client)
{
    LIST_REMOVE(client, link);
    question_clear(&client->question);
    buffer_free(&client->in);
    buffer_free(&client->out);
    free(client);
}

/* Whose answer is still to come is freed when it does. */
static void end(struct control_client *client)
{
    struct control *control = client->control;
    deadline_stop(&client->deadline);
    loop_unwatch(&control->service->loop, &client->watch);
    close(client->fd);
    client->fd = -1;
    control->count--;
    service_closed(control->service);
    if (!client->question.later || question_withdraw(&client->question))
        free_client(client);
    update_listener(control);
}

static void on_timeout(struct deadline *deadline)
{
    end(CONTAINER_OF(deadline, struct control_client, deadline));
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Sends what the socket takes; makes a piece more when there is nothing left, one in a turn. */
static void send_answer(struct control_client *client)
{
    struct question *question = &client->question;
    if (buffer_length(&client->out) == 0 && question->more != NULL &&
        question->more(question, &client->out) < 0) {
        end(client);
        return;
    }
    ssize_t n = 0;
    while (buffer_length(&client->out) > 0 && n >= 0)
        n = buffer_send(&client->out, client->fd);
    bool all = buffer_length(&client->out) == 0;
    if ((n < 0 && n != -EAGAIN) || (all && question->more == NULL && !question->follows)) {
        end(client);
        return;
    }
    if (!question->follows)
        deadline_start(&client->control->deadlines, &client->deadline);
    /* Whoever follows has nothing to be told now. */
    loop_change(&client->control->service->loop, &client->watch,
                all && question->follows ? 0 : EPOLLOUT);
}

static int append_line(struct buffer *out, const json_t *value)
{
    struct tell tell = {.out = out};
    tell_json(&tell, NULL, value);
    return tell.error < 0 ? tell.error : buffer_append(out, "\n", 1);
}

static void on_answer(struct question *question, json_t *value)
{
    struct control_client *client = CONTAINER_OF(question, struct control_client, question);
    if (client->asking) {
        client->given = true;
        client->value = value;
        return;
    }
    int r = append_line(&client->out, value);
    json_decref(value);
    question->later = false;
    if (client->fd < 0)
        free_client(client);
    else if (r < 0)
        end(client);
    else
        send_answer(client);
}

static void begin_answer(struct control_client *client, size_t length)
{
    struct question *question = &client->question;
    struct loop *loop = &client->control->service->loop;
    client->answering = client->asking = true;
    json_t *value = verb_ask(question, client->in.data + client->in.start, length);
    client->asking = false;
    if (client->given)
        value = client->value;
    if (value != NULL || client->given) {
        on_answer(question, value);
    } else if (question->more != NULL) {
        send_answer(client);
    } else if (question->later || question->follows) {
        deadline_stop(&client->deadline); /* a request has time-outs of its own, events have none */
        loop_change(loop, &client->watch, 0);
    } else {
        end(client);
    }
}

/* --- Events ----------------------------------------------------------------------------------- */

/* The log has no argument for whom to tell. */
static struct control *followed;

static json_t *event_json(const struct log_about *about, const char *text)
{
    char stamp[64], date[32];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp, sizeof(stamp), "%s.%03ldZ", date, now.tv_nsec / 1000000);
    json_t *event = json_pack("{s:s, s:s, s:s}", "time", stamp, "event",
                              log_event_word(about->event), "message", text);
    if (event != NULL && about->host != NULL)
        json_object_set_new(event, "host", json_string(about->host));
    if (event != NULL && about->reason != NULL)
        json_object_set_new(event, "reason", json_string(about->reason));
    return event;
}

static void tell(struct control_client *client, const json_t *event)
{
    if (buffer_length(&client->out) > EVENTS_MAX || append_line(&client->out, event) < 0)
        end(client);
    else
        loop_change(&client->control->service->loop, &client->watch, EPOLLOUT);
}

/* What an administrator acts on is what there is to follow. */
static void on_log(int priority, const struct log_about *about, const char *text)
{
    struct control_client *client, *next;
    json_t *event = NULL;
    (void)priority;
    if (about->event == LOG_EVENT_NONE)
        return;
    LIST_FOREACH_SAFE (client, &followed->clients, link, next) {
        if (!client->question.follows || client->fd < 0)
            continue;
        if (event == NULL)
            event = event_json(about, text);
        tell(client, event);
    }
    json_decref(event);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void read_line(struct control_client *client)
{
    bool more;
    ssize_t n = buffer_receive(&client->in, client->fd, &more);
    if (n == -EAGAIN)
        return;
    size_t length = n > 0 ? buffer_line(&client->in) : 0;
    if (length > 0)
        begin_answer(client, length);
    else if (n <= 0 || buffer_length(&client->in) > REQUEST_MAX)
        end(client);
}

/* While an answer is to come or to be followed, only the end of the connection is heard here. */
static void on_client_ready(struct watch *watch, uint32_t events)
{
    struct control_client *client = CONTAINER_OF(watch, struct control_client, watch);
    if (!client->answering)
        read_line(client);
    else if (events & (EPOLLHUP | EPOLLERR))
        end(client);
    else
        send_answer(client);
}

static void add_client(struct control *control, int fd)
{
    struct control_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        close(fd);
        return;
    }
    client->control = control;
    client->fd = fd;
    client->watch = (struct watch){.fd = -1, .ready = on_client_ready};
    /* Whoever asks why requests are refused is answered while they hold all memory. */
    client->in.reserved = client->out.reserved = true;
    client->question = (struct question){.verbs = &control->verbs, .answer = on_answer};
    socklen_t size = sizeof(client->question.peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->question.peer, &size) < 0 ||
        loop_watch(&control->service->loop, &client->watch, fd, EPOLLIN) < 0) {
        close(fd);
        free(client);
        return;
    }
    service_opened(control->service, 1);
    LIST_INSERT_HEAD(&control->clients, client, link);
    control->count++;
    deadline_start(&control->deadlines, &client->deadline);
}

static void on_listener_ready(struct listener *listener)
{
    struct control *control = CONTAINER_OF(listener, struct control, listener);
    int fd = listener_accept(listener);
    if (fd >= 0)
        add_client(control, fd);
    update_listener(control);
}

struct control *control_new(const struct verbs *verbs, int listener)
{
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL) {
        close(listener);
        return NULL;
    }
    *control = (struct control){
        .service = verbs->service,
        .verbs = *verbs,
    };
    LIST_INIT(&control->clients);
    deadline_queue_add(&verbs->service->loop, &control->deadlines, &control_timeout, on_timeout);
    listener_open(&control->listener, &verbs->service->loop, listener, "the control socket",
                  on_listener_ready);
    update_listener(control);
    followed = control;
    log_also_to(LOG_ALSO_EVENTS, on_log);
    return control;
}

void control_free(struct control *control)
{
    struct control_client *client, *next;
    if (control == NULL)
        return;
    log_also_to(LOG_ALSO_EVENTS, NULL);
    LIST_FOREACH_SAFE (client, &control->clients, link, next) {
        client->question.later = false; /* nobody is left who could answer */
        if (client->fd >= 0 && buffer_length(&client->out) > 0)
            (void)buffer_send(&client->out, client->fd); /* the last event, as that we leave */
        if (client->fd >= 0)
            end(client);
        else
            free_client(client);
    }
    listener_close(&control->listener);
    LIST_REMOVE(&control->deadlines, link);
    free(control);
}
