/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See answer_writer.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "keeper/client/answer_writer.h"

void answer_writer_begin(struct answer_writer *writer, struct loop *loop, int fd)
{
    *writer = (struct answer_writer){.loop = loop, .fd = fd};
}

/* A full socket, or a kernel without memory: the loop tries again a turn later. */
static bool is_temporary(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

/* 0, or -ENOMEM or -ENOBUFS: there is no memory to keep it. */
static int keep_rest(struct answer_writer *writer, const char *rest, size_t length,
                     struct buffer *reply)
{
    if (reply == NULL)
        return buffer_append(&writer->out, rest, length);
    buffer_consume(reply, (size_t)(rest - reply->data) - reply->start);
    buffer_truncate(reply, length);
    buffer_swap(&writer->out, reply);
    return 0;
}

int answer_writer_start(struct answer_writer *writer, const char *bytes, size_t length,
                        struct buffer *reply)
{
    size_t portion = loop_portion(writer->loop);
    ssize_t n;
    do
        n = send(writer->fd, bytes, length < portion ? length : portion,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return -EPIPE; /* nothing taken, and no reason: the client is hanging up */
    if (n < 0 && !is_temporary(errno))
        return -errno;
    size_t sent = n > 0 ? (size_t)n : 0;
    loop_moved(writer->loop, sent);
    if (sent == length)
        return 0;
    int r = keep_rest(writer, bytes + sent, length - sent, reply);
    return r < 0 ? r : 1;
}

int answer_writer_continue(struct answer_writer *writer)
{
    ssize_t n = buffer_send(&writer->out, writer->fd, loop_portion(writer->loop));
    if (n < 0)
        return (int)n;
    loop_moved(writer->loop, (size_t)n);
    return buffer_length(&writer->out) > 0;
}

void answer_writer_end(struct answer_writer *writer)
{
    buffer_free(&writer->out);
}
