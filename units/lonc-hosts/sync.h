/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starts and stops units until the sockets are those that there should be, and prints each step on
 * standard output.
 */
#ifndef LONC_UNITS_LONC_HOSTS_SYNC_H
#define LONC_UNITS_LONC_HOSTS_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "units/lonc-hosts/host_list.h"
#include "units/lonc-hosts/manager.h"
#include "units/lonc-hosts/unit_files.h"

/* One sync. The caller sets the first two members; sync.c counts in the others. */
struct sync {
    struct manager *manager;
    bool dry_run;          /* print the steps, but take none */
    unsigned done, failed; /* steps */
};

/*
 * The two halves of a sync; each returns when all its jobs have ended or the manager's time is up.
 * The unit files are written in between: a socket whose paths change has to be stopped while
 * systemd still knows the old ones, so that it removes them.
 */
void sync_stop_sockets(struct sync *sync, const struct host_list *hosts);
void sync_start_sockets(struct sync *sync, const struct host_list *hosts);

/* At most so many shared sockets are started at once: they take PID 1 about a second. */
#define SYNC_BATCH_MAX 512

/* The size of the next batch, after one of `count` sockets took `took` microseconds. */
size_t sync_next_batch(size_t count, uint64_t took);

/*
 * Restarts a keeper that was started before its drop-in was written, because its sandbox is set up
 * when it starts. It does not do so while the keeper reloads, since this sync may be a part of that
 * reload; the next sync does.
 */
void sync_restart_outdated_keeper(struct sync *sync, const struct host_list *hosts,
                                  const struct unit_files *unit_files);

#endif
