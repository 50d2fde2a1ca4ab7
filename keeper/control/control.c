/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clients of the control socket: their connections, the line they send, and how the answer gets
 * to them. admission.c counts them; verbs.c knows what a line means.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/control/admission.h"
#include "keeper/control/control.h"
#include "keeper/net/listener.h"

/* Connections accepted in one turn of the loop. */
#define ACCEPTS_PER_TURN 16

/* The longest request. */
#define REQUEST_MAX (64 * 1024)

/* Bytes of events that a client has not read yet; one that falls behind further is closed. */
#define EVENTS_MAX (64 * 1024)

struct control_client {
    struct watch watch;
    struct control *control;
    enum place place;
    enum user user;
    int fd; /* -1 in PLACE_GONE */
    struct question question;
    struct buffer in, out;
    struct deadline deadline;
    uint64_t due; /* when all of its answer must have been read; 0 before it is sent */
    TAILQ_ENTRY(control_client) link;
};

TAILQ_HEAD(control_clients, control_client);

struct control {
    struct core *core;
    struct verbs verbs;
    struct listener listener;
    struct deadline_queue deadlines;
    struct admission admission;
    struct control_clients at[PLACES]; /* the oldest first */
};

static void leave_place(struct control_client *client)
{
    struct control *control = client->control;
    TAILQ_REMOVE(&control->at[client->place], client, link);
    admission_leave(&control->admission, client->place, client->user);
}

static void enter_place(struct control_client *client, enum place place)
{
    struct control *control = client->control;
    client->place = place;
    TAILQ_INSERT_TAIL(&control->at[place], client, link);
    admission_enter(&control->admission, place, client->user);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void free_client(struct control_client *client)
{
    leave_place(client);
    question_clear(&client->question);
    buffer_free(&client->in);
    buffer_free(&client->out);
    free(client);
}

/* A client whose answer cannot be stopped any more stays, without its connection, until then. */
static void end_client(struct control_client *client)
{
    struct control *control = client->control;
    deadline_stop(&client->deadline);
    loop_unwatch(&control->core->loop, &client->watch);
    core_close(control->core, client->fd);
    client->fd = -1;
    if (client->question.later && !question_withdraw(&client->question)) {
        leave_place(client);
        enter_place(client, PLACE_GONE);
    } else {
        free_client(client);
    }
}

static void on_timeout(struct deadline *deadline)
{
    end_client(CONTAINER_OF(deadline, struct control_client, deadline));
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Sends a portion of what there is. When nothing is left, makes another piece, one in each turn. */
static void send_answer(struct control_client *client)
{
    struct question *question = &client->question;
    if (buffer_length(&client->out) == 0 && question->more != NULL &&
        question->more(question) < 0) {
        end_client(client);
        return;
    }
    ssize_t n = 0;
    if (buffer_length(&client->out) > 0)
        n = buffer_send(&client->out, client->fd, LOOP_PORTION);
    bool all = buffer_length(&client->out) == 0;
    if ((n < 0 && n != -EAGAIN) || (all && question->more == NULL && !question->follows)) {
        end_client(client);
        return;
    }
    /* A client that reads gets more time, but not for ever: others wait for the place. */
    uint64_t now = client->control->core->loop.now;
    if (client->due == 0)
        client->due = now + client->control->core->settings.request_timeout;
    if (!question->follows && now < client->due)
        deadline_start(&client->control->deadlines, &client->deadline);
    /* A follower waits for the next event. */
    loop_change(&client->control->core->loop, &client->watch,
                all && question->follows ? 0 : EPOLLOUT);
}

static void on_answered(struct question *question, int result)
{
    struct control_client *client = CONTAINER_OF(question, struct control_client, question);
    if (client->fd < 0)
        free_client(client);
    else if (result < 0)
        end_client(client);
    else
        send_answer(client);
}

/* Reads and drops what has come: when a socket is closed with bytes unread, its client gets an
 * error instead of the answer. */
static void read_away(int fd)
{
    char bytes[4096];
    for (size_t most = REQUEST_MAX / sizeof(bytes); most > 0; most--)
        if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
            break;
    explicit_bzero(bytes, sizeof(bytes)); /* perhaps the command of a `send` */
}

static int write_refusal(struct buffer *out, const char *sentence)
{
    struct json_writer writer = {.out = out};
    json_writer_open(&writer, NULL, '{');
    json_writer_bool(&writer, "ok", false);
    json_writer_bool(&writer, "busy", true);
    json_writer_open(&writer, "errors", '[');
    json_writer_text(&writer, NULL, sentence);
    json_writer_close(&writer, ']');
    json_writer_close(&writer, '}');
    return json_writer_finish(&writer);
}

/* Tells a client at once that there is no place for it. */
static void turn_away(struct control_client *client, enum place place)
{
    const char *sentence = admission_refuse(&client->control->admission, place);
    read_away(client->fd);
    if (write_refusal(&client->out, sentence) == 0)
        (void)!buffer_send(&client->out, client->fd, LOOP_PORTION); /* the end follows anyway */
    end_client(client);
}

static enum place place_for(const char *line, size_t length)
{
    switch (verb_stay(line, length)) {
    case VERB_FOLLOWS:
        return PLACE_FOLLOWER;
    case VERB_RELOADS:
        return PLACE_RELOAD;
    case VERB_ANSWERS:
        break;
    }
    return PLACE_ANSWER;
}

static void begin_answer(struct control_client *client, size_t length)
{
    struct question *question = &client->question;
    struct control *control = client->control;
    struct loop *loop = &control->core->loop;
    const char *line = client->in.data + client->in.start;
    enum place place = place_for(line, length);
    if (!admission_has_place(&control->admission, place, client->user)) {
        turn_away(client, place);
        return;
    }
    leave_place(client);
    enter_place(client, place);
    if (verb_ask(question, line, length) < 0) {
        end_client(client);
    } else if (question->later || question->follows) {
        /* A request has time-outs of its own, and events have none. */
        deadline_stop(&client->deadline);
        loop_change(loop, &client->watch, 0);
    } else {
        send_answer(client);
    }
}

/* --- Events ----------------------------------------------------------------------------------- */

/* The log calls back without an argument. */
static struct control *followed;

static int write_event(struct buffer *out, const struct log_about *about, const char *text)
{
    char stamp[64], date[32];
    struct timespec now;
    struct tm utc;
    struct json_writer writer = {.out = out};
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp, sizeof(stamp), "%s.%03ldZ", date, now.tv_nsec / 1000000);
    json_writer_open(&writer, NULL, '{');
    json_writer_text(&writer, "time", stamp);
    json_writer_text(&writer, "event", log_event_word(about->event));
    json_writer_text(&writer, "message", text);
    if (about->host != NULL)
        json_writer_text(&writer, "host", about->host);
    if (about->reason != NULL)
        json_writer_text(&writer, "reason", about->reason);
    json_writer_close(&writer, '}');
    return json_writer_finish(&writer);
}

/*
 * A follower that does not read is only shut down here, and closed when its socket says so in the
 * next turn: closing may be logged, and that is an event for the other followers.
 */
static void pass_event(struct control_client *client, const struct buffer *event)
{
    if (buffer_length(&client->out) > EVENTS_MAX || buffer_length(event) == 0 ||
        buffer_append(&client->out, event->data + event->start, buffer_length(event)) < 0)
        shutdown(client->fd, SHUT_RDWR);
    else
        loop_change(&client->control->core->loop, &client->watch, EPOLLOUT);
}

/* Messages without an event, which nobody needs to act on, are not passed. */
static void on_log(int priority, const struct log_about *about, const char *text)
{
    struct buffer event = {.reserved = true};
    struct control_client *client;
    (void)priority;
    if (about->event == LOG_EVENT_NONE || TAILQ_EMPTY(&followed->at[PLACE_FOLLOWER]))
        return;
    if (write_event(&event, about, text) < 0)
        buffer_free(&event);
    TAILQ_FOREACH (client, &followed->at[PLACE_FOLLOWER], link)
        if (client->question.follows)
            pass_event(client, &event);
    buffer_free(&event);
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void read_line(struct control_client *client)
{
    bool more;
    ssize_t n = buffer_receive(&client->in, client->fd, LOOP_SHORT, &more);
    if (n == -EAGAIN)
        return;
    size_t length = n > 0 ? buffer_line(&client->in) : 0;
    if (length > 0) {
        begin_answer(client, length);
    } else if (n <= 0) {
        end_client(client);
    } else if (buffer_length(&client->in) > REQUEST_MAX) {
        read_away(client->fd);
        end_client(client);
    }
}

/* While an answer is still to come, only the end of the connection is reported. */
static void on_client_ready(struct watch *watch, uint32_t events)
{
    struct control_client *client = CONTAINER_OF(watch, struct control_client, watch);
    if (client->place == PLACE_SILENT)
        read_line(client);
    else if (events & (EPOLLHUP | EPOLLERR))
        end_client(client);
    else
        send_answer(client);
}

/*
 * Where there are too many silent clients, those that have been silent the longest make room. A
 * client whose line has come with its connection, as is usual, was never one of them.
 */
static void make_room(struct control *control, enum user user)
{
    struct control_client *client, *next;
    TAILQ_FOREACH_SAFE (client, &control->at[PLACE_SILENT], link, next) {
        if (!admission_is_over(&control->admission, PLACE_SILENT, user))
            return;
        if (client->user == user)
            turn_away(client, PLACE_SILENT);
    }
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
    /* So that an administrator can ask why requests are refused when they take all memory. */
    client->in.reserved = client->out.reserved = true;
    client->question =
        (struct question){.verbs = &control->verbs, .out = &client->out, .answered = on_answered};
    socklen_t size = sizeof(client->question.peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->question.peer, &size) < 0 ||
        loop_watch(&control->core->loop, &client->watch, fd, EPOLLIN) < 0) {
        close(fd);
        free(client);
        return;
    }
    enum user user = client->user = admission_user(client->question.peer.uid);
    core_descriptor_opened(control->core);
    enter_place(client, PLACE_SILENT);
    deadline_start(&control->deadlines, &client->deadline);
    read_line(client);
    make_room(control, user);
}

static void on_listener_ready(struct listener *listener)
{
    struct control *control = CONTAINER_OF(listener, struct control, listener);
    int fd = 0;
    for (int i = 0; i < ACCEPTS_PER_TURN && fd >= 0; i++)
        if ((fd = listener_accept(listener)) >= 0)
            add_client(control, fd);
}

void control_listen(struct control *control, int listener)
{
    listener_replace(&control->listener, listener);
}

struct control *control_new(const struct verbs *verbs, int listener)
{
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL) {
        close(listener);
        return NULL;
    }
    *control = (struct control){
        .core = verbs->core,
        .verbs = *verbs,
    };
    for (int place = 0; place < PLACES; place++)
        TAILQ_INIT(&control->at[place]);
    admission_init(&control->admission, verbs->core);
    deadline_queue_add(&verbs->core->loop, &control->deadlines,
                       &verbs->core->settings.control_timeout, on_timeout);
    listener_open(&control->listener, &verbs->core->loop, listener, "the control socket",
                  on_listener_ready);
    listener_want(&control->listener, true);
    followed = control;
    log_also_to(LOG_ALSO_EVENTS, on_log);
    return control;
}

static void end_at_exit(struct control_client *client)
{
    client->question.later = false; /* nobody is left who could answer */
    if (client->fd >= 0 && buffer_length(&client->out) > 0)
        (void)!buffer_send(&client->out, client->fd,
                           LOOP_PORTION); /* the last event, as that the keeper stops */
    if (client->fd >= 0)
        end_client(client);
    else
        free_client(client);
}

const struct admission *control_admission(const struct control *control)
{
    return &control->admission;
}

void control_free(struct control *control)
{
    struct control_client *client, *next;
    if (control == NULL)
        return;
    log_also_to(LOG_ALSO_EVENTS, NULL);
    for (int place = 0; place < PLACES; place++)
        TAILQ_FOREACH_SAFE (client, &control->at[place], link, next)
            end_at_exit(client);
    listener_close(&control->listener);
    deadline_queue_remove(&control->deadlines);
    free(control);
}
