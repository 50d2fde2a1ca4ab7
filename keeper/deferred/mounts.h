/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether the keeper's own sandbox keeps it from writing. Under ProtectSystem=strict, a folder that
 * was created after the start is read-only for this process alone, until it is restarted.
 */
#ifndef LONC_KEEPER_DEFERRED_MOUNTS_H
#define LONC_KEEPER_DEFERRED_MOUNTS_H

#include <stdbool.h>

/*
 * Whether the path, or its folder if there is no such file yet, lies on a read-only mount of a file
 * system that itself can be written. false if that is not known.
 */
bool mounts_forbid_writing(const char *path);

#endif
