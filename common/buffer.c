/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Growable buffers under one budget. The budget counts what is allocated, not what is used, because
 * that is what the machine has to provide.
 *
 * Passwords pass through these buffers. So consumed bytes are overwritten, and memory holds none
 * when it is freed: a small block is wiped, and a large one is unmapped. No function takes longer
 * because a buffer is large; a client with 64 MiB of them holds up nobody.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buffer.h"

/*
 * Size of the second allocation. What does not fit into the first is probably large, and from here
 * twelve doublings reach 64 MiB.
 */
#define SECOND_SIZE (16 * 1024)

/*
 * Blocks of this size or more get a mapping of their own: they grow without being copied, and
 * freeing them returns the memory to the kernel. By itself, malloc would raise this threshold to as
 * much as 32 MiB when large blocks are freed; then buffers lie in the heap, the holes between them
 * stay, and the process takes a third more than the budget.
 */
#define MAPPED_SIZE ((size_t)256 * 1024)

/* When no more than this is left in a large block, it moves to a smaller one. */
#define SMALL_REST ((size_t)64 * 1024)

/* How much free heap malloc keeps; without it, each reply of about 100 KB would page it in again.
 */
#define HEAP_KEPT ((size_t)4 * 1024 * 1024)

/*
 * While there are long lines, a block that becomes unused may be kept for the next one, up to this
 * fraction of the budget (1/8): wiping a page takes a fifth of the time of returning it to the
 * kernel and getting it back.
 */
#define SPARE_SHARE 8

/* A buffer larger than this grows by mremap; copying it to a kept block would take longer. */
#define COPIED_MOST (2 * MAPPED_SIZE)

/* An unused mapping. This note is at its start. */
struct block {
    struct block *next;
    size_t size;
    size_t end;      /* there is nothing to wipe behind this offset */
    size_t released; /* bytes that have been wiped, or returned to the kernel */
    size_t held;     /* bytes that have not been returned to the kernel */
    bool keep;       /* it is being wiped, to be kept */
};

struct blocks {
    struct block *first;
    size_t held; /* by all of them */
};

/* Blocks that are being wiped or returned, and those that are kept. */
static struct blocks dropped, spare;

static struct {
    size_t ordinary; /* bytes allocated by buffers that are not reserved */
    size_t reserved; /* bytes allocated by those that are */
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

size_t buffers_unused(void)
{
    return dropped.held + spare.held;
}

/* The counter for this kind of buffer. */
static size_t *account(bool reserved)
{
    return reserved ? &budget.reserved : &budget.ordinary;
}

/* How many more bytes buffers of this kind may allocate. */
static size_t left_for(bool reserved)
{
    size_t taken = buffers_used() + buffers_unused();
    size_t left = budget.limit > taken ? budget.limit - taken : 0;
    size_t reserve = budget.reserved < BUFFERS_RESERVE ? BUFFERS_RESERVE - budget.reserved : 0;
    if (!reserved)
        return left;
    return left > SIZE_MAX - reserve ? SIZE_MAX : left + reserve;
}

/* Whether the block has a mapping of its own, so that freeing it leaves no secret in the heap. */
static bool is_mapped(const struct buffer *buffer)
{
    return buffer->size >= MAPPED_SIZE;
}

/* --- Returning memory ------------------------------------------------------------------------- */

static void push(struct blocks *blocks, struct block *block)
{
    block->next = blocks->first;
    blocks->first = block;
    blocks->held += block->held;
}

static struct block *pop(struct blocks *blocks, struct block **at)
{
    struct block *block = *at;
    *at = block->next;
    blocks->held -= block->held;
    return block;
}

static void drop(const struct buffer *buffer)
{
    struct block *block = (void *)buffer->data;
    *block = (struct block){.size = buffer->size, .end = buffer->end, .held = buffer->size};
    push(&dropped, block);
}

/* Returns pages to the kernel. If that fails, they are returned with the whole block. */
static void take_pages(struct block *block, uintptr_t from, size_t length)
{
    if (madvise((void *)from, length, MADV_DONTNEED) < 0)
        return;
    block->held -= length;
    dropped.held -= length;
}

/* Wipes or returns up to `most` bytes of a dropped block, rounded up to pages where they are
 * returned. Returns whether there are more. */
static bool release_some(struct block *block, size_t most)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)block;
    uintptr_t from = start + sizeof(*block) + block->released;
    uintptr_t end = start + (block->keep ? block->end : block->size);
    if (!block->keep) { /* the first page holds `block` itself */
        from = (from + page - 1) / page * page;
        most = most < SIZE_MAX - page ? (most + page - 1) / page * page : most;
    }
    bool last = end <= from || end - from <= most;
    if (block->keep && end > from)
        explicit_bzero((void *)from, last ? end - from : most);
    else if (!last) /* the last pages are returned with the whole block */
        take_pages(block, from, most);
    block->released += most;
    return !last;
}

static bool is_to_be_kept(const struct block *block)
{
    return spare.held + block->size <= budget.limit / SPARE_SHARE;
}

void buffers_release(size_t most, bool keep)
{
    while (!keep && spare.first != NULL) {
        struct block *block = pop(&spare, &spare.first);
        block->keep = false;
        push(&dropped, block);
    }
    struct block *first = dropped.first;
    if (first == NULL)
        return;
    if (first->released == 0)
        first->keep = keep && is_to_be_kept(first);
    if (release_some(first, most))
        return;
    (void)pop(&dropped, &dropped.first);
    if (first->keep) {
        first->released = 0;
        push(&spare, first);
        return;
    }
    free(first);
}

/* Takes the largest kept block, if it has at least `size` bytes; else NULL. */
static struct block *take_spare(size_t size)
{
    struct block **largest = NULL;
    for (struct block **at = &spare.first; *at != NULL; at = &(*at)->next)
        if ((*at)->size >= size && (largest == NULL || (*at)->size > (*largest)->size))
            largest = at;
    return largest != NULL ? pop(&spare, largest) : NULL;
}

/*
 * Frees the buffer's block and takes it off the account. Only the bytes up to `end` may hold
 * something: in a small block, consumed bytes have been wiped already; a large block is dropped.
 */
static void discard(const struct buffer *buffer)
{
    if (buffer->data == NULL)
        return;
    *account(buffer->reserved) -= buffer->size;
    if (is_mapped(buffer)) {
        drop(buffer);
        return;
    }
    explicit_bzero(buffer->data, buffer->end);
    free(buffer->data);
}

/* --- Growing and shrinking -------------------------------------------------------------------- */

/* Moves the buffer's contents to the start of another block, which has not been accounted for. */
static void move(struct buffer *buffer, char *data, size_t size)
{
    size_t length = buffer_length(buffer);
    if (length > 0)
        memcpy(data, buffer->data + buffer->start, length);
    discard(buffer);
    *account(buffer->reserved) += size;
    buffer->data = data;
    buffer->size = size;
    buffer->end = length;
    buffer->scanned -= buffer->start;
    buffer->start = 0;
}

/* Like realloc(), but wipes what it leaves. 0 or -ENOMEM. */
static int reallocate(struct buffer *buffer, size_t size)
{
    char *data;
    if (is_mapped(buffer) && size >= MAPPED_SIZE) {
        if ((data = realloc(buffer->data, size)) == NULL)
            return -ENOMEM;
        *account(buffer->reserved) += size - buffer->size;
        buffer->data = data;
        buffer->size = size;
    } else {
        if ((data = malloc(size)) == NULL)
            return -ENOMEM;
        move(buffer, data, size);
    }
    return 0;
}

/*
 * Whether the budget has room for so many more bytes. If need be, unused memory is returned first,
 * but no more than needed, because returning all of it may take milliseconds.
 */
static bool is_within_budget(const struct buffer *buffer, size_t more)
{
    size_t left;
    while (more > (left = left_for(buffer->reserved)) && buffers_unused() > 0)
        buffers_release(more - left, false);
    return more <= left;
}

/* Enlarges the block. 0, -ENOBUFS or -ENOMEM. */
static int grow(struct buffer *buffer, size_t size)
{
    bool may_take = size >= MAPPED_SIZE && buffer->size <= COPIED_MOST;
    struct block *block = may_take ? take_spare(size) : NULL;
    if (block != NULL) {
        move(buffer, (char *)block, block->size);
        return 0;
    }
    return is_within_budget(buffer, size - buffer->size) ? reallocate(buffer, size) : -ENOBUFS;
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

/* The size of the allocation that follows one of `size`. */
static size_t next_size(size_t size)
{
    return size == 0 ? BUFFER_KEPT : size < SECOND_SIZE ? SECOND_SIZE : 2 * size;
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
    size_t size = next_size(buffer->size);
    while (size < needed) {
        if (size > SIZE_MAX / 2)
            return -ENOMEM;
        size *= 2;
    }
    move_to_front(buffer);
    int r = grow(buffer, size);
    /* When the budget is nearly exhausted, a smaller step may fit although doubling does not. */
    if (r == -ENOBUFS && size > needed + SECOND_SIZE)
        r = grow(buffer, needed + SECOND_SIZE);
    if (r == -ENOBUFS && buffer->size + left_for(buffer->reserved) >= needed)
        r = grow(buffer, buffer->size + left_for(buffer->reserved));
    return r;
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

ssize_t buffer_receive(struct buffer *buffer, int fd, size_t most, bool *more)
{
    *more = false;
    int r = buffer_reserve(buffer, 1);
    if (r < 0)
        return r;
    size_t room = buffer->size - buffer->end;
    if (room > most)
        room = most;
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

ssize_t buffer_send(struct buffer *buffer, int fd, size_t most)
{
    size_t length = buffer_length(buffer) < most ? buffer_length(buffer) : most;
    ssize_t n;
    do
        n = send(fd, buffer->data + buffer->start, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0 && buffer_length(buffer) > 0)
        return -EPIPE; /* the kernel took nothing and gave no reason: the peer is hanging up */
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

/* If there is no memory for a smaller block, the large one simply stays in use. */
static void shrink(struct buffer *buffer)
{
    size_t size = BUFFER_KEPT;
    while (size < buffer_length(buffer))
        size = next_size(size);
    if (buffer->size > size)
        (void)reallocate(buffer, size);
}

void buffer_truncate(struct buffer *buffer, size_t length)
{
    buffer->end = buffer->start + length;
    if (buffer->scanned > buffer->end)
        buffer->scanned = buffer->end;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    if (length > 0 && !is_mapped(buffer))
        explicit_bzero(buffer->data + buffer->start, length);
    buffer->start += length;
    if (buffer->scanned < buffer->start)
        buffer->scanned = buffer->start;
    if (is_mapped(buffer)) {
        if (buffer_length(buffer) <= SMALL_REST)
            shrink(buffer);
    } else if (buffer_length(buffer) == 0) {
        buffer->start = buffer->scanned = buffer->end = 0;
        shrink(buffer);
    }
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
    *buffer = (struct buffer){.data = NULL, .reserved = buffer->reserved};
}
