/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a client's lines, one at a time. The line being served stays at the front of the buffer, so
 * that a request can be sent from where it was read; what the client has pipelined behind it waits
 * there or in the socket.
 *
 * A line that will not be kept (there is no memory for it, or it is too long for its purpose) is
 * still read to its end and dropped, because the client must have written all of it before it looks
 * for the answer, and what follows must not be taken for a line of its own.
 *
 * This is no judge of lines: client.c decides which are too long, and what is answered.
 */
#ifndef LONC_KEEPER_CLIENT_LINE_READER_H
#define LONC_KEEPER_CLIENT_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buffer.h"
#include "keeper/core/core.h"

struct line_reader {
    struct core *core;
    int fd; /* the client's, which closes it */
    struct buffer in;
    struct grower grower; /* competes for memory once the line is long */
    size_t served;        /* length of the line being served, which is at the front of `in` */
    size_t dropped;       /* so many bytes of the line being dropped were read */
    bool dropping;
    bool readable;    /* there may be something to read */
    bool half_closed; /* the client sends no more; what it has sent may still be unread */
    bool finished;    /* the end of the stream was read */
};

/* What line_reader_receive has come to. */
enum line_event {
    LINE_MORE,      /* look again: there may be a whole line now, or more to read */
    LINE_WAIT,      /* nothing can be read now */
    LINE_DROPPED,   /* the line being dropped has ended */
    LINE_NO_MEMORY, /* nothing was read, because there is no memory for a longer line */
    LINE_FINISHED,  /* the client sends no more; what is left in the buffer is no line */
};

/*
 * Begins to read from `fd`, which is borrowed. `reader` is zeroed memory, or was released: then the
 * memory of its buffer is used again. `may_grow` is called when a reader that had to wait for
 * memory may go on.
 */
void line_reader_begin(struct line_reader *reader, struct core *core, int fd,
                       void (*may_grow)(struct grower *grower));

/* Reads no more. The line being served stays where it is until line_reader_release. */
void line_reader_stop(struct line_reader *reader);

/* Empties the buffer, which keeps BUFFER_KEPT bytes for the next line_reader_begin. */
void line_reader_release(struct line_reader *reader);

/* Frees the buffer. */
void line_reader_free(struct line_reader *reader);

/* Epoll's events for the socket: EPOLLIN and EPOLLRDHUP are of interest here. */
void line_reader_notify(struct line_reader *reader, uint32_t events);

/* Reads once, `most` bytes. Only while no line is being served. */
MUST_CHECK enum line_event line_reader_receive(struct line_reader *reader, size_t most);

/* The length of the whole line at the front, LF included; 0 while there is none. */
size_t line_reader_complete(struct line_reader *reader);

/* How much of an incomplete line was read so far, dropped bytes included. */
size_t line_reader_incomplete(const struct line_reader *reader);

/* Whether the client has begun a line that is not complete. */
bool line_reader_has_begun(const struct line_reader *reader);

/* Whether reading on is work for a portion (struct bulk), since the line is long or dropped. */
bool line_reader_is_long(const struct line_reader *reader);

/*
 * The line of this length, at the front, is being served: it stays where it is, at the address
 * returned, until line_reader_served.
 */
const char *line_reader_serve(struct line_reader *reader, size_t length);
void line_reader_served(struct line_reader *reader);

/* The line that has begun will not be kept: what was read of it goes, and the rest will. */
void line_reader_drop(struct line_reader *reader);

/*
 * Takes nothing that is written from now on, which fails at the client; what was written before is
 * still read.
 */
void line_reader_shut(struct line_reader *reader);

#endif
