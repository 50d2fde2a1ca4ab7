/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which mount a path lies on. In a sandbox (ProtectSystem=strict) a folder that was made after the
 * start is read-only for this process alone, and stays so until it is started anew.
 */
#ifndef LONC_KEEPER_DEFERRED_MOUNTS_H
#define LONC_KEEPER_DEFERRED_MOUNTS_H

#include <stdbool.h>

/* Whether the path is on a read-only mount of a file system that is mounted to be written. */
bool mounts_forbid_writing(const char *path);

#endif
