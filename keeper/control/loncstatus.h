/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What SIGUSR1 asks for: `<lonDocRoot>/lon-status/loncstatus.txt` (lonc-protocol(7) section 6), and
 * that every host in trouble is tried now. londs send it whenever a host connects to them, so it is
 * done some hosts at a time, beside the sockets.
 */
#ifndef LONC_KEEPER_CONTROL_LONCSTATUS_H
#define LONC_KEEPER_CONTROL_LONCSTATUS_H

#include "keeper/host/hosts.h"

struct loncstatus;

/* NULL without memory or descriptors. */
struct loncstatus *loncstatus_new(struct hosts *hosts);
void loncstatus_free(struct loncstatus *loncstatus); /* NULL is allowed */

/*
 * Writes the file, whole or not at all, and forgives each host once its line is written: the other
 * way round, nobody in it would be dead. Asked meanwhile, it begins anew when it is through.
 */
void loncstatus_ask(struct loncstatus *loncstatus);

#endif
