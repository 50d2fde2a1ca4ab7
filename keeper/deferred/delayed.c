/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading, setting aside and storing deferred files. Each step leaves the folder in a state from
 * which a keeper that starts anew goes on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/deferred/delayed.h"
#include "keeper/lond/request.h"

/* Files of one name set aside before one is left where it is: more means something else is wrong.
 */
#define NAMES_TRIED 100

int delayed_open(const char *path)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fd;
}

/* --- Looking and reading ---------------------------------------------------------------------- */

static struct delayed_identity identity_of(const struct stat *status)
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

/* But for the time of change, which a rename sets as well. */
static bool is_same_content(const struct delayed_identity *one,
                            const struct delayed_identity *other)
{
    return one->device == other->device && one->inode == other->inode && one->size == other->size &&
           is_same_time(&one->modified, &other->modified);
}

bool delayed_is_same(const struct delayed_identity *one, const struct delayed_identity *other)
{
    return is_same_content(one, other) && is_same_time(&one->changed, &other->changed);
}

static enum delayed_result corrupt(struct delayed_found *found, const char *why)
{
    found->why = why;
    return DELAYED_CORRUPT;
}

/* Only what a file is sets it aside: an error of open, read or stat is one of the moment. */
static enum delayed_result not_now(struct delayed_found *found, int error)
{
    found->error = -error;
    return error == ENOENT ? DELAYED_GONE : DELAYED_NOT_NOW;
}

static enum delayed_result check_type(mode_t mode, struct delayed_found *found)
{
    if (S_ISLNK(mode))
        return corrupt(found, "is a symbolic link");
    return S_ISREG(mode) ? DELAYED_READ : corrupt(found, "is no regular file");
}

enum delayed_result delayed_look(int folder, const char *name, struct delayed_found *found)
{
    struct stat status;
    *found = (struct delayed_found){.error = 0};
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return not_now(found, errno);
    found->is = identity_of(&status);
    return check_type(status.st_mode, found);
}

/* Reads until the end, or one byte past `size`, to see a file that grows. */
static int read_bytes(int fd, size_t size, struct buffer *buffer, size_t *length)
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
    /* One byte to see that it grows, one for the LF. */
    int r = buffer_reserve(buffer, size + 2);
    if (r < 0)
        return not_now(found, ENOMEM);
    r = read_bytes(fd, size, buffer, &length);
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
 * A read lease is granted only while nobody has the file open for writing; who wants to meanwhile
 * waits for us, a moment, and breaks it.
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
    struct delayed_identity now = identity_of(&after);
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
        return corrupt(found, "is no regular file");
    if (fd < 0)
        return not_now(found, errno);
    enum delayed_result result;
    if (fstat(fd, &status) < 0) {
        result = not_now(found, errno);
    } else {
        found->is = identity_of(&status);
        result = check_type(status.st_mode, found);
        if (result == DELAYED_READ)
            result = read_leased(fd, line_limit, buffer, found);
    }
    close(fd); /* which ends the lease */
    return result;
}

/* --- Taking out of the folder ----------------------------------------------------------------- */

static int check_attributes(int folder, const char *name, int flags, struct statx *status)
{
    if (statx(folder, name, flags, STATX_BASIC_STATS, status) < 0)
        return -errno;
    return status->stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND) ? -EPERM : 0;
}

int delayed_is_writable(int folder)
{
    struct statx status;
    if (faccessat(folder, ".", W_OK | X_OK, AT_EACCESS) < 0)
        return -errno;
    return check_attributes(folder, "", AT_EMPTY_PATH, &status);
}

int delayed_may_take(int folder, const char *name)
{
    struct statx file;
    struct stat around;
    uid_t own = geteuid();
    int r = check_attributes(folder, name, AT_SYMLINK_NOFOLLOW, &file);
    if (r < 0 || own == 0 || own == file.stx_uid)
        return r;
    if (fstat(folder, &around) < 0)
        return -errno;
    return (around.st_mode & S_ISVTX) && own != around.st_uid ? -EPERM : 0;
}

void delayed_digest(const char *content, size_t length, unsigned char digest[DELAYED_DIGEST_SIZE])
{
    gcry_md_hash_buffer(GCRY_MD_SHA256, digest, content, length);
}

static bool is_what_was_read(const char *content, size_t length, const struct delayed_sent *sent)
{
    unsigned char digest[DELAYED_DIGEST_SIZE];
    if (length != sent->length)
        return false;
    if (sent->content != NULL)
        return memcmp(content, sent->content, length) == 0;
    if (sent->digest == NULL)
        return false;
    delayed_digest(content, length, digest);
    return memcmp(digest, sent->digest, sizeof(digest)) == 0;
}

/* Whether the file has the bytes that were sent, whose LF may be one of ours. */
static bool has_content(int folder, const char *name, const struct delayed_sent *sent)
{
    struct buffer buffer = {0};
    struct delayed_found found;
    bool same = delayed_read(folder, name, sent->length, &buffer, &found) == DELAYED_READ &&
                is_what_was_read(buffer.data + buffer.start, buffer_length(&buffer), sent);
    buffer_free(&buffer);
    return same;
}

/* Whether what is there now is what was sent; permissions, links and renames make no difference. */
static bool is_what_was_sent(int folder, const char *name, const struct delayed_sent *sent)
{
    struct delayed_found found;
    enum delayed_result result = delayed_look(folder, name, &found);
    if (result == DELAYED_GONE || result == DELAYED_NOT_NOW)
        return false;
    if (delayed_is_same(&found.is, &sent->is))
        return true;
    return is_same_content(&found.is, &sent->is) && has_content(folder, name, sent);
}

/*
 * Moves what was sent to `target`; 0, or a negative errno: -ENOENT where it is not there, or is
 * another file. One that came into its place at the last moment is put back.
 */
static int take(int folder, const char *name, const char *target, const struct delayed_sent *sent)
{
    struct stat status;
    if (sent != NULL && !is_what_was_sent(folder, name, sent))
        return -ENOENT;
    if (renameat2(folder, name, folder, target, RENAME_NOREPLACE) < 0)
        return -errno;
    if (sent == NULL)
        return 0;
    if (fstatat(folder, target, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    struct delayed_identity now = identity_of(&status);
    if (is_same_content(&now, &sent->is))
        return 0;
    return renameat2(folder, target, folder, name, RENAME_NOREPLACE) < 0 ? -errno : -ENOENT;
}

/* Removes it by way of a name that nobody else uses, so that nothing new can be in its place. */
static int take_and_unlink(int folder, const char *name, const char *passing,
                           const struct delayed_sent *sent)
{
    int r = take(folder, name, passing, sent);
    if (r < 0)
        return r;
    if (unlinkat(folder, passing, 0) == 0)
        return 0;
    r = -errno;
    (void)renameat2(folder, passing, folder, name, RENAME_NOREPLACE);
    return r;
}

int delayed_remove(int folder, const char *name, const struct delayed_sent *sent)
{
    char passing[PATH_MAX], held[PATH_MAX];
    snprintf(passing, sizeof(passing), DELAYED_STORING_FOLDER "/%s", name);
    snprintf(held, sizeof(held), DELAYED_HELD_FOLDER "/%s", name);
    if (mkdirat(folder, DELAYED_STORING_FOLDER, 0700) < 0 && errno != EEXIST)
        return -errno;
    int r = take_and_unlink(folder, name, passing, sent);
    if (r != -ENOENT)
        return r < 0 ? r : DELAYED_TAKEN;
    if (take_and_unlink(folder, held, passing, sent) == 0)
        return DELAYED_TAKEN_HELD;
    /* It may have been released in between. */
    r = take_and_unlink(folder, name, passing, sent);
    return r == 0 ? DELAYED_TAKEN : r == -ENOENT ? DELAYED_NOT_THERE : r;
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
static int move_aside(int folder, const char *name, const char *target,
                      const struct delayed_sent *sent, const char *reply, size_t reply_length)
{
    char beside[PATH_MAX];
    int length = snprintf(beside, sizeof(beside), "%s.reply", target);
    if (length < 0 || (size_t)length >= sizeof(beside))
        return -ENAMETOOLONG;
    int r = reply != NULL ? write_reply(folder, beside, reply, reply_length) : 0;
    if (r < 0)
        return r;
    r = take(folder, name, target, sent);
    if (r < 0 && reply != NULL)
        unlinkat(folder, beside, 0);
    return r;
}

int delayed_set_aside(int folder, const char *name, const char *where,
                      const struct delayed_sent *sent, const char *reply, size_t reply_length)
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
        r = move_aside(folder, name, target, sent, reply, reply_length);
    }
    return r == 0 ? DELAYED_TAKEN : r == -ENOENT ? DELAYED_NOT_THERE : r;
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

int delayed_create(int folder, const char *host, uint64_t epoch, const char *line, size_t length,
                   struct delayed_file *file)
{
    static uint64_t count;
    char letters[17];
    command_letters(line, length, letters);
    count++;
    snprintf(file->temporary, sizeof(file->temporary), DELAYED_STORING_FOLDER "/%llu",
             (unsigned long long)count);
    snprintf(file->name, sizeof(file->name), "%llu.%llu.%ld.%s.%s", (unsigned long long)epoch,
             (unsigned long long)count, (long)getpid(), letters, host);
    if (mkdirat(folder, DELAYED_STORING_FOLDER, 0700) < 0 && errno != EEXIST)
        return -errno;
    file->fd =
        openat(folder, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return -errno;
    int r = write_all(file->fd, line, length);
    if (r < 0)
        delayed_abandon(folder, file);
    return r;
}

int delayed_publish(int folder, struct delayed_file *file)
{
    if (renameat2(folder, file->temporary, folder, file->name, RENAME_NOREPLACE) < 0)
        return -errno;
    close(file->fd);
    file->fd = -1;
    return 0;
}

void delayed_abandon(int folder, struct delayed_file *file)
{
    if (file->fd < 0)
        return;
    close(file->fd);
    file->fd = -1;
    unlinkat(folder, file->temporary, 0);
}

/* What has the name of a deferred file was being removed: it goes back, unless there is another. */
static void sweep_one(int folder, int storing, const char *name)
{
    struct delayed_order order;
    if (delayed_parse_name(name, &order) == NULL)
        unlinkat(storing, name, 0);
    else
        (void)renameat2(storing, name, folder, name, RENAME_NOREPLACE);
}

void delayed_sweep(int folder)
{
    int fd =
        openat(folder, DELAYED_STORING_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *storing = fd >= 0 ? fdopendir(fd) : NULL;
    if (storing == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(storing)) != NULL)
        if (entry->d_name[0] != '.')
            sweep_one(folder, fd, entry->d_name);
    closedir(storing);
}
