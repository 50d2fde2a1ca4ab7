/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers `con_lost` to clients that no keeper takes, and sees to it that all shims together log
 * only once a minute that there is no keeper.
 */
#ifndef LONC_SHIM_CON_LOST_H
#define LONC_SHIM_CON_LOST_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Answers these clients, at most CHANNEL_BATCH, and closes their descriptors. A client that has
 * begun a line may finish it until one second after `due`, a time of monotonic_now: closed in the
 * middle of writing, it would see an error in place of its answer. So this may take that long.
 */
void con_lost_answer(const int *fds, unsigned count, uint64_t due);

/*
 * Whether this shim is to log that there is no keeper at `path`: true unless a shim of the same
 * channel was told so within the last minute.
 */
bool con_lost_may_log(const char *path);

#endif
