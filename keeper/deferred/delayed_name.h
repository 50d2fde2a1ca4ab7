/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names in the folder of deferred files (lonc-protocol(7) section 5): those of transactions, with
 * their order, and those of the folders below. Pure.
 */
#ifndef LONC_KEEPER_DEFERRED_DELAYED_NAME_H
#define LONC_KEEPER_DEFERRED_DELAYED_NAME_H

#include <stdbool.h>
#include <stdint.h>

/* The folders below it, each a state; DELAYED_HELD_FOLDER is an administrator's (loncctl queue
 * hold).
 */
#define DELAYED_HELD_FOLDER     "held"
#define DELAYED_REJECTED_FOLDER "rejected"
#define DELAYED_CORRUPT_FOLDER  "corrupt"

/*
 * What is not yet whole, or on its way out: a folder of its own can be swept without reading a
 * million names.
 */
#define DELAYED_STORING_FOLDER "storing"

/* Where a file stands among those of its host. */
struct delayed_order {
    uint64_t epoch, count;
};

/* Below, at or above zero, as one stands before, beside or behind the other. */
int delayed_compare(const struct delayed_order *one, const struct delayed_order *other);

/*
 * Takes a name `<epoch>.<count>.<pid>.<command letters>.<lonHostID>` apart. Returns the host, a
 * pointer into `name`, or NULL when this is no name of a deferred file: two numbers and a valid
 * host behind the last dot are asked for, and nothing of what lies between.
 */
const char *delayed_parse_name(const char *name, struct delayed_order *order);

/*
 * A lonHostID may have dots in it. The host of the same name with one component more on its left,
 * or NULL where that would be no part of the host: epoch and count are never.
 */
const char *delayed_longer_host(const char *name, const char *host);

/* Whether this is the name of one of the folders below: no file, and nothing strange. */
bool delayed_is_own(const char *name);

#endif
