/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growable buffer of bytes that is read into at its end and taken from at its front, line by
 * line. It gives its memory back once it is empty, but for BUFFER_KEPT bytes, so that a course dump
 * does not stay in memory and a small request costs no allocation.
 *
 * All buffers together stay within one budget (keeper/README.md rule 4): growth past it fails, and
 * who asked decides what to tell its client. Behind it lies a reserve for those few buffers that
 * must work just then: whoever asks why requests are refused is to be answered.
 */
#ifndef LONC_COMMON_BUFFER_H
#define LONC_COMMON_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/attributes.h"

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

/*
 * Memory of large buffers that nobody uses any more goes back to the kernel a piece at a time,
 * since 64 MiB at once take it milliseconds; or, with `keep`, some of it is wiped, a piece at a
 * time, and kept for the next buffers. Where the budget is short of it, as much as is needed goes
 * at once. buffers_unused is how much there is; buffers_release deals with some `most` bytes.
 */
size_t buffers_unused(void);
void buffers_release(size_t most, bool keep);

/* What of the budget is in use, in bytes; what the reserve holds is no part of it, nor what nobody
 * uses any more. */
size_t buffers_used(void);

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Makes room for `room` more bytes behind the end. 0, -ENOBUFS past the budget, or -ENOMEM. */
MUST_CHECK int buffer_reserve(struct buffer *buffer, size_t room);

/* Appends bytes; errors as buffer_reserve, and then the buffer is as it was. */
MUST_CHECK int buffer_append(struct buffer *buffer, const void *bytes, size_t length);

/*
 * One recv(MSG_DONTWAIT) of at most `most` bytes from `fd` into the buffer, which grows when it is
 * full. Returns the number of bytes, 0 at the end of the stream, or a negative errno (-EAGAIN:
 * nothing there; -ENOBUFS and -ENOMEM: no room, nothing was read). Sets *more when as many came as
 * could, so that more may wait.
 */
MUST_CHECK ssize_t buffer_receive(struct buffer *buffer, int fd, size_t most, bool *more);

/*
 * One send(MSG_DONTWAIT) of at most `most` bytes of what the buffer holds; takes away what the
 * kernel took. Returns the number of bytes taken or a negative errno: -EPIPE too where it took none
 * and gave no reason.
 */
MUST_CHECK ssize_t buffer_send(struct buffer *buffer, int fd, size_t most);

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
