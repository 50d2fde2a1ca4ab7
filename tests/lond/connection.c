/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One TCP connection to the stand-in lond. It reads lines, passes them to the handshake or to the
 * commands, and waits for what the answer needs: a ready peer, or time. answer.c sends answers;
 * handshake.c and command.c know what lines mean.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lond/lond.h"

#define FIRST_ROOM 16384
#define LEAST_ROOM 4096

struct connection_list connections = LIST_HEAD_INITIALIZER(connections);
static struct connection_list gone = LIST_HEAD_INITIALIZER(gone);
static TAILQ_HEAD(timer_list, connection) timers = TAILQ_HEAD_INITIALIZER(timers);
static uint64_t connection_count;

/* --- Its end --- */

static void stop_timer(struct connection *connection)
{
    if (connection->due != 0)
        TAILQ_REMOVE(&timers, connection, timed);
    connection->due = 0;
}

void connection_drop(struct connection *connection, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (connection->doing == DOING_GONE)
        return;
    SAY("%d closed%s", connection->watch.fd, reset ? " (reset)" : "");
    if (reset)
        setsockopt(connection->watch.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    stop_timer(connection);
    connection->doing = DOING_GONE;
    close(connection->watch.fd);
    LIST_REMOVE(connection, all);
    LIST_INSERT_HEAD(&gone, connection, all);
    connection_count--;
}

void connection_bury(void)
{
    struct connection *connection;

    while ((connection = LIST_FIRST(&gone)) != NULL) {
        LIST_REMOVE(connection, all);
        idea_close(connection);
        tls_end(connection);
        buffer_free(&connection->in);
        buffer_free(&connection->out);
        free(connection);
    }
}

void connection_lost(struct connection *connection)
{
    counts[COUNT_CLOSED_BY_PEER]++;
    connection_drop(connection, false);
}

/* In order of their due times; with one delay for all, that is at the end. */
void connection_start_timer(struct connection *connection, uint64_t milliseconds)
{
    struct connection *before;

    connection->due = loop_now() + milliseconds * 1000;
    TAILQ_FOREACH_REVERSE(before, &timers, timer_list, timed)
    {
        if (before->due <= connection->due) {
            TAILQ_INSERT_AFTER(&timers, before, connection, timed);
            return;
        }
    }
    TAILQ_INSERT_HEAD(&timers, connection, timed);
}

/* --- Lines --- */

static bool take_line(struct connection *connection, const char **line, size_t *length)
{
    struct buffer *in = &connection->in;
    char *end = NULL;

    if (connection->in_scanned < in->length)
        end = memchr(in->data + connection->in_scanned, '\n', in->length - connection->in_scanned);
    if (end == NULL) {
        connection->in_scanned = in->length;
        return false;
    }
    *line = in->data + connection->in_start;
    *length = (size_t)(end - *line);
    connection->in_start += *length + 1;
    connection->in_scanned = connection->in_start;
    return true;
}

static void take_lines(struct connection *connection)
{
    const char *line;
    size_t length;

    while (connection->doing == DOING_READ && take_line(connection, &line, &length)) {
        SAY("%d -> %.*s", connection->watch.fd, (int)(length < 200 ? length : 200), line);
        /* lonc has one request in flight. Another one behind it is a mistake of lonc's. */
        if (connection->in_start < connection->in.length)
            counts[COUNT_OVERLAPPING]++;
        if (connection->stage == STAGE_IDLE)
            command_line(connection, line, length);
        else
            handshake_line(connection, line, length);
    }
}

static void make_room(struct connection *connection)
{
    struct buffer *in = &connection->in;

    if (connection->in_start == in->length) {
        buffer_clear(in);
        connection->in_start = connection->in_scanned = 0;
    } else if (connection->in_start > 0 && in->room - in->length < LEAST_ROOM) {
        in->length -= connection->in_start;
        memmove(in->data, in->data + connection->in_start, in->length);
        connection->in_scanned -= connection->in_start;
        connection->in_start = 0;
    }
    buffer_reserve(in, in->length == 0 ? FIRST_ROOM : LEAST_ROOM);
}

static void read_some(struct connection *connection)
{
    struct buffer *in = &connection->in;
    ssize_t size;

    make_room(connection);
    size = recv(connection->watch.fd, in->data + in->length, in->room - in->length, 0);
    if (size > 0)
        in->length += (size_t)size;
    else if (size == 0 || (errno != EAGAIN && errno != EINTR))
        connection_lost(connection);
}

/* --- Events --- */

/* Called after each event: handles the lines that are there, then waits for the right event. While
 * the connection does not read, EPOLLRDHUP still tells that lonc has closed. */
static void settle(struct connection *connection)
{
    uint32_t interest = EPOLLRDHUP;

    take_lines(connection);
    if (connection->doing == DOING_GONE)
        return;
    if (connection->doing == DOING_READ)
        interest |= EPOLLIN;
    else if (connection->doing == DOING_TLS)
        interest |= tls_interest(connection);
    else if (connection->doing == DOING_WRITE)
        interest |= EPOLLOUT;
    if (interest != connection->interest)
        loop_change(&connection->watch, interest);
    connection->interest = interest;
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct connection *connection = (struct connection *)watch;

    if (connection->doing == DOING_GONE)
        return;
    if (connection->doing == DOING_READ)
        read_some(connection);
    else if (connection->doing == DOING_TLS && (events & EPOLLIN))
        tls_continue(connection);
    else if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        connection_lost(connection);
    else if (connection->doing == DOING_TLS)
        tls_continue(connection);
    else if (connection->doing == DOING_WRITE)
        answer_write(connection);
    settle(connection);
}

int64_t connection_next_timeout(void)
{
    const struct connection *first = TAILQ_FIRST(&timers);
    uint64_t now;

    if (first == NULL)
        return -1;
    now = loop_now();
    return first->due > now ? (int64_t)(first->due - now) : 0;
}

static void on_time(struct connection *connection)
{
    int more = 0;

    stop_timer(connection);
    if (connection->doing == DOING_WAIT) {
        if (ioctl(connection->watch.fd, FIONREAD, &more) == 0 && more > 0)
            counts[COUNT_OVERLAPPING]++;
    }
    answer_due(connection);
    settle(connection);
}

void connection_run_timers(void)
{
    struct connection *connection;
    uint64_t now;

    if (TAILQ_EMPTY(&timers))
        return;
    now = loop_now();
    while ((connection = TAILQ_FIRST(&timers)) != NULL && connection->due <= now)
        on_time(connection);
}

bool connection_is_idle(const struct connection *connection)
{
    return connection->stage == STAGE_IDLE && connection->doing == DOING_READ &&
           connection->in_start == connection->in.length;
}

bool connection_is_busy(const struct connection *connection)
{
    return connection->stage == STAGE_RECEIVING_REPLY;
}

void connection_accept(int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL)
        fail("no memory for a connection");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    connection->watch = (struct watch){fd, on_ready};
    connection->interest = EPOLLIN | EPOLLRDHUP;
    LIST_INSERT_HEAD(&connections, connection, all);
    loop_add(&connection->watch, connection->interest);
    counts_attempt();
    counts[COUNT_ACCEPTED]++;
    if (++connection_count > counts[COUNT_PEAK])
        counts[COUNT_PEAK] = connection_count;
    connection->unwelcome = lond.max_connections > 0 && connection_count > lond.max_connections;
    counts[COUNT_SURPLUS] += connection->unwelcome;
    SAY("%d accepted%s", fd, connection->unwelcome ? ", one too many" : "");
    answer_strike(connection, STAGE_ACCEPT);
    settle(connection);
}
