/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What becomes of clients whom no keeper takes: they are answered `con_lost`, and it is said once a
 * minute, whichever shim it happens to.
 */
#ifndef LONC_SHIM_CON_LOST_H
#define LONC_SHIM_CON_LOST_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Answers these clients, at most CHANNEL_BATCH, and closes their descriptors. Who has begun a line
 * gets until `due` and a second more to finish it, for it would else be cut off in its writing.
 */
void con_lost_answer(const int *fds, unsigned count, uint64_t due);

/*
 * Whether some shim of the channel at `path` has said within the last minute that there is no
 * keeper; if not, it is noted that this one does.
 */
bool con_lost_is_said(const char *path);

#endif
