/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looks after the paths by which clients reach the keeper: its own two sockets, those of the hosts
 * in lonSockDir, and lonSockCreate. Whoever removes or replaces one leaves a listener that nobody
 * can reach, and systemd does not notice. A keeper that bound its sockets itself binds them anew;
 * those of systemd are root's to mend, by `lonc-hosts sync`, which is asked for it
 * (notifier_touch_reloaded).
 *
 * TROUBLE_SOCKETS is kept here: what is wrong with the keeper's own sockets, and what lonc-hosts
 * has left in `unserved` in runtime_dir, a line for each path that it could not mend.
 */
#ifndef LONC_KEEPER_CONTROL_SOCKETWATCH_H
#define LONC_KEEPER_CONTROL_SOCKETWATCH_H

#include "keeper/control/notifier.h"
#include "keeper/core/core.h"

struct socket_watch;

/* NULL without memory. */
struct socket_watch *socket_watch_new(struct hosts *hosts, struct notifier *notifier);
void socket_watch_free(struct socket_watch *watch); /* NULL is allowed */

/*
 * Looks after the path of a listener, at most two, from now on. `replace` takes a new listener for
 * the same path, which becomes its own; NULL where systemd listens.
 */
void socket_watch_add(struct socket_watch *watch, int listener,
                      void (*replace)(void *argument, int listener), void *argument);

/* lonc-hosts is to be asked for a sync: now, or when that may be done again. NULL is allowed. */
void socket_watch_ask(struct socket_watch *watch);

/* A configuration is in force: lonSockDir and lonSockCreate may be others. NULL is allowed. */
void socket_watch_configured(struct socket_watch *watch);

#endif
