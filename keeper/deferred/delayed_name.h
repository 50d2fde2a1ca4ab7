/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names in the deferred folder (lonc-protocol(7) section 5): those of transactions, which tell
 * their order and their host, and those of the folders below. Pure.
 */
#ifndef LONC_KEEPER_DEFERRED_DELAYED_NAME_H
#define LONC_KEEPER_DEFERRED_DELAYED_NAME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The folders below, each of which is a state of its files. An administrator moves files to held/
 * and back (loncctl queue hold); what lies in the other two could not be delivered.
 */
#define DELAYED_HELD_FOLDER     "held"
#define DELAYED_REJECTED_FOLDER "rejected"
#define DELAYED_CORRUPT_FOLDER  "corrupt"

/*
 * Files that are being stored, or removed. They have a folder of their own so that what a killed
 * keeper leaves can be tidied up without reading a million names.
 */
#define DELAYED_STORING_FOLDER "storing"

/* The place of a file among those of its host. */
struct delayed_order {
    uint64_t epoch, count;
};

/* Below, at or above zero, as `one` comes before, with or after `other`. */
int delayed_compare(const struct delayed_order *one, const struct delayed_order *other);

/*
 * Parses a name `<epoch>.<count>.<pid>.<command letters>.<lonHostID>`. Returns the host, a pointer
 * into `name`, or NULL if it is not the name of a transaction. It must begin with two numbers and
 * have a valid host behind the last dot; what lies between does not matter.
 */
const char *delayed_parse_name(const char *name, struct delayed_order *order);

/*
 * A lonHostID may contain dots, so a longer end of the name may be meant. Returns the host with one
 * component more on its left, or NULL if there is none: epoch and count are never part of it.
 */
const char *delayed_longer_host(const char *name, const char *host);

/* Whether this is the name of one of the folders below. */
bool delayed_is_own(const char *name);

#endif
