/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looking at deferred files, and reading them under a lease.
 */
#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <string.h>
#include <unistd.h>

#include "keeper/deferred/delayed_read.h"

/* --- Identity --------------------------------------------------------------------------------- */

struct delayed_identity delayed_identity_of(const struct stat *status)
{
    return (struct delayed_identity){
        .device = status->st_dev,
        .inode = status->st_ino,
        .size = status->st_size,
        .modified = status->st_mtim,
        .changed = status->st_ctim,
    };
}

static bool is_same_time(const struct timespec *one, const struct timespec *other)
{
    return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
}

/* Not by the time of change, which a rename sets too. */
bool delayed_is_same_content(const struct delayed_identity *one,
                             const struct delayed_identity *other)
{
    return one->device == other->device && one->inode == other->inode && one->size == other->size &&
           is_same_time(&one->modified, &other->modified);
}

bool delayed_is_same(const struct delayed_identity *one, const struct delayed_identity *other)
{
    return delayed_is_same_content(one, other) && is_same_time(&one->changed, &other->changed);
}

/* --- Looking and reading ---------------------------------------------------------------------- */

static enum delayed_result corrupt(struct delayed_found *found, const char *why)
{
    found->why = why;
    return DELAYED_CORRUPT;
}

/* An error of open, read or stat never sets a file aside: only what the file is does. */
static enum delayed_result not_now(struct delayed_found *found, int error)
{
    found->error = -error;
    return error == ENOENT ? DELAYED_GONE : DELAYED_NOT_NOW;
}

static enum delayed_result check_type(mode_t mode, struct delayed_found *found)
{
    if (S_ISLNK(mode))
        return corrupt(found, "is a symbolic link");
    return S_ISREG(mode) ? DELAYED_READ : corrupt(found, "is not a regular file");
}

enum delayed_result delayed_look(int folder, const char *name, struct delayed_found *found)
{
    struct stat status;
    *found = (struct delayed_found){.error = 0};
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return not_now(found, errno);
    found->is = delayed_identity_of(&status);
    return check_type(status.st_mode, found);
}

/* Reads to the end, or one byte past `size`, to notice a file that grows. */
static int read_to_end(int fd, size_t size, struct buffer *buffer, size_t *length)
{
    ssize_t n;
    *length = 0;
    while (*length <= size && (n = read(fd, buffer->data + buffer->end, size + 1 - *length)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        *length += (size_t)n;
        buffer->end += (size_t)n;
    }
    return 0;
}

static enum delayed_result read_content(int fd, uint64_t line_limit, struct buffer *buffer,
                                        struct delayed_found *found)
{
    size_t size = (size_t)found->is.size, length;
    if ((uint64_t)size > line_limit)
        return corrupt(found, "is over the line limit");
    /* One byte to notice that it grows, one for the LF. */
    int r = buffer_reserve(buffer, size + 2);
    if (r < 0)
        return not_now(found, ENOMEM);
    r = read_to_end(fd, size, buffer, &length);
    if (r < 0)
        return not_now(found, -r);
    if (length == 0)
        return DELAYED_EMPTY;
    if (length != size)
        return DELAYED_OPEN;
    char *text = buffer->data + buffer->start;
    const char *lf = memchr(text, '\n', length);
    if (lf == NULL && length == line_limit)
        return corrupt(found, "is over the line limit");
    if (lf == NULL)
        buffer->data[buffer->end++] = '\n';
    else if (lf != text + length - 1)
        return corrupt(found, "has several lines");
    return DELAYED_READ;
}

/*
 * The kernel grants a read lease only while nobody has the file open for writing. Whoever opens it
 * for writing meanwhile breaks the lease and waits, for a moment, until we close the file.
 */
static enum delayed_result read_leased(int fd, uint64_t line_limit, struct buffer *buffer,
                                       struct delayed_found *found)
{
    struct stat after;
    bool leased = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
    if (!leased && errno == EAGAIN)
        return DELAYED_OPEN;
    found->writer_unknown = !leased;
    enum delayed_result result = read_content(fd, line_limit, buffer, found);
    bool broken = leased && fcntl(fd, F_GETLEASE) != F_RDLCK;
    if (fstat(fd, &after) < 0)
        return not_now(found, errno);
    struct delayed_identity now = delayed_identity_of(&after);
    return broken || !delayed_is_same(&found->is, &now) ? DELAYED_OPEN : result;
}

enum delayed_result delayed_read(int folder, const char *name, uint64_t line_limit,
                                 struct buffer *buffer, struct delayed_found *found)
{
    struct stat status;
    *found = (struct delayed_found){.error = 0};
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return corrupt(found, "is a symbolic link");
    if (fd < 0 && errno == ENXIO)
        return corrupt(found, "is not a regular file");
    if (fd < 0)
        return not_now(found, errno);
    enum delayed_result result;
    if (fstat(fd, &status) < 0) {
        result = not_now(found, errno);
    } else {
        found->is = delayed_identity_of(&status);
        result = check_type(status.st_mode, found);
        if (result == DELAYED_READ)
            result = read_leased(fd, line_limit, buffer, found);
    }
    close(fd); /* also ends the lease */
    return result;
}

void delayed_digest(const char *content, size_t length, unsigned char digest[DELAYED_DIGEST_SIZE])
{
    gcry_md_hash_buffer(GCRY_MD_SHA256, digest, content, length);
}
