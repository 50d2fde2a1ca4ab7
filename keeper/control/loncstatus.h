/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What SIGUSR1 asks for: writing `<lonDocRoot>/lon-status/loncstatus.txt` (lonc-protocol(7)
 * section 6), and trying every host now that is not healthy. londs send the signal whenever a host
 * connects to them, so the work is done in slices (keeper/core/sliced_task.h).
 */
#ifndef LONC_KEEPER_CONTROL_LONCSTATUS_H
#define LONC_KEEPER_CONTROL_LONCSTATUS_H

#include "keeper/host/hosts.h"

struct loncstatus;

/* NULL without memory or descriptors. */
struct loncstatus *loncstatus_new(struct hosts *hosts);
void loncstatus_free(struct loncstatus *loncstatus); /* NULL is allowed */

/*
 * Writes the file, whole or not at all, and retries each host once its line is written; the other
 * way round, no host in it would be dead. If it is being written already, it is written once more
 * afterwards.
 */
void loncstatus_ask(struct loncstatus *loncstatus);

#endif
