/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The signs by which others know the keeper: systemd's notifications, the process title, lonc.pid
 * (lonc-protocol(7) section 6), and no `.lock` files of an old daemon.
 */
#ifndef LONC_KEEPER_CONTROL_NOTIFIER_H
#define LONC_KEEPER_CONTROL_NOTIFIER_H

#include "keeper/control/status.h"

/* How often STATUS= and the title follow what they tell, at the most. */
#define PRESENCE_INTERVAL 1000000

/* NULL without memory. From here on, STATUS= and the title follow core_changed. */
struct notifier *notifier_new(struct core *core, const struct status *status);

/* Removes lonc.pid if it is ours; NULL is allowed. */
void notifier_free(struct notifier *notifier);

/* A configuration is in force: lonc.pid is where it says, from now on whatever becomes of its
 * folder; while it cannot be written, that is a trouble and tried again each trouble_retry. */
void notifier_configured(struct notifier *notifier);

/* And then: old locks beside its sockets go, some in each call, as long as it says that there may
 * be more. */
MUST_CHECK bool notifier_sweep_some_locks(struct notifier *notifier);

/* The keeper serves; it reloads (and serves again); it is leaving. */
void notifier_ready(struct notifier *notifier);
void notifier_reloading(struct notifier *notifier);
void notifier_stopping(struct notifier *notifier);

/* Tells the path unit that runs lonc-hosts as root that hosts may have come or gone. */
void notifier_touch_reloaded(struct notifier *notifier);

#endif
