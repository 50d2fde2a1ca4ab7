/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Administrators' requests. Each verb is a row of the table; what it shows comes from status.c, and
 * what it does is done by those who would do it anyway.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/control.h"

/* Administrators at once; the next ones wait in the backlog. */
#define CLIENTS_MAX 16

/* No request is longer. */
#define REQUEST_MAX 1024

/* For the request to come, and for the answer to be taken: it is a person or a script on this host.
 */
static const uint64_t control_timeout = 10000000;

struct control_client {
    struct watch watch;
    struct control *control;
    int fd;
    bool answering;
    struct ucred peer;
    struct buffer in, out;
    struct deadline deadline;
    LIST_ENTRY(control_client) link;
};

struct control {
    struct service *service;
    const struct status *status;
    struct control_actions actions;
    struct watch watch;
    int listener;
    struct deadline_queue deadlines;
    LIST_HEAD(, control_client) clients;
    unsigned count;
};

/* --- Verbs ------------------------------------------------------------------------------------ */

static json_t *failure(const char *sentence)
{
    return json_pack("{s:b, s:[s]}", "ok", false, "errors", sentence);
}

static json_t *verb_status(struct control *control, const char *argument)
{
    (void)argument;
    return status_json(control->status);
}

static json_t *verb_reload(struct control *control, const char *argument)
{
    (void)argument;
    json_t *errors = control->actions.reload(control->actions.argument);
    return json_pack("{s:b, s:I, s:o}", "ok", json_array_size(errors) == 0, "hosts",
                     (json_int_t)control->service->hosts->count, "errors", errors);
}

/* Holds the host; NULL, with the failure in *answer, when there is none of that name. */
static struct host *hold_host(struct control *control, const char *name, json_t **answer)
{
    struct host *host = hosts_hold(control->service->hosts, name);
    if (host == NULL)
        *answer = failure("no such host in hosts.tab; expected a lonHostID or a DNS name");
    return host;
}

static json_t *verb_connections(struct control *control, const char *argument)
{
    json_t *answer;
    struct host *host = hold_host(control, argument, &answer);
    if (host == NULL)
        return answer;
    answer =
        json_pack("{s:s, s:o}", "host", host->id, "connections", status_connections_json(host));
    hosts_release(host);
    return answer;
}

static json_t *verb_retry(struct control *control, const char *argument)
{
    struct hosts *hosts = control->service->hosts;
    if (strcmp(argument, "ALL") == 0) {
        hosts_forgive(hosts);
        return json_pack("{s:b}", "ok", true);
    }
    json_t *answer;
    struct host *host = hold_host(control, argument, &answer);
    if (host == NULL)
        return answer;
    host_forgive(host);
    hosts_release(host);
    return json_pack("{s:b}", "ok", true);
}

static const struct verb {
    const char *name;
    bool changes;        /* for root and the keeper's own user only */
    bool takes_argument; /* one, and not without */
    json_t *(*run)(struct control *control, const char *argument);
} verbs[] = {
    {"status", false, false, verb_status},
    {"connections", false, true, verb_connections},
    {"reload", true, false, verb_reload},
    {"retry", true, true, verb_retry},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static bool may(const struct control_client *client, const struct verb *verb)
{
    if (!verb->changes || client->peer.uid == 0 || client->peer.uid == geteuid())
        return true;
    log_write(LOG_WARNING, NULL, "control: user %u may not ask for %s", (unsigned)client->peer.uid,
              verb->name);
    return false;
}

/* The answer to a request line without its LF, which is cut apart. */
static json_t *answer_to(struct control_client *client, char *line)
{
    char *argument = line;
    const char *name = strsep(&argument, " ");
    const struct verb *verb = find_verb(name);
    if (verb == NULL)
        return failure("unknown verb; expected status, connections, reload or retry");
    if (verb->takes_argument != (argument != NULL && *argument != '\0'))
        return failure(verb->takes_argument ? "the verb wants one argument: a host"
                                            : "the verb takes no argument");
    if (!may(client, verb))
        return failure("only root and the keeper's own user may ask for this");
    return verb->run(client->control, argument);
}

/* --- Clients ---------------------------------------------------------------------------------- */

static void update_listener(struct control *control)
{
    bool wanted = control->count < CLIENTS_MAX;
    struct loop *loop = &control->service->loop;
    if (wanted == (control->watch.fd >= 0))
        return;
    if (!wanted)
        loop_unwatch(loop, &control->watch);
    else if (loop_watch(loop, &control->watch, control->listener, EPOLLIN) < 0)
        log_write(LOG_CRIT, NULL, "cannot watch the control socket: %s", strerror(errno));
}

static void end(struct control_client *client)
{
    struct control *control = client->control;
    deadline_stop(&client->deadline);
    loop_unwatch(&control->service->loop, &client->watch);
    close(client->fd);
    buffer_free(&client->in);
    buffer_free(&client->out);
    LIST_REMOVE(client, link);
    control->count--;
    free(client);
    service_closed(control->service);
    update_listener(control);
}

static void on_timeout(struct deadline *deadline)
{
    end(CONTAINER_OF(deadline, struct control_client, deadline));
}

static void send_answer(struct control_client *client)
{
    ssize_t n = 0;
    while (buffer_length(&client->out) > 0 && n >= 0)
        n = buffer_send(&client->out, client->fd);
    if (n != -EAGAIN) {
        end(client);
        return;
    }
    loop_change(&client->control->service->loop, &client->watch, EPOLLOUT);
}

static void answer(struct control_client *client, size_t length)
{
    char *line = client->in.data + client->in.start;
    line[length - 1] = '\0';
    json_t *value = answer_to(client, line);
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(value);
    client->answering = true;
    if (text == NULL || buffer_append(&client->out, text, strlen(text)) < 0 ||
        buffer_append(&client->out, "\n", 1) < 0) {
        free(text);
        end(client);
        return;
    }
    free(text);
    deadline_start(&client->control->deadlines, &client->deadline);
    send_answer(client);
}

static void on_client_ready(struct watch *watch, uint32_t events)
{
    struct control_client *client = CONTAINER_OF(watch, struct control_client, watch);
    bool more;
    (void)events;
    if (client->answering) {
        send_answer(client);
        return;
    }
    ssize_t n = buffer_receive(&client->in, client->fd, &more);
    if (n == -EAGAIN)
        return;
    size_t length = n > 0 ? buffer_line(&client->in) : 0;
    if (length > 0)
        answer(client, length);
    else if (n <= 0 || buffer_length(&client->in) > REQUEST_MAX)
        end(client);
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
    socklen_t size = sizeof(client->peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client->peer, &size) < 0 ||
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

static void on_listener_ready(struct watch *watch, uint32_t events)
{
    struct control *control = CONTAINER_OF(watch, struct control, watch);
    (void)events;
    int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        add_client(control, fd);
    update_listener(control);
}

struct control *control_new(struct service *service, const struct status *status,
                            const struct control_actions *actions, int listener)
{
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL) {
        close(listener);
        return NULL;
    }
    *control = (struct control){
        .service = service,
        .status = status,
        .actions = *actions,
        .watch = {.fd = -1, .ready = on_listener_ready},
        .listener = listener,
    };
    LIST_INIT(&control->clients);
    deadline_queue_add(&service->loop, &control->deadlines, &control_timeout, on_timeout);
    update_listener(control);
    return control;
}

void control_free(struct control *control)
{
    struct control_client *client, *next;
    if (control == NULL)
        return;
    LIST_FOREACH_SAFE (client, &control->clients, link, next)
        end(client);
    loop_unwatch(&control->service->loop, &control->watch);
    close(control->listener);
    LIST_REMOVE(&control->deadlines, link);
    free(control);
}
