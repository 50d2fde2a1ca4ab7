/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names in the folder of deferred files (lonc-protocol(7) section 5): those of transactions, with
 * their order, and those of the folders below. Pure.
 */
#ifndef LONC_KEEPER_DEFERRED_SPOOLNAME_H
#define LONC_KEEPER_DEFERRED_SPOOLNAME_H

#include <stdbool.h>
#include <stdint.h>

/* The folders below it, each a state; SPOOL_HELD_FOLDER is an administrator's (loncctl queue hold).
 */
#define SPOOL_HELD_FOLDER     "held"
#define SPOOL_REJECTED_FOLDER "rejected"
#define SPOOL_CORRUPT_FOLDER  "corrupt"

/*
 * What is not yet whole, or on its way out: a folder of its own can be swept without reading a
 * million names.
 */
#define SPOOL_STORING_FOLDER "storing"

/* Where a file stands among those of its host. */
struct spool_order {
    uint64_t epoch, count;
};

/* Below, at or above zero, as one stands before, beside or behind the other. */
int spool_compare(const struct spool_order *one, const struct spool_order *other);

/*
 * Takes a name `<epoch>.<count>.<pid>.<command letters>.<lonHostID>` apart. Returns the host, a
 * pointer into `name`, or NULL when this is no name of a deferred file: two numbers and a valid
 * host behind the last dot are asked for, and nothing of what lies between.
 */
const char *spool_parse_name(const char *name, struct spool_order *order);

/*
 * A lonHostID may have dots in it. The host of the same name with one component more on its left,
 * or NULL where that would be no part of the host: epoch and count are never.
 */
const char *spool_longer_host(const char *name, const char *host);

/* Whether this is the name of one of the folders below: no file, and nothing strange. */
bool spool_is_own(const char *name);

#endif
