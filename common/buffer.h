/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growable buffer of bytes that is read into at its end and taken from at its front, line by
 * line. It gives its memory back once it is empty, but for BUFFER_KEPT bytes, so that a course dump
 * does not stay in memory and a small request costs no allocation.
 *
 * All buffers together stay within one budget (DESIGN.md rule 4): growth past it fails, and who
 * asked decides what to tell its client. Behind it lies a reserve for those few buffers that must
 * work just then: whoever asks why requests are refused is to be answered.
 */
#ifndef LONC_COMMON_BUFFER_H
#define LONC_COMMON_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The first allocation, and what an empty buffer keeps: most requests and replies fit. */
#define BUFFER_KEPT 1024

/* What all reserved buffers together may take beside the budget; more of theirs is of the budget.
 */
#define BUFFERS_RESERVE ((size_t)2 * 1024 * 1024)

struct buffer {
    char *data;
    size_t start;   /* first byte not taken yet */
    size_t scanned; /* up to here there is no LF */
    size_t end;     /* behind the last byte */
    size_t size;    /* allocated */
    bool reserved;  /* may take of the reserve; set while the buffer is new, and for good */
};

/* The budget of all buffers of this process, in bytes. Lowering it frees nothing. */
void buffers_set_limit(size_t limit);

/* What of the budget is in use, in bytes; what the reserve holds is no part of it. */
size_t buffers_used(void);

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Makes room for `room` more bytes behind the end. 0, -ENOBUFS past the budget, or -ENOMEM. */
int buffer_reserve(struct buffer *buffer, size_t room);

/* Appends bytes; errors as buffer_reserve, and then the buffer is as it was. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);

/*
 * One recv(MSG_DONTWAIT) from `fd` into the buffer, which grows when it is full. Returns the number
 * of bytes, 0 at the end of the stream, or a negative errno (-EAGAIN: nothing there; -ENOBUFS and
 * -ENOMEM: no room, nothing was read). Sets *more when the room was filled, so that more may wait.
 */
ssize_t buffer_receive(struct buffer *buffer, int fd, bool *more);

/*
 * One send(MSG_DONTWAIT) of what the buffer holds; takes away what the kernel took. Returns the
 * number of bytes taken or a negative errno: -EPIPE too where it took none and gave no reason.
 */
ssize_t buffer_send(struct buffer *buffer, int fd);

/*
 * The first whole line, LF included: its length, or 0 while there is none. It starts at
 * data + start and stays there until the buffer changes. Only new bytes are searched.
 */
size_t buffer_line(struct buffer *buffer);

/* Takes `length` bytes from the front; an empty buffer gives back what it has beyond BUFFER_KEPT.
 */
void buffer_consume(struct buffer *buffer, size_t length);

/* Both of them reserved, or neither. */
void buffer_swap(struct buffer *one, struct buffer *other);

/* Frees the memory; the buffer is then empty and may be used again. */
void buffer_free(struct buffer *buffer);

#endif
