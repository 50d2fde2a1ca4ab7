/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket's clients: one line in, one JSON value out, or events for as long as they
 * listen. What a line means is verbs.c's.
 */
#include <bsd/string.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/control/control.h"
#include "keeper/net/listener.h"

/* Accepts in one turn of the loop. */
#define ACCEPTS_PER_TURN 16

/* No request is longer. */
#define REQUEST_MAX (64 * 1024)

/* Events that a client has not taken; one that falls behind further is closed. */
#define EVENTS_MAX (64 * 1024)

/*
 * What a client has a place for. Each has a bound of its own, so that whoever stays takes no place
 * from those who ask and go.
 */
enum place {
    PLACE_SILENT,   /* its line has not come */
    PLACE_ANSWER,   /* its answer is made, or taken */
    PLACE_RELOAD,   /* the same, of a reload: what systemd waits for is not held up by others */
    PLACE_FOLLOWER, /* gets events for as long as it likes */
    PLACE_GONE,     /* its connection has ended, and its answer is still to come: no bound */
    PLACES
};

/* Each has places of its own: whoever may only look takes none from those who may act. */
enum user { USER_ROOT, USER_OWN, USER_OTHER, USERS };

static const struct {
    size_t setting;       /* how many, for each kind of user: an offset in struct settings */
    const char *name;     /* of the limit, in the log */
    const char *sentence; /* for whoever finds no place */
} places[PLACE_GONE] = {
    [PLACE_SILENT] = {offsetof(struct settings, control_silent),
                      "silent connections to the control socket (control_silent)",
                      "no place left on the control socket: this connection was silent the longest "
                      "(control_silent)"},
    [PLACE_ANSWER] = {offsetof(struct settings, control_answers),
                      "answers under way on the control socket (control_answers)",
                      "no place left on the control socket: as many answers are under way as "
                      "control_answers allows; try again"},
    [PLACE_RELOAD] = {offsetof(struct settings, control_answers),
                      "reloads waited for on the control socket (control_answers)",
                      "no place left on the control socket: as many wait for a reload as "
                      "control_answers allows; try again"},
    [PLACE_FOLLOWER] = {offsetof(struct settings, control_followers),
                        "followers of events (control_followers)",
                        "no place left on the control socket: events are followed by as many as "
                        "control_followers allows; end one of them"},
};

struct control_client {
    struct watch watch;
    struct control *control;
    enum place place;
    enum user user;
    int fd;      /* -1 in PLACE_GONE */
    bool asking; /* the verb is running: an answer that it gives waits until it returns */
    bool given;
    json_t *value; /* that answer */
    struct question question;
    struct buffer in, out;
    struct deadline deadline;
    uint64_t due; /* when all of its answer must have been taken; 0 before it is sent */
    TAILQ_ENTRY(control_client) link;
};

TAILQ_HEAD(control_clients, control_client);

struct control {
    struct core *core;
    struct verbs verbs;
    struct listener listener;
    struct deadline_queue deadlines;
    struct control_clients at[PLACES]; /* the oldest first */
    unsigned count[PLACES][USERS];
    struct limit limits[PLACE_GONE];
};

/* --- Places ----------------------------------------------------------------------------------- */

/* How many of one kind of user; all of them together never take most of the descriptors. */
static uint64_t places_for_each(const struct control *control, enum place place)
{
    const struct core *core = control->core;
    const char *settings = (const char *)&core->settings;
    uint64_t wanted, share = core->descriptors_max / 32;
    memcpy(&wanted, settings + places[place].setting, sizeof(wanted));
    if (share < 4)
        share = 4;
    return wanted < share ? wanted : share;
}

/* The trouble is of all places together: it names those that are short. */
static void show_limits(struct control *control)
{
    char detail[TROUBLE_DETAIL_SIZE] = "";
    for (int place = 0; place < PLACE_GONE; place++) {
        if (!control->limits[place].reached)
            continue;
        strlcat(detail, *detail == '\0' ? "limits that are met: " : ", ", sizeof(detail));
        strlcat(detail, places[place].name, sizeof(detail));
    }
    if (*detail != '\0')
        trouble_begin(control->core, TROUBLE_CONTROL_LIMIT, "%s", detail);
    else
        trouble_end(control->core, TROUBLE_CONTROL_LIMIT);
}

/* Not before half of them are free for everybody, so that a limit at its edge does not fill the
 * log. */
static void check_limit(struct control *control, enum place place)
{
    if (place == PLACE_GONE || !control->limits[place].reached)
        return;
    for (int user = 0; user < USERS; user++)
        if (control->count[place][user] > places_for_each(control, place) / 2)
            return;
    limit_left(control->core, &control->limits[place], NULL);
    show_limits(control);
}

static void leave(struct control_client *client)
{
    struct control *control = client->control;
    TAILQ_REMOVE(&control->at[client->place], client, link);
    control->count[client->place][client->user]--;
    check_limit(control, client->place);
}

static void enter(struct control_client *client, enum place place)
{
    struct control *control = client->control;
    client->place = place;
    TAILQ_INSERT_TAIL(&control->at[place], client, link);
    control->count[place][client->user]++;
}

/* --- The end ---------------------------------------------------------------------------------- */

static void free_client(struct control_client *client)
{
    leave(client);
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
    loop_unwatch(&control->core->loop, &client->watch);
    core_close(control->core, client->fd);
    client->fd = -1;
    if (client->question.later && !question_withdraw(&client->question)) {
        leave(client);
        enter(client, PLACE_GONE);
    } else {
        free_client(client);
    }
}

static void on_timeout(struct deadline *deadline)
{
    end(CONTAINER_OF(deadline, struct control_client, deadline));
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Sends a portion of what there is; makes a piece more when there is nothing left, one in a turn.
 */
static void send_answer(struct control_client *client)
{
    struct question *question = &client->question;
    if (buffer_length(&client->out) == 0 && question->more != NULL &&
        question->more(question, &client->out) < 0) {
        end(client);
        return;
    }
    ssize_t n = 0;
    if (buffer_length(&client->out) > 0)
        n = buffer_send(&client->out, client->fd, LOOP_PORTION);
    bool all = buffer_length(&client->out) == 0;
    if ((n < 0 && n != -EAGAIN) || (all && question->more == NULL && !question->follows)) {
        end(client);
        return;
    }
    /* Each byte that is taken gives more time, but not for ever: others wait for the place. */
    uint64_t now = client->control->core->loop.now;
    if (client->due == 0)
        client->due = now + client->control->core->settings.request_timeout;
    if (!question->follows && now < client->due)
        deadline_start(&client->control->deadlines, &client->deadline);
    /* Whoever follows has nothing to be told now. */
    loop_change(&client->control->core->loop, &client->watch,
                all && question->follows ? 0 : EPOLLOUT);
}

static int append_line(struct buffer *out, const json_t *value)
{
    struct json_writer writer = {.out = out};
    json_writer_json(&writer, NULL, value);
    return writer.error < 0 ? writer.error : buffer_append(out, "\n", 1);
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

/* Reads away what has come: a socket that is closed with bytes unread gives its client an error in
 * place of the answer. */
static void read_away(int fd)
{
    char bytes[4096];
    for (size_t most = REQUEST_MAX / sizeof(bytes); most > 0; most--)
        if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
            break;
    explicit_bzero(bytes, sizeof(bytes)); /* perhaps the command of a `send` */
}

/* There is no place for it: it is told so, at once. */
static void turn_away(struct control_client *client, enum place place)
{
    struct control *control = client->control;
    control->core->control_refused++;
    limit_reached(control->core, &control->limits[place], NULL);
    show_limits(control);
    json_t *answer =
        json_pack("{s:b, s:b, s:[s]}", "ok", false, "busy", true, "errors", places[place].sentence);
    read_away(client->fd);
    if (answer != NULL && append_line(&client->out, answer) == 0)
        (void)!buffer_send(&client->out, client->fd, LOOP_PORTION);
    json_decref(answer);
    end(client);
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
    if (control->count[place][client->user] >= places_for_each(control, place)) {
        turn_away(client, place);
        return;
    }
    leave(client);
    enter(client, place);
    client->asking = true;
    json_t *value = verb_ask(question, line, length);
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

/*
 * One that does not take them is closed in the next turn, which its socket then tells: whoever goes
 * may be logged, and that is an event for the others.
 */
static void tell(struct control_client *client, const json_t *event)
{
    if (buffer_length(&client->out) > EVENTS_MAX || append_line(&client->out, event) < 0)
        shutdown(client->fd, SHUT_RDWR);
    else
        loop_change(&client->control->core->loop, &client->watch, EPOLLOUT);
}

/* What an administrator acts on is what there is to follow. */
static void on_log(int priority, const struct log_about *about, const char *text)
{
    struct control_client *client;
    json_t *event = NULL;
    (void)priority;
    if (about->event == LOG_EVENT_NONE)
        return;
    TAILQ_FOREACH (client, &followed->at[PLACE_FOLLOWER], link) {
        if (!client->question.follows)
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
    ssize_t n = buffer_receive(&client->in, client->fd, LOOP_SHORT, &more);
    if (n == -EAGAIN)
        return;
    size_t length = n > 0 ? buffer_line(&client->in) : 0;
    if (length > 0) {
        begin_answer(client, length);
    } else if (n <= 0) {
        end(client);
    } else if (buffer_length(&client->in) > REQUEST_MAX) {
        read_away(client->fd);
        end(client);
    }
}

/* While an answer is to come or to be followed, only the end of the connection is heard here. */
static void on_client_ready(struct watch *watch, uint32_t events)
{
    struct control_client *client = CONTAINER_OF(watch, struct control_client, watch);
    if (client->place == PLACE_SILENT)
        read_line(client);
    else if (events & (EPOLLHUP | EPOLLERR))
        end(client);
    else
        send_answer(client);
}

static enum user user_of(uid_t uid)
{
    if (uid == 0)
        return USER_ROOT;
    return uid == geteuid() ? USER_OWN : USER_OTHER;
}

/* Whose line has come already, as nearly everybody's has, is never silent. Of those who are, the
 * one that has been so the longest makes room. */
static void make_room(struct control *control, enum user user)
{
    struct control_client *client, *next;
    TAILQ_FOREACH_SAFE (client, &control->at[PLACE_SILENT], link, next) {
        if (control->count[PLACE_SILENT][user] <= places_for_each(control, PLACE_SILENT))
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
    /* Whoever asks why requests are refused is answered while they hold all memory. */
    client->in.reserved = client->out.reserved = true;
    client->question = (struct question){.verbs = &control->verbs, .answer = on_answer};
    socklen_t size = sizeof(client->question.peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->question.peer, &size) < 0 ||
        loop_watch(&control->core->loop, &client->watch, fd, EPOLLIN) < 0) {
        close(fd);
        free(client);
        return;
    }
    enum user user = client->user = user_of(client->question.peer.uid);
    core_descriptor_opened(control->core);
    enter(client, PLACE_SILENT);
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
    for (int place = 0; place < PLACE_GONE; place++)
        control->limits[place].name = places[place].name;
    deadline_queue_add(&verbs->core->loop, &control->deadlines,
                       &verbs->core->settings.control_timeout, on_timeout);
    listener_open(&control->listener, &verbs->core->loop, listener, "the control socket",
                  on_listener_ready);
    listener_want(&control->listener, true);
    followed = control;
    log_also_to(LOG_ALSO_EVENTS, on_log);
    return control;
}

static void finish(struct control_client *client)
{
    client->question.later = false; /* nobody is left who could answer */
    if (client->fd >= 0 && buffer_length(&client->out) > 0)
        (void)!buffer_send(&client->out, client->fd,
                          LOOP_PORTION); /* the last event, as that we leave */
    if (client->fd >= 0)
        end(client);
    else
        free_client(client);
}

void control_free(struct control *control)
{
    struct control_client *client, *next;
    if (control == NULL)
        return;
    log_also_to(LOG_ALSO_EVENTS, NULL);
    for (int place = 0; place < PLACES; place++)
        TAILQ_FOREACH_SAFE (client, &control->at[place], link, next)
            finish(client);
    listener_close(&control->listener);
    deadline_queue_remove(&control->deadlines);
    free(control);
}
