/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsync without waiting for it: the kernel does it (Linux AIO) and tells through an eventfd, so
 * that a slow disk never holds the loop. Where the kernel offers no AIO, the caller waits after
 * all.
 */
#ifndef LONC_KEEPER_DEFERRED_SYNC_H
#define LONC_KEEPER_DEFERRED_SYNC_H

#include <systemd/sd-event.h>

/* Syncs under way at once; past this, sync_start waits for the disk itself. */
#define SYNC_MAX 256

/* NULL without memory. Where there is no AIO, it still works, by waiting. */
struct sync *sync_new(sd_event *event);

/* Waits for what is under way, and tells; NULL is allowed. */
void sync_free(struct sync *sync);

/*
 * Makes what was written to `fd` (a file, or a directory whose entries changed) durable, then calls
 * `done` with 0 or a negative errno, perhaps before this returns. The descriptor may be closed at
 * once.
 */
void sync_start(struct sync *sync, int fd, void (*done)(void *argument, int result),
                void *argument);

#endif
