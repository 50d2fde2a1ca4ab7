/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which folders our services need that their unit files do not name: folders that loncapa.conf or
 * keeper.conf have moved elsewhere, and folders that symbolic links lead to.
 */
#ifndef LONC_UNITS_LONC_HOSTS_PLACES_H
#define LONC_UNITS_LONC_HOSTS_PLACES_H

#include "common/attributes.h"
#include "common/config.h"

/* More folders than the configuration and links can name. */
#define PLACES_MAX 24

struct places {
    char *writable[PLACES_MAX + 1]; /* folders that the keeper writes to; ends with NULL */
    char *needed[PLACES_MAX + 1];   /* folders that must be mounted first; ends with NULL */
};

/*
 * Finds out where the configuration leads. Only links that root has made are followed, because a
 * link of www's could widen what www's own sandbox lets it write. Another link is reported on
 * standard error. Returns 0 or -ENOMEM; the caller ends `places` with places_free in either case.
 */
MUST_CHECK int places_find(struct places *places, const struct config *config);
void places_free(struct places *places);

/*
 * Writes to `name`, of `size` bytes, the name of the unit that mounts the first `length` bytes of
 * an absolute path, escaped as systemd does (systemd-escape --path --suffix=mount). False if there
 * can be no such unit: for the root, for a path with `..`, or if the name would be too long.
 */
bool places_mount_unit(char *name, size_t size, const char *path, size_t length);

#endif
