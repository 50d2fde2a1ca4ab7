/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsync without waiting for it: the kernel does it (Linux AIO) and tells through an eventfd, so
 * that a slow disk never holds the loop. Where the kernel offers no AIO, the caller waits after
 * all.
 */
#ifndef LONC_KEEPER_DEFERRED_ASYNC_FSYNC_H
#define LONC_KEEPER_DEFERRED_ASYNC_FSYNC_H

#include <systemd/sd-event.h>

/* Syncs under way at once; past this, async_fsync_start waits for the disk itself. */
#define SYNC_MAX 256

/* NULL without memory. Where there is no AIO, it still works, by waiting. */
struct async_fsync *async_fsync_new(sd_event *event);

/* Waits for what is under way, and tells; NULL is allowed. */
void async_fsync_free(struct async_fsync *sync);

/*
 * Makes what was written to `fd` (a file, or a directory whose entries changed) durable, then calls
 * `done` with 0 or a negative errno, perhaps before this returns. The descriptor may be closed at
 * once.
 */
void async_fsync_start(struct async_fsync *sync, int fd, void (*done)(void *argument, int result),
                       void *argument);

#endif
