/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The signs by which others know the keeper: systemd's notifications, the process title, lonc.pid
 * (lonc-protocol(7) section 6), and no `.lock` files of an old daemon.
 */
#ifndef LONC_KEEPER_CONTROL_NOTIFIER_H
#define LONC_KEEPER_CONTROL_NOTIFIER_H

#include "keeper/control/status.h"

/* STATUS= and the title are updated at most this often, in microseconds. */
#define PRESENCE_INTERVAL 1000000

/* NULL for lack of memory. From now on, STATUS= and the title follow core_changed. */
struct notifier *notifier_new(struct core *core, const struct status *status);

/* Removes lonc.pid if it is this keeper's. NULL is allowed. */
void notifier_free(struct notifier *notifier);

/* Keeps lonc.pid where the configuration in force says, even when its folder is replaced. While it
 * cannot be written, that is a trouble, and tried again after each trouble_retry. */
void notifier_configured(struct notifier *notifier);

/* And then: old locks beside its sockets go, some in each call, as long as it says that there may
 * be more. */
MUST_CHECK bool notifier_sweep_some_locks(struct notifier *notifier);

/* Tells systemd that the keeper serves, reloads (notifier_ready follows), or stops. */
void notifier_ready(struct notifier *notifier);
void notifier_reloading(struct notifier *notifier);
void notifier_stopping(struct notifier *notifier);

/* Has lonc-hosts run by its path unit, as root, because hosts may have come or gone. */
void notifier_touch_reloaded(struct notifier *notifier);

#endif
