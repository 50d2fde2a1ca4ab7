/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Under which names in lonSockDir each host of the table is reached: pure rules, which agree with
 * how the keeper reads a name (hosts_hold in keeper/host/hosts.h).
 */
#ifndef LONC_UNITS_LONC_HOSTS_PATHS_H
#define LONC_UNITS_LONC_HOSTS_PATHS_H

#include <stdbool.h>

#include "common/hosttab.h"
#include "common/settings.h"

/* By its lonHostID and by its DNS name (lonc-protocol(7) section 1). */
#define PATHS_MAX 2

/* The table's own strings, the id first; NULL behind them. */
struct path_names {
    const char *name[PATHS_MAX];
};

/*
 * For each entry of the table, in its order, the names of its host's sockets. A DNS name belongs to
 * the first entry that has it, whatever its case, and to none when it is another host's id. The
 * caller frees the array; NULL without memory.
 */
struct path_names *paths_names(const struct hosttab *table, enum socket_names which);

#endif
