/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of deferred files in the least memory: where a backlog keeps those whose turn is far off.
 * They are put in as a scan of the folder finds them, in no order, and taken out by their order.
 * Pure: it knows no folder and no host.
 *
 * Names are gathered until there are some thousand, which are then sorted and packed: a run. Taking
 * the first name is taking the first of the run that has it. So neither costs more than a few
 * microseconds, whatever there is on the shelf, and a name takes its length and five bytes.
 */
#ifndef LONC_KEEPER_DEFERRED_SHELF_H
#define LONC_KEEPER_DEFERRED_SHELF_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper/deferred/spoolname.h"

RB_HEAD(shelf_runs, shelf_run);

struct shelf {
    size_t *bytes; /* the account of all shelves: what they take up */
    size_t count;  /* names */
    struct shelf_runs runs;
    /* Not sorted yet. */
    struct shelf_name *loose;
    size_t loose_count, loose_room;
    char *text; /* theirs */
    size_t text_length, text_room;
    size_t first_loose; /* which of them is the first in order */
};

/* An empty one, which holds no memory; `bytes` must stay. */
void shelf_init(struct shelf *shelf, size_t *bytes);
void shelf_clear(struct shelf *shelf);

/* Puts a name there, which is copied. 0 or -ENOMEM. */
int shelf_put(struct shelf *shelf, const char *name);

/* The first name in order, and its order; it stays until the next call. NULL: there is none. */
const char *shelf_first(const struct shelf *shelf, struct spool_order *order);

/*
 * Whether the name is there; its order is that of the name. It costs some microseconds, more where
 * the name is in the middle of a large shelf.
 */
bool shelf_has(const struct shelf *shelf, const char *name, const struct spool_order *order);

/* Takes the first name away; there must be one. */
void shelf_drop_first(struct shelf *shelf);

/*
 * Drops about half of the names, those that are last in order; all that are dropped are at or
 * behind *from, and none that stays is. False when there are too few for that.
 */
bool shelf_halve(struct shelf *shelf, struct spool_order *from);

#endif
