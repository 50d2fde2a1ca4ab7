/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Under which names in lonSockDir each host of the table is reached. These are pure rules. They
 * must agree with how the keeper reads such a name (hosts_hold in keeper/host/hosts.h).
 */
#ifndef LONC_UNITS_LONC_HOSTS_PATHS_H
#define LONC_UNITS_LONC_HOSTS_PATHS_H

#include <stdbool.h>

#include "common/hosttab.h"
#include "common/settings.h"

/* A host is reached by its lonHostID and by its DNS name (lonc-protocol(7) section 1). */
#define PATHS_MAX 2

/* One host's names, the id first; NULL marks the end. The strings belong to the table. */
struct path_names {
    const char *name[PATHS_MAX];
};

/*
 * The names of each host's sockets, in an array with the order of the table. A DNS name belongs to
 * the first entry that has it, compared without case, and to no entry if it is another host's id.
 * The caller frees the array; NULL for lack of memory.
 */
struct path_names *paths_names(const struct hosttab *table, enum socket_names which);

#endif
