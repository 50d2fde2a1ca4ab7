/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How deferred files become known: inotify reports those that arrive, and a scan reads the folder
 * at the start, after events were lost, and when there is more on disk than names fit in memory.
 */
#ifndef LONC_KEEPER_DEFERRED_DISCOVERY_H
#define LONC_KEEPER_DEFERRED_DISCOVERY_H

#include <dirent.h>
#include <stdbool.h>

#include "common/attributes.h"
#include "keeper/core/sliced_task.h"
#include "keeper/deferred/delivery.h"

/* So many files that are no transactions, or whose host is unknown, are logged after a reload. */
#define DISCOVERY_STRANGERS 20

struct discovery {
    struct delivery *delivery;
    struct folder *folder;
    sd_event_source *inotify;
    struct sliced_task scanner;
    DIR *scan;       /* NULL: none is under way */
    bool scan_again; /* something was missed while one was under way */
    struct deadline rescan;
    struct deadline_queue rescanning;
    char *strangers[DISCOVERY_STRANGERS]; /* their names, so that each is logged once */
    unsigned stranger_count;
};

/* Without a folder. 0 or a negative errno; discovery_free is right in either case. */
MUST_CHECK int discovery_init(struct discovery *discovery, struct delivery *delivery);
void discovery_free(struct discovery *discovery);

/*
 * Watches the open folder from now on; what lies in it already is found by discovery_scan. 0 or a
 * negative errno: the kernel has no inotify instance or watch left.
 */
MUST_CHECK int discovery_watch(struct discovery *discovery);

/*
 * Reads the folder, in slices. If it is being read already, it is read once more afterwards; if it
 * cannot be read, that is tried again after deferred_hold.
 */
void discovery_scan(struct discovery *discovery);

/* The folder is about to be closed: neither watches nor reads it any more. */
void discovery_stop(struct discovery *discovery);

/*
 * A backlog has no names left. The folder is read at once if the last scan was of some use, else
 * after deferred_hold, since the next one would find the same.
 */
void discovery_find_more(struct discovery *discovery);

/* The table has changed: files that are ignored are logged anew. */
void discovery_forget_strangers(struct discovery *discovery);

#endif
