/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Growable buffers under one budget. The budget counts what is allocated, not what is used: that is
 * what the machine has to have.
 *
 * Passwords pass through here. So bytes that are taken are overwritten, and memory that is given
 * back holds none: what lies in it is wiped, or it goes back to the system with all that it holds.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buffer.h"

/*
 * What does not fit into the first allocation is probably large: the second step is this one, and
 * doubling from there reaches 64 MiB in twelve.
 */
#define SECOND_SIZE (16 * 1024)

/*
 * From this size on memory is mapped for itself, and goes back to the system when it is freed. The
 * allocator by itself would raise this size up to 32 MiB as large buffers are freed; then they lie
 * in the heap, the holes between them stay, and the process takes a third more than the budget.
 */
#define MAPPED_SIZE ((size_t)1024 * 1024)

/* So much of the heap is kept though it is free, or each reply of some 100 KB would page it in. */
#define HEAP_KEPT (4 * MAPPED_SIZE)

static struct {
    size_t ordinary; /* bytes of the buffers that are not reserved */
    size_t reserved; /* ... and of those that are */
    size_t limit;
} budget = {.limit = SIZE_MAX};

void buffers_set_limit(size_t limit)
{
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_SIZE);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
    budget.limit = limit;
}

size_t buffers_used(void)
{
    return budget.ordinary +
           (budget.reserved > BUFFERS_RESERVE ? budget.reserved - BUFFERS_RESERVE : 0);
}

/* Where the bytes of this kind of buffers are counted. */
static size_t *account(bool reserved)
{
    return reserved ? &budget.reserved : &budget.ordinary;
}

/* How much more the buffers of this kind may take. */
static size_t left_for(bool reserved)
{
    size_t used = buffers_used();
    size_t left = budget.limit > used ? budget.limit - used : 0;
    size_t reserve = budget.reserved < BUFFERS_RESERVE ? BUFFERS_RESERVE - budget.reserved : 0;
    if (!reserved)
        return left;
    return left > SIZE_MAX - reserve ? SIZE_MAX : left + reserve;
}

/* Whether this memory is the kernel's again, with what it holds, as soon as it is freed. */
static bool is_mapped(const struct buffer *buffer)
{
    return buffer->size >= MAPPED_SIZE;
}

/* As free(). The bytes up to `end` are all that may be there: what was taken is wiped already. */
static void discard(const struct buffer *buffer)
{
    if (buffer->data != NULL && !is_mapped(buffer))
        explicit_bzero(buffer->data, buffer->end);
    free(buffer->data);
}

/* As realloc(). */
static char *move(const struct buffer *buffer, size_t size)
{
    if (is_mapped(buffer) && size >= MAPPED_SIZE)
        return realloc(buffer->data, size);
    char *data = malloc(size);
    if (data == NULL)
        return NULL;
    if (buffer->end > 0)
        memcpy(data, buffer->data, buffer->end);
    discard(buffer);
    return data;
}

/* Makes the memory larger, or that of an empty buffer smaller. */
static int resize(struct buffer *buffer, size_t size)
{
    size_t *used = account(buffer->reserved);
    if (size > buffer->size && size - buffer->size > left_for(buffer->reserved))
        return -ENOBUFS;
    char *data = move(buffer, size);
    if (data == NULL)
        return -ENOMEM;
    *used += size;
    *used -= buffer->size;
    buffer->data = data;
    buffer->size = size;
    return 0;
}

static void move_to_front(struct buffer *buffer)
{
    if (buffer->start == 0)
        return;
    size_t length = buffer_length(buffer);
    memmove(buffer->data, buffer->data + buffer->start, length);
    explicit_bzero(buffer->data + length, buffer->end - length);
    buffer->end = length;
    buffer->scanned -= buffer->start;
    buffer->start = 0;
}

int buffer_reserve(struct buffer *buffer, size_t room)
{
    if (buffer->size - buffer->end >= room)
        return 0;
    size_t needed = buffer_length(buffer) + room;
    if (buffer->size >= needed) {
        move_to_front(buffer);
        return 0;
    }
    size_t size = buffer->size == 0            ? BUFFER_KEPT
                  : buffer->size < SECOND_SIZE ? SECOND_SIZE
                                               : buffer->size;
    while (size < needed) {
        if (size > SIZE_MAX / 2)
            return -ENOMEM;
        size *= 2;
    }
    move_to_front(buffer);
    int r = resize(buffer, size);
    /* Near the budget's edge a smaller step may fit where the doubling does not. */
    if (r == -ENOBUFS && size > needed + SECOND_SIZE)
        r = resize(buffer, needed + SECOND_SIZE);
    return r == -ENOBUFS && size > needed ? resize(buffer, needed) : r;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    int r = buffer_reserve(buffer, length);
    if (r < 0)
        return r;
    if (length > 0)
        memcpy(buffer->data + buffer->end, bytes, length);
    buffer->end += length;
    return 0;
}

ssize_t buffer_receive(struct buffer *buffer, int fd, bool *more)
{
    *more = false;
    int r = buffer_reserve(buffer, 1);
    if (r < 0)
        return r;
    size_t room = buffer->size - buffer->end;
    ssize_t n;
    do
        n = recv(fd, buffer->data + buffer->end, room, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    buffer->end += (size_t)n;
    *more = (size_t)n == room;
    return n;
}

ssize_t buffer_send(struct buffer *buffer, int fd)
{
    ssize_t n;
    do
        n = send(fd, buffer->data + buffer->start, buffer_length(buffer),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0 && buffer_length(buffer) > 0)
        return -EPIPE; /* nothing taken, and no reason: the peer is hanging up */
    buffer_consume(buffer, (size_t)n);
    return n;
}

size_t buffer_line(struct buffer *buffer)
{
    if (buffer->scanned == buffer->end)
        return 0;
    const char *from = buffer->data + buffer->scanned;
    const char *lf = memchr(from, '\n', buffer->end - buffer->scanned);
    if (lf == NULL) {
        buffer->scanned = buffer->end;
        return 0;
    }
    buffer->scanned = (size_t)(lf - buffer->data);
    return buffer->scanned + 1 - buffer->start;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    bool last = length == buffer_length(buffer);
    if (length > 0 && !(last && is_mapped(buffer)))
        explicit_bzero(buffer->data + buffer->start, length);
    buffer->start += length;
    if (buffer->scanned < buffer->start)
        buffer->scanned = buffer->start;
    if (!last)
        return;
    buffer->start = buffer->scanned = buffer->end = 0;
    /* Should there be no memory for a smaller one, the large one simply stays in use. */
    if (buffer->size > BUFFER_KEPT)
        (void)resize(buffer, BUFFER_KEPT);
}

void buffer_swap(struct buffer *one, struct buffer *other)
{
    struct buffer kept = *one;
    *one = *other;
    *other = kept;
}

void buffer_free(struct buffer *buffer)
{
    discard(buffer);
    *account(buffer->reserved) -= buffer->size;
    *buffer = (struct buffer){.data = NULL, .reserved = buffer->reserved};
}
