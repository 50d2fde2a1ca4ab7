/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which folders our services need that their unit files do not name: those that loncapa.conf and
 * keeper.conf have elsewhere, and those that symbolic links lead to.
 */
#ifndef LONC_UNITS_LONC_HOSTS_PLACES_H
#define LONC_UNITS_LONC_HOSTS_PLACES_H

#include "common/config.h"

/* More than there can be, of folders and of what links lead to. */
#define PLACES_MAX 24

struct places {
    char *writable[PLACES_MAX + 1]; /* the keeper writes there; NULL behind them */
    char *needed[PLACES_MAX + 1];   /* to be mounted before any of it is of use; NULL behind them */
};

/*
 * Looks where the configuration leads. A link is followed where root has made it: one of www's
 * could widen what www's own sandbox lets it write; it is said on standard error. False without
 * memory.
 */
bool places_find(struct places *places, const struct config *config);
void places_free(struct places *places);

/*
 * The name of the unit that mounts the first `length` bytes of an absolute path, as systemd escapes
 * it (systemd-escape --path --suffix=mount), into `name` of `size` bytes. False where there can be
 * none: for the root, for a path with `..`, or past the length of a unit's name.
 */
bool places_mount_unit(char *name, size_t size, const char *path, size_t length);

#endif
