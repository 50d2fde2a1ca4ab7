/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drop-ins for the units of this folder where loncapa.conf names other directories than LON-CAPA's
 * own: unit files cannot read it.
 */
#ifndef LONC_UNITS_DROPINS_H
#define LONC_UNITS_DROPINS_H

#include <stdbool.h>

#include "common/loncapa.h"

/*
 * Makes the drop-ins what they should be, none where the units are right as they are. `changed`
 * says whether systemd must read its unit files again, `keeper_changed` whether the keeper's, which
 * takes effect when the keeper is restarted. With `dry_run` it only looks. Each change is said on
 * standard output. 0, or a negative errno after it was said.
 */
int dropins_update(const struct loncapa *conf, bool dry_run, bool *changed, bool *keeper_changed);

#endif
