/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Removing files and setting them aside, and what that makes of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/deferred/disposal.h"

static void forget_removed(struct file *file)
{
    folder_removed(file->backlog->all->folder);
    file_forget(file);
}

static bool has_successor(const struct file *file)
{
    int folder = file->backlog->all->folder->fd;
    return faccessat(folder, file->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* What was to be taken away is not there. */
static void forget_or_renew(struct file *file)
{
    if (has_successor(file))
        file_renew(file);
    else
        file_forget(file);
}

int disposal_remove(struct file *file, const struct delayed_sent *sent)
{
    int r = delayed_remove(file->backlog->all->folder->fd, file->name, sent);
    if (r < 0)
        return r;
    if (r == DELAYED_TAKEN)
        forget_removed(file);
    else if (r == DELAYED_NOT_THERE)
        forget_or_renew(file);
    else
        file_forget(file);
    return 0;
}

void disposal_set_aside(struct file *file, const struct aside *aside)
{
    int r = delayed_set_aside(file->backlog->all->folder->fd, file->name, aside->where, aside->sent,
                              aside->reply, aside->reply_length);
    if (r < 0) {
        file_postpone(file, "cannot be set aside", -r);
        return;
    }
    if (r == DELAYED_NOT_THERE) {
        forget_or_renew(file);
        return;
    }
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = file->host},
              "deferred file %s %s; it is set aside in %s/", file->name, aside->why, aside->where);
    forget_removed(file);
}
