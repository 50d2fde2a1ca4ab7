/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading from a client's socket, which epoll watches edge-triggered: that something has come is
 * remembered in `readable`, and it is read when a line is wanted.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "keeper/client/line_reader.h"

void line_reader_begin(struct line_reader *reader, struct core *core, int fd,
                       void (*may_grow)(struct grower *grower))
{
    *reader = (struct line_reader){
        .core = core,
        .fd = fd,
        .in = reader->in,
        .grower.may_grow = may_grow,
        .readable = true, /* most clients have written before they are handed over */
    };
}

void line_reader_stop(struct line_reader *reader)
{
    scarcity_leave(&reader->core->scarcity, &reader->grower);
}

void line_reader_release(struct line_reader *reader)
{
    buffer_consume(&reader->in, buffer_length(&reader->in));
}

void line_reader_free(struct line_reader *reader)
{
    buffer_free(&reader->in);
}

void line_reader_notify(struct line_reader *reader, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLRDHUP))
        reader->readable = true;
    if (events & EPOLLRDHUP)
        reader->half_closed = true;
}

/* --- The line at the front -------------------------------------------------------------------- */

size_t line_reader_complete(struct line_reader *reader)
{
    return buffer_line(&reader->in);
}

size_t line_reader_incomplete(const struct line_reader *reader)
{
    return buffer_length(&reader->in) + reader->dropped;
}

bool line_reader_has_begun(const struct line_reader *reader)
{
    return buffer_length(&reader->in) > 0 || reader->dropping;
}

bool line_reader_is_long(const struct line_reader *reader)
{
    return buffer_length(&reader->in) >= LOOP_SHORT || reader->dropping;
}

const char *line_reader_serve(struct line_reader *reader, size_t length)
{
    scarcity_leave(&reader->core->scarcity, &reader->grower);
    reader->served = length;
    return reader->in.data + reader->in.start;
}

void line_reader_served(struct line_reader *reader)
{
    buffer_consume(&reader->in, reader->served);
    reader->served = 0;
}

void line_reader_drop(struct line_reader *reader)
{
    scarcity_leave(&reader->core->scarcity, &reader->grower);
    reader->dropping = true;
    reader->dropped = buffer_length(&reader->in);
    buffer_consume(&reader->in, reader->dropped);
}

/* --- Receiving -------------------------------------------------------------------------------- */

/* Reads a piece of the line being dropped. The number of bytes, or as buffer_receive. */
static ssize_t receive_and_drop(struct line_reader *reader, size_t most)
{
    static char dustbin[LOOP_PORTION];
    /* Peeking finds the line's end without taking the next line, which may stand behind it. */
    ssize_t peeked = recv(reader->fd, dustbin, most, MSG_DONTWAIT | MSG_PEEK);
    if (peeked <= 0)
        return peeked < 0 ? -errno : 0;
    const char *lf = memchr(dustbin, '\n', (size_t)peeked);
    size_t length = lf != NULL ? (size_t)(lf - dustbin) + 1 : (size_t)peeked;
    ssize_t n = recv(reader->fd, dustbin, length, MSG_DONTWAIT);
    int error = errno;
    explicit_bzero(dustbin, (size_t)peeked); /* it may hold a password */
    if (n <= 0)
        return n < 0 ? -error : 0;
    reader->dropped += (size_t)n;
    if (lf != NULL && (size_t)n == length) {
        reader->dropping = false;
        reader->dropped = 0;
    }
    return n;
}

static bool may_receive(struct line_reader *reader)
{
    return reader->readable &&
           (reader->dropping ||
            scarcity_may_fill(&reader->core->scarcity, &reader->grower, &reader->in));
}

enum line_event line_reader_receive(struct line_reader *reader, size_t most)
{
    bool was_dropping = reader->dropping, more = true;
    if (!may_receive(reader))
        return reader->finished ? LINE_FINISHED : LINE_WAIT;
    ssize_t n = was_dropping ? receive_and_drop(reader, most)
                             : buffer_receive(&reader->in, reader->fd, most, &more);
    if (n == -ENOBUFS || n == -ENOMEM)
        return LINE_NO_MEMORY;
    if (n == -EINTR)
        return LINE_MORE;
    if (n <= 0) {
        reader->readable = false;
        reader->finished = n != -EAGAIN;
        return reader->finished ? LINE_FINISHED : LINE_WAIT;
    }
    loop_moved(&reader->core->loop, (size_t)n);
    /* Epoll tells the end of the stream only once, perhaps together with the last bytes. */
    reader->readable = more || reader->half_closed;
    return was_dropping && !reader->dropping ? LINE_DROPPED : LINE_MORE;
}

void line_reader_shut(struct line_reader *reader)
{
    shutdown(reader->fd, SHUT_RD);
    reader->half_closed = true;
    reader->readable = true;
}
