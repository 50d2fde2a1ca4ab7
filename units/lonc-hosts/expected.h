/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which sockets there should be: those of the host table or, while that is not valid, those that
 * there are already.
 */
#ifndef LONC_UNITS_LONC_HOSTS_EXPECTED_H
#define LONC_UNITS_LONC_HOSTS_EXPECTED_H

#include "common/config.h"
#include "units/lonc-hosts/host_list.h"
#include "units/lonc-hosts/unit_files.h"

/*
 * Adds the hosts of a valid configuration to an empty list, and lonSockCreate as one more. What can
 * have no socket is reported on standard error and left out. Returns 0 or -ENOMEM.
 */
MUST_CHECK int expected_from_table(struct host_list *hosts, const struct config *config);

/*
 * Without a valid table: wants each host whose socket was found started or failed (sockets_look),
 * at the paths in its unit file.
 */
void expected_from_found(struct host_list *hosts, const struct unit_files *unit_files);

#endif
