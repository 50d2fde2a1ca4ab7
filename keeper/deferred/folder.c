/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The folder of deferred files: its paths, its descriptor, its syncs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/deferred/delayed_create.h"
#include "keeper/deferred/folder.h"

/* --- Paths ------------------------------------------------------------------------------------ */

static void replace_path(char **path, const char *directory, const char *name)
{
    char *made;
    if (asprintf(&made, "%s/%s", directory, name) < 0)
        made = NULL;
    free(*path);
    *path = made;
}

void folder_set_paths(struct folder *folder)
{
    const struct loncapa *loncapa = &folder->core->config->loncapa;
    replace_path(&folder->path, loncapa->sock_dir, "delayed");
    replace_path(&folder->permlog_path, loncapa->daemons, "logs/lonnet.perm.log");
}

bool folder_is_at_path(const struct folder *folder)
{
    struct stat open, there;
    return folder->fd >= 0 && folder->path != NULL && fstat(folder->fd, &open) == 0 &&
           stat(folder->path, &there) == 0 && open.st_dev == there.st_dev &&
           open.st_ino == there.st_ino;
}

ino_t folder_inode(const struct folder *folder)
{
    struct stat status;
    return fstat(folder->fd, &status) == 0 ? status.st_ino : 0;
}

/* --- Removals --------------------------------------------------------------------------------- */

static void on_synced(void *argument, int result)
{
    struct folder *folder = argument;
    if (result < 0)
        log_write(LOG_ERR, NULL, "cannot sync %s: %s", folder->path, strerror(-result));
    folder->syncing = false;
    if (folder->sync_again && folder->fd >= 0) {
        folder->sync_again = false;
        folder->syncing = true;
        async_fsync_start(folder->fsyncs, folder->fd, on_synced, folder);
    }
}

/* One sync at a time is enough: each covers all the removals before it. */
void folder_removed(struct folder *folder)
{
    folder->removals++;
    folder->sync_again = true;
    if (!folder->syncing)
        on_synced(folder, 0);
}

bool folder_expects_removal(struct folder *folder)
{
    if (folder->removals == 0)
        return false;
    folder->removals--;
    return true;
}

void folder_expect_no_removals(struct folder *folder)
{
    folder->removals = 0;
}

/* --- Opening and closing ---------------------------------------------------------------------- */

int folder_open(struct folder *folder)
{
    if (folder->path == NULL || folder->permlog_path == NULL)
        return -ENOMEM;
    int fd = delayed_open(folder->path);
    if (fd < 0)
        return fd;
    folder->fd = fd;
    folder->removals = 0;
    delayed_sweep(fd);
    return 0;
}

void folder_close(struct folder *folder)
{
    if (folder->fd >= 0)
        close(folder->fd);
    folder->fd = -1;
}

int folder_init(struct folder *folder, struct core *core)
{
    *folder = (struct folder){.core = core, .fd = -1};
    folder->fsyncs = async_fsync_new(core->loop.event);
    return folder->fsyncs != NULL ? 0 : -ENOMEM;
}

void folder_end_syncs(struct folder *folder)
{
    async_fsync_free(folder->fsyncs);
    folder->fsyncs = NULL;
}

void folder_free(struct folder *folder)
{
    folder_end_syncs(folder);
    folder_close(folder);
    free(folder->path);
    free(folder->permlog_path);
}
