/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growable buffer of bytes: data is received at its end and consumed at its front, line by line.
 * An empty buffer keeps BUFFER_KEPT bytes of memory, so that a small request costs no allocation,
 * and gives back the rest, so that a course dump does not stay in memory.
 *
 * All buffers together stay within one budget (keeper/README.md rule 4). Growth beyond it fails,
 * and the caller decides what to tell its client. Beside the budget there is a reserve for the few
 * buffers that must work even then: those of the control socket, so that administrators learn why
 * requests are refused.
 */
#ifndef LONC_COMMON_BUFFER_H
#define LONC_COMMON_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/attributes.h"

/* Size of the first allocation, in which most requests and replies fit; an empty buffer keeps it.
 */
#define BUFFER_KEPT 1024

/* Size of the reserve. What the reserved buffers need beyond it counts against the budget. */
#define BUFFERS_RESERVE ((size_t)2 * 1024 * 1024)

struct buffer {
    char *data;
    size_t start;   /* offset of the first byte that has not been consumed */
    size_t scanned; /* there is no LF between `start` and this offset */
    size_t end;     /* offset behind the last byte */
    size_t size;    /* of the allocation */
    bool reserved;  /* may use the reserve; set before the first use and never changed */
};

/* Sets the budget of all buffers of this process, in bytes. Lowering it frees nothing. */
void buffers_set_limit(size_t limit);

/*
 * Returning the memory of a large buffer to the kernel takes milliseconds (for 64 MiB), so the
 * memory is first put aside and then returned piece by piece. buffers_unused() is the number of
 * bytes put aside. buffers_release() returns about `most` bytes of them; with `keep`, it wipes
 * about `most` bytes instead, and part of the memory is kept for later buffers. If a buffer needs
 * memory that the budget lacks, as much as it needs is returned at once.
 */
size_t buffers_unused(void);
void buffers_release(size_t most, bool keep);

/* Bytes of the budget in use. Neither the reserve nor what has been put aside counts. */
size_t buffers_used(void);

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Makes room for `room` more bytes at the end. 0, -ENOBUFS (the budget is exhausted), or -ENOMEM.
 */
MUST_CHECK int buffer_reserve(struct buffer *buffer, size_t room);

/* Appends bytes. Fails as buffer_reserve() does, and then the buffer is unchanged. */
MUST_CHECK int buffer_append(struct buffer *buffer, const void *bytes, size_t length);

/*
 * Calls recv(MSG_DONTWAIT) once, for at most `most` bytes from `fd`; a full buffer grows first.
 * Returns the number of bytes, 0 at the end of the stream, or a negative errno (-EAGAIN: there is
 * nothing to read; -ENOBUFS or -ENOMEM: there is no room, and nothing was read). Sets *more if the
 * bytes filled the room, so that more may be waiting.
 */
MUST_CHECK ssize_t buffer_receive(struct buffer *buffer, int fd, size_t most, bool *more);

/*
 * Calls send(MSG_DONTWAIT) once, for at most `most` bytes from the front of the buffer, and
 * consumes what the kernel accepted. Returns that number of bytes, or a negative errno; -EPIPE also
 * if the kernel accepted nothing without giving a reason.
 */
MUST_CHECK ssize_t buffer_send(struct buffer *buffer, int fd, size_t most);

/*
 * Returns the length of the first complete line, including its LF, or 0 if there is none. The line
 * starts at data + start and stays there until the buffer changes. Bytes are searched only once,
 * however often this is called.
 */
size_t buffer_line(struct buffer *buffer);

/* Keeps the first `length` bytes, of which there are at least so many, and forgets those behind. */
void buffer_truncate(struct buffer *buffer, size_t length);

/* Removes `length` bytes from the front. An empty buffer gives back what it has beyond BUFFER_KEPT.
 */
void buffer_consume(struct buffer *buffer, size_t length);

/* Exchanges the contents. Either both buffers are reserved, or neither is. */
void buffer_swap(struct buffer *one, struct buffer *other);

/* Frees the memory. The buffer is empty then and may be used again. */
void buffer_free(struct buffer *buffer);

#endif
