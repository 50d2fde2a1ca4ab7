/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The signs by which others know the keeper: systemd's notifications, the process title, lonc.pid
 * (lonc-protocol(7) section 6), and no `.lock` files of an old daemon.
 */
#ifndef LONC_KEEPER_CONTROL_PRESENCE_H
#define LONC_KEEPER_CONTROL_PRESENCE_H

#include "keeper/control/status.h"

/* How often STATUS= and the title follow what they tell, at the most. */
#define PRESENCE_INTERVAL 1000000

/* NULL without memory. From here on, STATUS= and the title follow service_changed. */
struct presence *presence_new(struct service *service, const struct status *status);

/* Removes lonc.pid if it is ours; NULL is allowed. */
void presence_free(struct presence *presence);

/* A configuration is in force: lonc.pid is where it says, from now on whatever becomes of its
 * folder; while it cannot be written, that is a trouble and tried again each trouble_retry. */
void presence_configured(struct presence *presence);

/* And then: old locks beside its sockets go, some in each call, as long as it says that there may
 * be more. */
bool presence_sweep_locks(struct presence *presence);

/* The keeper serves; it reloads (and serves again); it is leaving. */
void presence_ready(struct presence *presence);
void presence_reloading(struct presence *presence);
void presence_stopping(struct presence *presence);

/* Tells the path unit that runs lonc-hosts as root that hosts may have come or gone. */
void presence_touch_reloaded(struct presence *presence);

#endif
