/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A sorted set of names of deferred files that takes little memory: a backlog keeps those files in
 * it of which there is nothing more to know. A scan of the folder adds names in no order; they are
 * taken out by their order. Pure: it knows no folder and no host.
 *
 * New names are gathered unsorted until there are some thousand, which are then sorted and packed
 * into a run. The first name of the set is the first name of one of the runs, or unsorted. So
 * adding and taking a name costs a few microseconds however large the set is, and a name takes five
 * bytes beside its length.
 */
#ifndef LONC_KEEPER_DEFERRED_NAME_SET_H
#define LONC_KEEPER_DEFERRED_NAME_SET_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "keeper/deferred/delayed_name.h"

RB_HEAD(name_set_runs, name_set_run);

struct name_set {
    size_t *bytes; /* the memory that all sets with this account take */
    size_t count;  /* names */
    struct name_set_runs runs;
    /* Names that are in no run yet: */
    struct name_set_entry *unsorted;
    size_t unsorted_count, unsorted_room;
    char *text; /* of these names */
    size_t text_length, text_room;
    size_t first_unsorted; /* which of them is first in order */
};

/* An empty set, which holds no memory. Sets may share an account; `bytes` must stay. */
void name_set_init(struct name_set *set, size_t *bytes);

/* Removes all names and frees their memory. */
void name_set_clear(struct name_set *set);

/* Adds a copy of the name. 0 or -ENOMEM. A name that is added twice is there twice. */
MUST_CHECK int name_set_put(struct name_set *set, const char *name);

/* The first name in order, valid until the set is changed, and its order. NULL: it is empty. */
const char *name_set_first(const struct name_set *set, struct delayed_order *order);

/*
 * Whether the name is in the set; `order` is its order. Takes some microseconds, and more for a
 * name in the middle of a large set.
 */
bool name_set_has(const struct name_set *set, const char *name, const struct delayed_order *order);

/* Removes the first name; the set must not be empty. */
void name_set_drop_first(struct name_set *set);

/*
 * Removes about half of the names, the last ones in order: exactly those at or behind *from.
 * Returns how many. 0: there are too few for that, or there is no memory to sort them.
 */
MUST_CHECK size_t name_set_halve(struct name_set *set, struct delayed_order *from);

#endif
