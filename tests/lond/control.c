/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket of the stand-in lond. Through it, a test asks what was executed, and breaks
 * and mends the host while it runs: a line in, a line out, any number of times. Answers are short,
 * so nothing takes care of a test that does not read them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lond/lond.h"

struct client {
    struct watch watch;
    struct buffer in;
};

/* --- The verbs: what follows the verb, and where the answer goes --- */

static void do_counts(const char *text, struct buffer *out)
{
    (void)text;
    counts_print(out);
}

static void do_executed(const char *text, struct buffer *out)
{
    /* Better than a 0 that a test takes for "not executed". */
    if (command_is_counted(text))
        buffer_print(out, "%lu", counts_executed(text, strlen(text)));
    else
        buffer_print(out, "error: counted with --count-texts only");
}

static void do_distinct(const char *text, struct buffer *out)
{
    (void)text;
    buffer_print(out, "%lu", counts_distinct());
}

static void do_repeated(const char *text, struct buffer *out)
{
    (void)text;
    buffer_print(out, "%lu", counts_repeated());
}

static void do_peak(const char *text, struct buffer *out)
{
    (void)text;
    buffer_print(out, "%lu", counts[COUNT_PEAK]);
}

static void do_attempts(const char *text, struct buffer *out)
{
    (void)text;
    counts_list_attempts(out);
}

static bool is_any(const struct connection *connection)
{
    (void)connection;
    return true;
}

static bool is_open(const struct connection *connection)
{
    return connection->stage >= STAGE_IDLE;
}

static void print_number_of(bool (*which)(const struct connection *), struct buffer *out)
{
    struct connection *connection;
    unsigned number = 0;

    LIST_FOREACH (connection, &connections, all) {
        number += which(connection);
    }
    buffer_print(out, "%u", number);
}

static void do_open(const char *text, struct buffer *out)
{
    (void)text;
    print_number_of(is_open, out);
}

static void do_idle(const char *text, struct buffer *out)
{
    (void)text;
    print_number_of(connection_is_idle, out);
}

static void do_busy(const char *text, struct buffer *out)
{
    (void)text;
    print_number_of(connection_is_busy, out);
}

static void do_connections(const char *text, struct buffer *out)
{
    (void)text;
    print_number_of(is_any, out);
}

/* `reset` for RST instead of FIN. */
static void close_all(bool (*which)(const struct connection *), const char *how, struct buffer *out)
{
    struct connection *connection, *next;
    unsigned number = 0;

    for (connection = LIST_FIRST(&connections); connection != NULL; connection = next) {
        next = LIST_NEXT(connection, all);
        if (which(connection)) {
            connection_drop(connection, strcmp(how, "reset") == 0);
            number++;
        }
    }
    buffer_print(out, "%u", number);
}

static void do_close_idle(const char *text, struct buffer *out)
{
    close_all(connection_is_idle, text, out);
}

static void do_kill_busy(const char *text, struct buffer *out)
{
    close_all(connection_is_busy, text, out);
}

static void do_close_all(const char *text, struct buffer *out)
{
    close_all(is_any, text, out);
}

/* Unasked for: a line on each idle connection. */
static void do_tell_idle(const char *text, struct buffer *out)
{
    struct connection *connection;
    struct buffer line = {0};
    unsigned number = 0;

    buffer_append(&line, text, strlen(text));
    buffer_append(&line, "\n", 1);
    LIST_FOREACH (connection, &connections, all) {
        if (connection_is_idle(connection))
            number += send(connection->watch.fd, line.data, line.length, MSG_NOSIGNAL) ==
                      (ssize_t)line.length;
    }
    buffer_print(out, "%u", number);
    buffer_free(&line);
}

static void do_fault(const char *text, struct buffer *out)
{
    if (text[0] != '\0' && !fault_change(text)) {
        buffer_print(out, "error: no such fault");
        return;
    }
    listener_watch();
    fault_list(out);
}

static void do_stop_listening(const char *text, struct buffer *out)
{
    (void)text;
    listener_close();
    buffer_print(out, "ok");
}

static void do_listen(const char *text, struct buffer *out)
{
    (void)text;
    listener_open();
    buffer_print(out, "ok");
}

static void do_addresses(const char *text, struct buffer *out)
{
    (void)text;
    listener_print(out, " ");
    if (out->length > 0)
        out->length--;
}

static void do_set(const char *text, struct buffer *out)
{
    char name[32] = "";
    int after = 0;

    const char *error = "no such setting or value";

    sscanf(text, "%31s %n", name, &after);
    if (after > 0 && options_set(name, text + after) && tls_prepare(&error))
        buffer_print(out, "ok");
    else
        buffer_print(out, "error: %s", error);
}

static void do_tls_failure(const char *text, struct buffer *out)
{
    (void)text;
    buffer_print(out, "%s", tls_last_failure());
}

static void do_tls_client(const char *text, struct buffer *out)
{
    (void)text;
    buffer_print(out, "%s", tls_last_client());
}

static void do_reset(const char *text, struct buffer *out)
{
    (void)text;
    counts_reset();
    buffer_print(out, "ok");
}

static const struct {
    const char *name;
    void (*run)(const char *text, struct buffer *out);
} verbs[] = {
    {"counts", do_counts},
    {"executed", do_executed},
    {"distinct", do_distinct},
    {"repeated", do_repeated},
    {"peak", do_peak},
    {"attempts", do_attempts},
    {"open", do_open},
    {"idle", do_idle},
    {"busy", do_busy},
    {"connections", do_connections},
    {"close-idle", do_close_idle},
    {"kill-busy", do_kill_busy},
    {"close-all", do_close_all},
    {"tell-idle", do_tell_idle},
    {"fault", do_fault},
    {"stop-listening", do_stop_listening},
    {"listen", do_listen},
    {"addresses", do_addresses},
    {"set", do_set},
    {"tls-failure", do_tls_failure},
    {"tls-client", do_tls_client},
    {"reset", do_reset},
};

static void execute(char *line, struct buffer *out)
{
    size_t length = strcspn(line, " ");
    const char *text = line + length + (line[length] == ' ');

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strlen(verbs[i].name) == length && memcmp(verbs[i].name, line, length) == 0) {
            verbs[i].run(text, out);
            buffer_append(out, "\n", 1);
            return;
        }
    }
    buffer_print(out, "error: no such verb\n");
}

/* --- The socket --- */

static void close_client(struct client *client)
{
    close(client->watch.fd);
    buffer_free(&client->in);
    free(client);
}

static void take_lines(struct client *client)
{
    struct buffer out = {0};
    char *line = client->in.data, *end;
    size_t left = client->in.length;

    while (left > 0 && (end = memchr(line, '\n', left)) != NULL) {
        *end = '\0';
        SAY("control: %s", line);
        execute(line, &out);
        left -= (size_t)(end + 1 - line);
        line = end + 1;
    }
    memmove(client->in.data, line, left);
    client->in.length = left;
    if (out.length > 0)
        send(client->watch.fd, out.data, out.length, MSG_NOSIGNAL);
    buffer_free(&out);
}

static void on_client(struct watch *watch, uint32_t events)
{
    struct client *client = (struct client *)watch;
    ssize_t size;

    (void)events;
    buffer_reserve(&client->in, 4096);
    size = recv(watch->fd, client->in.data + client->in.length, client->in.room - client->in.length,
                MSG_DONTWAIT);
    if (size > 0) {
        client->in.length += (size_t)size;
        take_lines(client);
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_client(client);
    }
}

static void on_listener(struct watch *watch, uint32_t events)
{
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    struct client *client;

    (void)events;
    if (fd < 0)
        return;
    client = calloc(1, sizeof(*client));
    if (client == NULL)
        fail("no memory for a control client");
    client->watch = (struct watch){fd, on_client};
    loop_add(&client->watch, EPOLLIN);
}

void control_listen(const char *path)
{
    static struct watch listener = {-1, on_listener};
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        fail("--control %s: the path is too long", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener.fd, 64) < 0)
        fail("--control %s: %s", path, strerror(errno));
    loop_add(&listener, EPOLLIN);
}
