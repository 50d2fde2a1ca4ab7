/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lonc-hosts writes for systemd to read: the units of hosts that are served per connection,
 * and drop-ins where loncapa.conf names other directories than LON-CAPA's own, which unit files
 * cannot read. A file that is right already is left alone.
 */
#ifndef LONC_UNITS_WRITTEN_H
#define LONC_UNITS_WRITTEN_H

#include <stdbool.h>

#include "common/loncapa.h"

struct written {
    bool dry_run;        /* only look and say */
    bool changed;        /* systemd must read its unit files again */
    bool keeper_changed; /* the keeper's too, which takes effect when it is restarted */
};

/*
 * All return 0, or a negative errno after it was said on standard error. Changes of drop-ins are
 * said on standard output; those of a host's units go without saying.
 */

/* Makes the drop-ins what they should be: none where the units are right as they are. */
int written_dropins(struct written *written, const struct loncapa *conf);

/* Makes lonc-host-ID.socket and lonc-host-ID@.service, after the templates in LIBDIR. */
int written_host(struct written *written, const struct loncapa *conf, const char *id);

/* Removes the units of hosts for which `is_wanted` says no. */
int written_prune(struct written *written, bool (*is_wanted)(void *argument, const char *id),
                  void *argument);

#endif
