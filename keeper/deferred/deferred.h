/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue: transactions that lonnet, or a client with `lonc_defer:`, left in
 * `<lonSockDir>/delayed` for when their host can be reached (keeper/README.md rules 2 and 6,
 * lonc-protocol(7) section 5). They are delivered at least once, in order, one at a time for each
 * host, whenever the host has a connection that no client wants.
 */
#ifndef LONC_KEEPER_DEFERRED_DEFERRED_H
#define LONC_KEEPER_DEFERRED_DEFERRED_H

#include <stdbool.h>
#include <stddef.h>

#include "keeper/host/host.h"

/* NULL without memory. It does nothing before the first deferred_reload. */
struct deferred *deferred_new(struct core *core);
void deferred_free(struct deferred *deferred); /* NULL is allowed */

/*
 * The core's configuration has changed: watches the folder it names, and reads it anew, since
 * hosts have come and gone.
 */
void deferred_reload(struct deferred *deferred);

/* The files that wait, of all hosts, as far as is known. */
size_t deferred_count(const struct deferred *deferred);

/* The same of one host. */
struct waiting_files {
    size_t count;
    bool exact;      /* else there may be more than are known */
    uint64_t oldest; /* when the oldest was deferred, in seconds of the epoch, as its name says; 0:
                        there is none, or it is not known */
};
struct waiting_files deferred_of(const struct deferred *deferred, const struct host *host);

/* Where they lie, or NULL while there is no folder. */
const char *deferred_folder(const struct deferred *deferred);

/* An administrator's: what is put off, of this host, is tried now. */
void deferred_flush(struct deferred *deferred, const struct host *host);

/*
 * `misplaced` is called when the folder, or lonnet.perm.log's, has become read-only for this
 * process alone (mounts.h), and only a keeper that is started anew would see it; rarely
 * (MISPLACED_SPAN).
 */
void deferred_on_misplaced(struct deferred *deferred, void (*misplaced)(void *argument),
                           void *argument);

/*
 * The keeper stops: nothing more is sent, and `quiet` is called when no file is with its lond,
 * perhaps at once.
 */
void deferred_drain(struct deferred *deferred, void (*quiet)(void *argument), void *argument);

/*
 * Stores a request for a host durably: file, name and folder are on the disk before `done` is
 * called with true and the D line is written. With false nothing is left behind, and an F line says
 * so. `line` ends in LF and is not needed once this returns; `done` may be called before that.
 */
void deferred_enqueue(struct deferred *deferred, const char *host, const char *line, size_t length,
                      void (*done)(void *argument, bool stored), void *argument);

/* What cannot be stored, since there is no such host, gets its F line. */
void deferred_refuse(struct deferred *deferred, const char *host, const char *line, size_t length);

#endif
