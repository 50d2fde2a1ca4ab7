/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue as the rest of the keeper sees it. It delivers the transactions that lonnet,
 * or a client with `lonc_defer:`, has left in `<lonSockDir>/delayed` until their host can be
 * reached (keeper/README.md rules 2 and 6, lonc-protocol(7) section 5): at least once, in order,
 * one at a time for each host, whenever the host has a connection that no client wants. The model
 * behind it is in backlog.h.
 */
#ifndef LONC_KEEPER_DEFERRED_DEFERRED_H
#define LONC_KEEPER_DEFERRED_DEFERRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "keeper/host/host.h"

struct deferred;

/* NULL for lack of memory or descriptors. It does nothing before the first deferred_reload. */
MUST_CHECK struct deferred *deferred_new(struct hosts *hosts);
void deferred_free(struct deferred *deferred); /* NULL is allowed */

/*
 * The core's configuration has changed: watches the folder that it names, and scans it, since hosts
 * have come and gone. If the folder cannot be opened, that is a trouble, and is tried again.
 */
void deferred_reload(struct deferred *deferred);

/* How many files wait for all hosts, as far as is known. */
size_t deferred_count(const struct deferred *deferred);

/* What waits for one host. */
struct waiting_files {
    size_t count;
    bool exact;      /* false: there may be more than are known */
    uint64_t oldest; /* when the oldest was deferred, in seconds of the epoch, as its name says; 0:
                        there is none, or it is not known */
};
struct waiting_files deferred_of(const struct deferred *deferred, const struct host *host);

/* The path of the folder, or NULL while none is open. */
const char *deferred_folder(const struct deferred *deferred);

/* On an administrator's request: tries at once what has been postponed for this host. */
void deferred_flush(struct deferred *deferred, const struct host *host);

/*
 * `misplaced` is called, at most once in a minute, when the folder or lonnet.perm.log's has become
 * read-only for this process alone (mounts.h), so that only a new keeper would see it writable.
 */
void deferred_on_misplaced(struct deferred *deferred, void (*misplaced)(void *argument),
                           void *argument);

/*
 * The keeper stops: `quiet` is called as soon as no file is with its lond, perhaps at once. The
 * hosts take no new background work by then.
 */
void deferred_drain(struct deferred *deferred, void (*quiet)(void *argument), void *argument);

/*
 * Stores a request for a host. File, name and folder are durable on the disk before `done` is
 * called with true, and its D line has been written. With false nothing is left behind, and an F
 * line says so. `line` ends in LF and is not needed after the call; `done` may be called during it.
 */
void deferred_enqueue(struct deferred *deferred, const char *host, const char *line, size_t length,
                      void (*done)(void *argument, bool stored), void *argument);

/* Writes the F line of a request that cannot be stored, as there is no such host. */
void deferred_refuse(struct deferred *deferred, const char *host, const char *line, size_t length);

#endif
