/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The folder of deferred files and the path of lonnet.perm.log, as the configuration names them:
 * opening and closing the folder, and making removals from it durable. What the files in it mean is
 * none of this file's business.
 */
#ifndef LONC_KEEPER_DEFERRED_FOLDER_H
#define LONC_KEEPER_DEFERRED_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/attributes.h"
#include "keeper/core/core.h"
#include "keeper/deferred/async_fsync.h"

struct folder {
    struct core *core;
    struct async_fsync *fsyncs;
    char *path;         /* `<lonSockDir>/delayed`; NULL: no memory for it */
    char *permlog_path; /* the same */
    int fd;             /* -1: the folder is not open */
    bool syncing;       /* a sync of the folder is under way */
    bool sync_again;    /* something was removed since it began */
    size_t removals;    /* by the keeper itself, which inotify has yet to report */
};

/* A folder that is not open. 0 or -ENOMEM; folder_free is right in either case. */
MUST_CHECK int folder_init(struct folder *folder, struct core *core);

/* Closes the folder and frees the paths, after folder_end_syncs. */
void folder_free(struct folder *folder);

/* Waits for the syncs under way, whose `done` is called. None can be started afterwards. */
void folder_end_syncs(struct folder *folder);

/* Takes both paths from the core's configuration; a path without memory becomes NULL. */
void folder_set_paths(struct folder *folder);

/*
 * Opens what the path leads to now and removes what an earlier keeper left half done there; see
 * delayed_sweep. A missing folder is created. 0 or a negative errno.
 */
MUST_CHECK int folder_open(struct folder *folder);
void folder_close(struct folder *folder);

/* Whether the path still leads to the folder that is open. */
bool folder_is_at_path(const struct folder *folder);

/* The inode of the open folder; 0 if the kernel does not tell. */
ino_t folder_inode(const struct folder *folder);

/*
 * The keeper has taken a file out of the folder. The folder is synced in the background, and
 * inotify will report the removal: folder_expects_removal then returns true, once.
 */
void folder_removed(struct folder *folder);
bool folder_expects_removal(struct folder *folder);

/* inotify has lost events, so none of the removals so far need be reported any more. */
void folder_expect_no_removals(struct folder *folder);

#endif
