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
#ifndef LONC_KEEPER_DEFERRED_NAME_SET_H
#define LONC_KEEPER_DEFERRED_NAME_SET_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper/deferred/delayed_name.h"

RB_HEAD(name_set_runs, name_set_run);

struct name_set {
    size_t *bytes; /* the account of all shelves: what they take up */
    size_t count;  /* names */
    struct name_set_runs runs;
    /* Not sorted yet. */
    struct name_set_entry *loose;
    size_t loose_count, loose_room;
    char *text; /* theirs */
    size_t text_length, text_room;
    size_t first_loose; /* which of them is the first in order */
};

/* An empty one, which holds no memory; `bytes` must stay. */
void name_set_init(struct name_set *set, size_t *bytes);
void name_set_clear(struct name_set *set);

/* Puts a name there, which is copied. 0 or -ENOMEM. */
int name_set_put(struct name_set *set, const char *name);

/* The first name in order, and its order; it stays until the next call. NULL: there is none. */
const char *name_set_first(const struct name_set *set, struct delayed_order *order);

/*
 * Whether the name is there; its order is that of the name. It costs some microseconds, more where
 * the name is in the middle of a large set.
 */
bool name_set_has(const struct name_set *set, const char *name, const struct delayed_order *order);

/* Takes the first name away; there must be one. */
void name_set_drop_first(struct name_set *set);

/*
 * Drops about half of the names, those that are last in order; all that are dropped are at or
 * behind *from, and none that stays is. False when there are too few for that.
 */
bool name_set_halve(struct name_set *set, struct delayed_order *from);

#endif
