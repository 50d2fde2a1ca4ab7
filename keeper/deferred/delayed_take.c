/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Removing deferred files and setting them aside.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/deferred/delayed_create.h"
#include "keeper/deferred/delayed_take.h"

/* So many files of one name are set aside; if there are more, something else is wrong. */
#define NAMES_TRIED 100

/* --- Whether files can be taken --------------------------------------------------------------- */

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

/* --- Taking ----------------------------------------------------------------------------------- */

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

/* Whether the file has the bytes that were sent; their LF may have been added by delayed_read. */
static bool has_content(int folder, const char *name, const struct delayed_sent *sent)
{
    struct buffer buffer = {0};
    struct delayed_found found;
    bool same = delayed_read(folder, name, sent->length, &buffer, &found) == DELAYED_READ &&
                is_what_was_read(buffer.data + buffer.start, buffer_length(&buffer), sent);
    buffer_free(&buffer);
    return same;
}

/* Whether the file of this name is what was sent, whatever its permissions and links are now. */
static bool is_what_was_sent(int folder, const char *name, const struct delayed_sent *sent)
{
    struct delayed_found found;
    enum delayed_result result = delayed_look(folder, name, &found);
    if (result == DELAYED_GONE || result == DELAYED_NOT_NOW)
        return false;
    if (delayed_is_same(&found.is, &sent->is))
        return true;
    return delayed_is_same_content(&found.is, &sent->is) && has_content(folder, name, sent);
}

/*
 * Moves what was sent to `target`. 0 or a negative errno: -ENOENT if it is not there, or is another
 * file. A file that has taken its place between the check and the rename is put back.
 */
static int take_to(int folder, const char *name, const char *target,
                   const struct delayed_sent *sent)
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
    struct delayed_identity now = delayed_identity_of(&status);
    if (delayed_is_same_content(&now, &sent->is))
        return 0;
    return renameat2(folder, target, folder, name, RENAME_NOREPLACE) < 0 ? -errno : -ENOENT;
}

/* Moves it to a name that nobody else uses and removes it there, so that no new file is hit. */
static int take_and_unlink(int folder, const char *name, const char *passing,
                           const struct delayed_sent *sent)
{
    int r = take_to(folder, name, passing, sent);
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
    int r = delayed_make_below(folder, DELAYED_STORING_FOLDER);
    if (r < 0)
        return r;
    r = take_and_unlink(folder, name, passing, sent);
    if (r != -ENOENT)
        return r < 0 ? r : DELAYED_TAKEN;
    if (take_and_unlink(folder, held, passing, sent) == 0)
        return DELAYED_TAKEN_HELD;
    /* An administrator may have released it in between. */
    r = take_and_unlink(folder, name, passing, sent);
    return r == 0 ? DELAYED_TAKEN : r == -ENOENT ? DELAYED_NOT_THERE : r;
}

/* --- Setting aside ---------------------------------------------------------------------------- */

/* Moves it to exactly this path, after its reply has been written beside that. */
static int move_aside(int folder, const char *name, const char *target,
                      const struct delayed_sent *sent, const char *reply, size_t reply_length)
{
    char beside[PATH_MAX];
    int length = snprintf(beside, sizeof(beside), "%s.reply", target);
    if (length < 0 || (size_t)length >= sizeof(beside))
        return -ENAMETOOLONG;
    if (reply != NULL) {
        int fd = delayed_write_new(folder, beside, reply, reply_length);
        if (fd < 0)
            return fd;
        close(fd);
    }
    int r = take_to(folder, name, target, sent);
    if (r < 0 && reply != NULL)
        (void)unlinkat(folder, beside, 0);
    return r;
}

int delayed_set_aside(int folder, const char *name, const char *where,
                      const struct delayed_sent *sent, const char *reply, size_t reply_length)
{
    char target[PATH_MAX];
    int r = delayed_make_below(folder, where);
    if (r < 0)
        return r;
    r = -EEXIST;
    for (int i = 0; i < NAMES_TRIED && r == -EEXIST; i++) {
        int length = i == 0 ? snprintf(target, sizeof(target), "%s/%s", where, name)
                            : snprintf(target, sizeof(target), "%s/%s.%d", where, name, i);
        if (length < 0 || (size_t)length >= sizeof(target))
            return -ENAMETOOLONG;
        r = move_aside(folder, name, target, sent, reply, reply_length);
    }
    return r == 0 ? DELAYED_TAKEN : r == -ENOENT ? DELAYED_NOT_THERE : r;
}
