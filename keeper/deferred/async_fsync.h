/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fsync in the background, so that a slow disk never holds up the loop: the kernel does it (Linux
 * AIO) and reports through an eventfd. If the kernel offers no AIO, the caller waits after all.
 */
#ifndef LONC_KEEPER_DEFERRED_ASYNC_FSYNC_H
#define LONC_KEEPER_DEFERRED_ASYNC_FSYNC_H

#include <systemd/sd-event.h>

#include "common/attributes.h"

struct async_fsync;

/* Syncs that may be under way at once; one more makes async_fsync_start wait for the disk. */
#define SYNC_MAX 256

/* NULL for lack of memory. Without AIO, or without a descriptor, it works by waiting. */
MUST_CHECK struct async_fsync *async_fsync_new(sd_event *event);

/* Waits for the syncs under way and calls their `done`. NULL is allowed. */
void async_fsync_free(struct async_fsync *sync);

/*
 * Makes durable what was written to `fd`, a file or a directory whose entries have changed. `done`
 * is then called with 0 or a negative errno, perhaps before this returns. The descriptor stays the
 * caller's and may be closed at once.
 */
void async_fsync_start(struct async_fsync *sync, int fd, void (*done)(void *argument, int result),
                       void *argument);

#endif
