/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Watches what a path leads to. A folder that is open here lives on when it is moved away, mounted
 * over or replaced, and no event of its own tells; so each folder and symbolic link on the way is
 * watched, as is the folder of the last component for its name, links are followed as the kernel
 * follows them, and mounts are heard of through /proc/self/mountinfo (keeper/README.md rule 14).
 * Nothing wakes up while nothing happens on the way.
 */
#ifndef LONC_KEEPER_CORE_PATHWATCH_H
#define LONC_KEEPER_CORE_PATHWATCH_H

#include "keeper/core/loop.h"

/* Folders on the way of one path, those of its symbolic links included. */
#define PATH_WATCH_DEPTH 64

/* As many symbolic links as the kernel follows. */
#define PATH_WATCH_LINKS 40

struct path_watch;

/*
 * A watch of nothing yet. `changed` is called when a component was made, removed, moved, written,
 * mounted over, or given other permissions: the owner then looks, and calls path_watch_set again,
 * since there may be other folders on the way. NULL without memory.
 */
struct path_watch *path_watch_new(struct loop *loop, void (*changed)(void *argument),
                                  void *argument);
void path_watch_free(struct path_watch *watch); /* NULL is allowed */

/* From the next path_watch_set on, what is written to the file is not told: for an owner that opens
 * it for writing when it is told something, and so would be told without end. */
void path_watch_ignore_writing(struct path_watch *watch);

/*
 * Watches this path from now on, in the place of the one before; what is missing of it is awaited.
 * 0, or a negative errno: the kernel has no inotify instance (-EMFILE) or no watch (-ENOSPC) left.
 * What could be watched is watched even then.
 */
int path_watch_set(struct path_watch *watch, const char *path);

#endif
