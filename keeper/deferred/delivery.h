/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Delivering what is deferred, for each host one file at a time and in order: which file is next,
 * sending it as background work of its host, and what lond's reply means for it.
 */
#ifndef LONC_KEEPER_DEFERRED_DELIVERY_H
#define LONC_KEEPER_DEFERRED_DELIVERY_H

#include <stdbool.h>

#include "keeper/deferred/backlog.h"
#include "keeper/deferred/completion.h"

struct delivery;

/* What delivery reports to its owner; each may be NULL. */
struct delivery_events {
    /* A backlog has no names left, and there are more of its files on disk. */
    void (*names_wanted)(struct delivery *delivery);
    /* No file is with its lond any more. */
    void (*idle)(struct delivery *delivery);
    /* Nothing is sent because `path` cannot be written; reported again after each failed check. */
    void (*blocked)(struct delivery *delivery, const char *path, int error);
};

struct delivery {
    struct backlogs backlogs;
    struct completion completion;
    const struct delivery_events *events;
    bool suspended;          /* see delivery_suspend */
    bool was_possible;       /* deliveries could be completed at some time since the start */
    struct deadline recheck; /* runs while they cannot be: nothing is sent until they can */
    struct deadline_queue rechecking, pausing, pacing;
};

/* Without backlogs; `folder` and `events` must stay. */
void delivery_init(struct delivery *delivery, struct hosts *hosts, struct folder *folder,
                   const struct delivery_events *events);

/* To be called before its memory is freed, when no file is left. */
void delivery_end(struct delivery *delivery);

/* Stops all deliveries and forgets all files; none may be with its lond. */
void delivery_forget_all(struct delivery *delivery);

/*
 * Forgets the files of hosts that have left the table, which stay on disk. A file that is with its
 * lond, or is delivered, is kept until it is through.
 */
void delivery_forget_unlisted(struct delivery *delivery);

/*
 * Something in the backlog has changed: offers its work to the host, asks for more names, or frees
 * a backlog that is over. The caller must not use the backlog afterwards.
 */
void delivery_advance(struct backlog *backlog);
void delivery_advance_all(struct delivery *delivery);

/*
 * Checks whether deliveries could be completed, and accordingly goes on sending or stops; what is
 * in the way is listed as a trouble. For when that may have changed; it is also checked before each
 * file.
 */
void delivery_check(struct delivery *delivery);

/* The folder is about to be replaced: while suspended, nothing more is sent. */
void delivery_suspend(struct delivery *delivery, bool suspended);

/* Whether a file is with its lond. */
bool delivery_is_busy(const struct delivery *delivery);

/* Tries what is postponed, or pauses, now. The backlog may be gone afterwards. */
void delivery_flush(struct backlog *backlog);

/*
 * Somebody else has removed the file or moved it away. It is forgotten, and its backlog may be too;
 * but a file that is SENDING or DELIVERED stays until its S line is written.
 */
void delivery_vanished(struct file *file);

/* Somebody has changed the file; see inspection_touched. */
void delivery_touched(struct file *file);

#endif
