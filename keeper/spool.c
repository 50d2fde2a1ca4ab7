/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading, setting aside and storing deferred files. Each step leaves the folder in a state from
 * which a keeper that starts anew goes on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/names.h"
#include "keeper/request.h"
#include "keeper/spool.h"

/* Files not yet whole; a folder of its own can be swept without reading a million names. */
#define STORING "storing"

/* Files of one name set aside before one is left where it is: more means something else is wrong.
 */
#define NAMES_TRIED 100

/* --- Names ------------------------------------------------------------------------------------ */

int spool_compare(const struct spool_order *one, const struct spool_order *other)
{
    if (one->epoch != other->epoch)
        return one->epoch < other->epoch ? -1 : 1;
    if (one->count != other->count)
        return one->count < other->count ? -1 : 1;
    return 0;
}

static const char *parse_number(const char *text, uint64_t *number)
{
    char *end;
    if (*text < '0' || *text > '9')
        return NULL;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *end == '.' ? end + 1 : NULL;
}

const char *spool_parse_name(const char *name, struct spool_order *order)
{
    const char *rest = parse_number(name, &order->epoch);
    if (rest == NULL || (rest = parse_number(rest, &order->count)) == NULL)
        return NULL;
    const char *dot = strrchr(rest, '.');
    const char *host = dot != NULL ? dot + 1 : rest;
    return name_is_valid(host) ? host : NULL;
}

const char *spool_longer_host(const char *name, const char *host)
{
    struct spool_order order;
    const char *start = parse_number(name, &order.epoch);
    start = start != NULL ? parse_number(start, &order.count) : NULL;
    if (start == NULL || host - start < 2)
        return NULL;
    host -= 2; /* the last byte of the component on the left */
    while (host > start && host[-1] != '.')
        host--;
    return name_is_valid(host) ? host : NULL;
}

int spool_open(const char *path)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fd;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static enum spool_result read_content(int fd, size_t size, uint64_t line_limit,
                                      struct buffer *buffer, const char **why)
{
    /* One more byte than there should be, to see a file that grows; one for the LF. */
    if (buffer_reserve(buffer, size + 2) < 0)
        return SPOOL_NOT_NOW;
    size_t length = 0;
    ssize_t n;
    while (length <= size && (n = read(fd, buffer->data + buffer->end, size + 1 - length)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            *why = "cannot be read";
            return SPOOL_CORRUPT;
        }
        length += (size_t)n;
        buffer->end += (size_t)n;
    }
    if (length == 0)
        return SPOOL_EMPTY;
    if (length > size) /* somebody is writing it still */
        return SPOOL_NOT_NOW;
    char *text = buffer->data + buffer->start;
    const char *lf = memchr(text, '\n', length);
    if (lf == NULL && length == line_limit) {
        *why = "is over the line limit";
        return SPOOL_CORRUPT;
    }
    if (lf == NULL)
        buffer->data[buffer->end++] = '\n';
    else if (lf != text + length - 1) {
        *why = "has several lines";
        return SPOOL_CORRUPT;
    }
    return SPOOL_READ;
}

enum spool_result spool_read(int folder, const char *name, uint64_t line_limit,
                             struct buffer *buffer, ino_t *inode, const char **why)
{
    struct stat status;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return SPOOL_GONE;
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        return SPOOL_NOT_NOW;
    if (fd < 0) {
        *why = errno == ELOOP ? "is a symbolic link" : "cannot be opened";
        return SPOOL_CORRUPT;
    }
    enum spool_result result = SPOOL_CORRUPT;
    if (fstat(fd, &status) < 0)
        *why = "cannot be examined";
    else if (!S_ISREG(status.st_mode))
        *why = "is no regular file";
    else if (status.st_size < 0 || (uint64_t)status.st_size > line_limit)
        *why = "is over the line limit";
    else
        result = read_content(fd, (size_t)status.st_size, line_limit, buffer, why);
    close(fd);
    if (result == SPOOL_READ)
        *inode = status.st_ino;
    return result;
}

/* --- Removing --------------------------------------------------------------------------------- */

static bool remove_held(int folder, const char *name, ino_t inode)
{
    char held[PATH_MAX];
    struct stat status;
    snprintf(held, sizeof(held), SPOOL_HELD_FOLDER "/%s", name);
    return fstatat(folder, held, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == inode &&
           unlinkat(folder, held, 0) == 0;
}

int spool_remove(int folder, const char *name, ino_t inode)
{
    if (unlinkat(folder, name, 0) == 0)
        return true;
    if (errno != ENOENT)
        return -errno;
    if (remove_held(folder, name, inode))
        return false;
    /* It may have been released in between. */
    if (unlinkat(folder, name, 0) == 0)
        return true;
    return errno == ENOENT ? false : -errno;
}

/* --- Setting aside ---------------------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

static int write_reply(int folder, const char *path, const char *reply, size_t length)
{
    int fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, reply, length);
    close(fd);
    if (r < 0)
        unlinkat(folder, path, 0);
    return r;
}

/* Moves it under this very name, its reply with it. */
static int move_aside(int folder, const char *name, const char *target, const char *reply,
                      size_t reply_length)
{
    char beside[PATH_MAX];
    int length = snprintf(beside, sizeof(beside), "%s.reply", target);
    if (length < 0 || (size_t)length >= sizeof(beside))
        return -ENAMETOOLONG;
    int r = reply != NULL ? write_reply(folder, beside, reply, reply_length) : 0;
    if (r < 0)
        return r;
    if (renameat2(folder, name, folder, target, RENAME_NOREPLACE) < 0) {
        r = -errno;
        if (reply != NULL)
            unlinkat(folder, beside, 0);
    }
    return r;
}

int spool_set_aside(int folder, const char *name, const char *where, const char *reply,
                    size_t reply_length)
{
    char target[PATH_MAX];
    if (mkdirat(folder, where, 0700) < 0 && errno != EEXIST)
        return -errno;
    int r = -EEXIST;
    for (int i = 0; i < NAMES_TRIED && r == -EEXIST; i++) {
        int length = i == 0 ? snprintf(target, sizeof(target), "%s/%s", where, name)
                            : snprintf(target, sizeof(target), "%s/%s.%d", where, name, i);
        if (length < 0 || (size_t)length >= sizeof(target))
            return -ENAMETOOLONG;
        r = move_aside(folder, name, target, reply, reply_length);
    }
    return r;
}

/* --- Storing ---------------------------------------------------------------------------------- */

/* The letters of the request's beginning, as far as it may be shown, since names are logged. */
static void command_letters(const char *line, size_t length, char letters[17])
{
    /* More than is shown is looked at: it may say that the beginning is a part of a secret. */
    struct request_shown known = request_shown(line, length < 512 ? length : 512);
    size_t n = 0, shown = known.length < 16 ? known.length : 16;
    for (size_t i = 0; i < shown; i++) {
        char c = line[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (word)
            letters[n++] = c;
    }
    letters[n] = '\0';
}

int spool_create(int folder, const char *host, uint64_t epoch, const char *line, size_t length,
                 struct spool_file *file)
{
    static uint64_t count;
    char letters[17];
    command_letters(line, length, letters);
    count++;
    snprintf(file->temporary, sizeof(file->temporary), STORING "/%llu", (unsigned long long)count);
    snprintf(file->name, sizeof(file->name), "%llu.%llu.%ld.%s.%s", (unsigned long long)epoch,
             (unsigned long long)count, (long)getpid(), letters, host);
    if (mkdirat(folder, STORING, 0700) < 0 && errno != EEXIST)
        return -errno;
    file->fd =
        openat(folder, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return -errno;
    int r = write_all(file->fd, line, length);
    if (r < 0)
        spool_abandon(folder, file);
    return r;
}

int spool_publish(int folder, struct spool_file *file)
{
    if (renameat2(folder, file->temporary, folder, file->name, RENAME_NOREPLACE) < 0)
        return -errno;
    close(file->fd);
    file->fd = -1;
    return 0;
}

void spool_abandon(int folder, struct spool_file *file)
{
    if (file->fd < 0)
        return;
    close(file->fd);
    file->fd = -1;
    unlinkat(folder, file->temporary, 0);
}

void spool_sweep(int folder)
{
    int fd = openat(folder, STORING, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *storing = fd >= 0 ? fdopendir(fd) : NULL;
    if (storing == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(storing)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(fd, entry->d_name, 0);
    closedir(storing);
}

bool spool_is_own(const char *name)
{
    return strcmp(name, SPOOL_HELD_FOLDER) == 0 || strcmp(name, SPOOL_REJECTED_FOLDER) == 0 ||
           strcmp(name, SPOOL_CORRUPT_FOLDER) == 0 || strcmp(name, STORING) == 0;
}
