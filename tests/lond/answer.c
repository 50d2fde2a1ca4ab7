/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the stand-in lond sends an answer: in the manner that the request or a fault demands, at once
 * or later, whole or in pieces. Others decide what the answer is.
 *
 * An answer passes through WAIT -> WRITE or DRIP -> READ, and skips steps it does not need. The
 * usual answer is sent by one call, without a copy, because the benches need that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/lond/lond.h"

/* Byte i of `size:` is chr(33 + i % 94): printable, and no power of two fits into its period. */
#define PATTERN_PERIOD 94
#define PATTERN_SIZE   (PATTERN_PERIOD * 1024)

/* How many chunks of a large answer are written before other connections have their turn. */
#define CHUNKS_A_TURN 16

#define GARBAGE_SIZE 64

#define SHORT_LINE 2048

static char pattern[PATTERN_SIZE];

static const enum after after_manner[MANNER_COUNT] = {
    [MANNER_PLAIN] = AFTER_READ,        [MANNER_REFUSE] = AFTER_CLOSE,
    [MANNER_SILENT] = AFTER_NOTHING,    [MANNER_CLOSE] = AFTER_CLOSE,
    [MANNER_RESET] = AFTER_RESET,       [MANNER_GARBAGE] = AFTER_READ,
    [MANNER_NOLINE] = AFTER_NOTHING,    [MANNER_DRIP] = AFTER_READ,
    [MANNER_HALF] = AFTER_CLOSE,        [MANNER_STALL] = AFTER_NOTHING,
    [MANNER_TWO] = AFTER_READ,          [MANNER_LAST] = AFTER_CLOSE,
    [MANNER_SHORT] = AFTER_READ,        [MANNER_LONG] = AFTER_READ,
    [MANNER_BARE] = AFTER_READ,         [MANNER_NOTIFY] = AFTER_NOTIFY,
    [MANNER_FAREWELL] = AFTER_FAREWELL, [MANNER_TICKET] = AFTER_TICKET,
};

void answer_initialize(void)
{
    for (size_t i = 0; i < PATTERN_SIZE; i++)
        pattern[i] = (char)(33 + i % PATTERN_PERIOD);
}

/* The answer has been sent, or a fault has taken its place. */
static void finish(struct connection *connection)
{
    buffer_clear(&connection->out);
    connection->sent = 0;
    connection->pause = connection->pace = 0;
    if (connection->after == AFTER_NOTIFY || connection->after == AFTER_FAREWELL)
        tls_notify(connection);
    else if (connection->after == AFTER_TICKET)
        tls_ticket(connection);
    if (connection->after == AFTER_CLOSE || connection->after == AFTER_RESET ||
        connection->after == AFTER_FAREWELL) {
        connection_drop(connection, connection->after == AFTER_RESET);
        return;
    }
    connection->doing = connection->after == AFTER_NOTHING ? DOING_NOTHING : DOING_READ;
    if (connection->doing == DOING_NOTHING)
        return;
    if (connection->stage == STAGE_RECEIVING_REPLY) {
        connection->stage = STAGE_IDLE;
        counts[COUNT_ANSWERS]++;
    } else {
        handshake_answered(connection);
    }
}

/* True if `sent` is a count of bytes; otherwise the connection has to wait, or has ended. */
static bool sent_some(struct connection *connection, ssize_t sent)
{
    if (sent >= 0)
        return true;
    if (errno != EAGAIN && errno != EINTR)
        connection_lost(connection);
    return false;
}

/* Writes the next piece, the pattern first. 0 when everything has been written, -1 if it has to
 * wait. */
static ssize_t write_piece(struct connection *connection)
{
    size_t size = PATTERN_SIZE - connection->pattern_at;
    ssize_t sent;

    if (connection->pattern_left > 0) {
        if (size > connection->pattern_left)
            size = (size_t)connection->pattern_left;
        sent = tls_send(connection, pattern + connection->pattern_at, size);
        if (!sent_some(connection, sent))
            return -1;
        connection->pattern_left -= (uint64_t)sent;
        connection->pattern_at = (connection->pattern_at + (size_t)sent) % PATTERN_PERIOD;
        return sent;
    }
    size = connection->out.length - connection->sent;
    if (size == 0)
        return 0;
    sent = tls_send(connection, connection->out.data + connection->sent, size);
    if (!sent_some(connection, sent))
        return -1;
    connection->sent += (size_t)sent;
    return sent;
}

void answer_write(struct connection *connection)
{
    for (unsigned i = 0; i < CHUNKS_A_TURN; i++) {
        ssize_t sent = write_piece(connection);

        if (sent == 0)
            finish(connection);
        if (sent <= 0)
            return;
    }
}

static void drip(struct connection *connection)
{
    if (connection->sent == connection->out.length) {
        finish(connection);
        return;
    }
    if (!sent_some(connection, tls_send(connection, connection->out.data + connection->sent, 1)))
        return; /* the peer takes not even one byte: wait, RDHUP tells if it leaves */
    connection->sent++;
    connection_start_timer(connection, connection->pace);
}

void answer_due(struct connection *connection)
{
    if (connection->doing == DOING_WAIT)
        connection->doing = connection->pace > 0 ? DOING_DRIP : DOING_WRITE;
    if (connection->doing == DOING_DRIP)
        drip(connection);
    else
        answer_write(connection);
}

/* The answer is composed. */
static void start(struct connection *connection)
{
    uint64_t pause = connection->pause + lond.delay;

    connection->doing = DOING_WAIT;
    if (pause > 0)
        connection_start_timer(connection, pause);
    else
        answer_due(connection);
}

/* Bytes that are no line of any protocol, without an LF. */
static void compose_garbage(struct buffer *out)
{
    char bytes[GARBAGE_SIZE];

    for (size_t i = 0; i < sizeof(bytes); i++)
        do
            bytes[i] = (char)(rand() >> 7);
        while (bytes[i] == '\n');
    buffer_append(out, bytes, sizeof(bytes));
    buffer_append(out, "\n", 1);
}

static void compose(struct connection *connection, enum manner manner, const char *text,
                    size_t length)
{
    struct buffer *out = &connection->out;

    switch (manner) {
    case MANNER_TWO:
        buffer_append(out, text, length);
        buffer_append(out, "\n", 1);
        /* fall through */
    case MANNER_PLAIN:
    case MANNER_DRIP:
    case MANNER_LAST:
    case MANNER_NOTIFY:
    case MANNER_TICKET:
        buffer_append(out, text, length);
        buffer_append(out, "\n", 1);
        break;
    case MANNER_SHORT:
        buffer_append(out, text, length > 0 ? length - 1 : 0);
        buffer_append(out, "\n", 1);
        break;
    case MANNER_LONG:
        buffer_append(out, text, length);
        buffer_append(out, "0\n", 2);
        break;
    case MANNER_BARE:
        buffer_append(out, text, length);
        break;
    case MANNER_HALF:
    case MANNER_STALL:
        buffer_append(out, text, (length + 1) / 2);
        break;
    case MANNER_REFUSE:
        buffer_append(out, "refused\n", 8);
        break;
    case MANNER_GARBAGE:
        compose_garbage(out);
        break;
    case MANNER_NOLINE:
        connection->pattern_left = UINT64_MAX;
        connection->pattern_at = 0;
        break;
    default:
        break;
    }
}

/* Sends with a single call. Copying a short answer is cheaper than gathering it, and no long answer
 * goes through TLS. */
static ssize_t send_line(struct connection *connection, const char *text, size_t length)
{
    struct iovec parts[2] = {{(char *)text, length}, {(char *)"\n", 1}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    char line[SHORT_LINE];

    if (length >= sizeof(line))
        return sendmsg(connection->watch.fd, &message, MSG_NOSIGNAL);
    memcpy(line, text, length);
    line[length] = '\n';
    return tls_send(connection, line, length + 1);
}

/* The usual answer, without a buffer. */
static void write_at_once(struct connection *connection, const char *text, size_t length)
{
    ssize_t sent = send_line(connection, text, length);

    connection->after = AFTER_READ;
    if (sent == (ssize_t)length + 1) {
        finish(connection);
        return;
    }
    connection->doing = DOING_WRITE;
    if (sent < 0 && !sent_some(connection, sent))
        sent = 0;
    if ((size_t)sent < length)
        buffer_append(&connection->out, text + sent, length - (size_t)sent);
    buffer_append(&connection->out, "\n", 1);
}

static void give(struct connection *connection, enum manner manner, const char *text, size_t length)
{
    struct buffer secret = {0};

    if (connection->enciphered) {
        idea_encipher(connection, text, length, &secret);
        text = secret.data;
        length = secret.length;
        connection->enciphered = false;
    }
    if (manner == MANNER_PLAIN && connection->pause + lond.delay == 0) {
        write_at_once(connection, text, length);
    } else {
        compose(connection, manner, text, length);
        connection->after = after_manner[manner];
        if (manner != MANNER_DRIP)
            connection->pace = 0;
        else if (connection->pace == 0)
            connection->pace = lond.drip;
        start(connection);
    }
    buffer_free(&secret);
}

void answer_give(struct connection *connection, enum manner manner, const char *text, size_t length)
{
    enum manner fault = fault_take(connection->stage);

    SAY("%d <- %.*s", connection->watch.fd, (int)(length < 200 ? length : 200), text);
    give(connection, fault != MANNER_PLAIN ? fault : manner, text, length);
}

void answer_impose(struct connection *connection, enum manner manner, const char *text,
                   size_t length)
{
    give(connection, manner, text, length);
}

void answer_strike(struct connection *connection, enum stage stage)
{
    enum manner fault = fault_take(stage);

    if (fault != MANNER_PLAIN)
        give(connection, fault, "", 0);
}

void answer_text(struct connection *connection, enum manner manner, const char *text)
{
    answer_give(connection, manner, text, strlen(text));
}

/* A large answer is never in memory as a whole, unless it has to be changed. */
void answer_pattern(struct connection *connection, uint64_t length)
{
    enum manner manner = fault_take(connection->stage);
    struct buffer text = {0};

    if (length <= PATTERN_SIZE) {
        give(connection, manner, pattern, (size_t)length);
    } else if (manner == MANNER_PLAIN && !connection->enciphered) {
        connection->pattern_left = length;
        connection->pattern_at = 0;
        buffer_append(&connection->out, "\n", 1);
        connection->after = AFTER_READ;
        start(connection);
    } else {
        while (text.length < length)
            buffer_append(&text, pattern,
                          length - text.length < PATTERN_SIZE ? length - text.length
                                                              : PATTERN_SIZE);
        give(connection, manner, text.data, text.length);
        buffer_free(&text);
    }
}
