/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replacing a file as a whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/draft.h"

int draft_open(struct draft *draft, const char *path, mode_t mode)
{
    draft->file = NULL;
    int length = snprintf(draft->name, sizeof(draft->name), "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof(draft->name))
        return -ENAMETOOLONG;
    snprintf(draft->path, sizeof(draft->path), "%s", path);
    int fd = mkostemp(draft->name, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, mode) == 0)
        draft->file = fdopen(fd, "w");
    if (draft->file != NULL)
        return 0;
    int r = -errno;
    close(fd);
    unlink(draft->name);
    return r;
}

/* What stdio still holds is written; `durable`, it has reached the disk. 0 or a negative errno. */
static int finish_writing(FILE *file, bool durable)
{
    int r = 0;
    if (fflush(file) != 0 || (durable && fsync(fileno(file)) < 0))
        r = -errno;
    else if (ferror(file))
        r = -EIO;
    if (fclose(file) != 0 && r == 0)
        r = -errno;
    return r;
}

static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", path);
    int fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

int draft_install(struct draft *draft, bool durable)
{
    int r = finish_writing(draft->file, durable);
    draft->file = NULL;
    if (r == 0 && rename(draft->name, draft->path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(draft->name);
        return r;
    }
    return durable ? sync_folder(draft->path) : 0;
}

void draft_discard(struct draft *draft)
{
    if (draft->file == NULL)
        return;
    (void)fclose(draft->file);
    draft->file = NULL;
    unlink(draft->name);
}

int draft_replace(const char *path, const void *bytes, size_t length, mode_t mode, bool durable)
{
    struct draft draft;
    int r = draft_open(&draft, path, mode);
    if (r < 0)
        return r;
    if (fwrite(bytes, 1, length, draft.file) < length) {
        r = -errno;
        draft_discard(&draft);
        return r;
    }
    return draft_install(&draft, durable);
}
