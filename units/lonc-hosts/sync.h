/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes the sockets there are equal to those there should be, and says each step on standard
 * output.
 */
#ifndef LONC_UNITS_LONC_HOSTS_SYNC_H
#define LONC_UNITS_LONC_HOSTS_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units/lonc-hosts/manager.h"
#include "units/lonc-hosts/sockets.h"

struct sync {
    struct manager *manager;
    bool dry_run; /* only say */
    unsigned done, failed;
};

/*
 * Both return when all jobs have ended, or the manager's patience has. Between them the units are
 * written: what listens at other paths than it should must be stopped while systemd still knows
 * those, so that it removes them.
 */
void sync_make_way(struct sync *sync, const struct hosts *hosts);
void sync_serve(struct sync *sync, const struct hosts *hosts);

/* So many shared sockets are started at once at most: a second of PID 1's time. */
#define WORK_BATCH_MAX 512

/* How many to start next, where so many took that long, in microseconds. */
size_t sync_next_batch(size_t count, uint64_t took);

/*
 * Restarts a keeper that was started before its drop-in was written, since what it may write is
 * settled when it starts. Not while it reloads, which this may be part of: the next sync does it.
 */
void sync_renew_keeper(struct sync *sync, const struct hosts *hosts);

#endif
