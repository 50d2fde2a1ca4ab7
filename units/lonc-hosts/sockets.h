/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which sockets there are, according to systemd and the kernel. Looking changes nothing in the
 * system.
 */
#ifndef LONC_UNITS_LONC_HOSTS_SOCKETS_H
#define LONC_UNITS_LONC_HOSTS_SOCKETS_H

#include "units/lonc-hosts/host_list.h"
#include "units/lonc-hosts/manager.h"
#include "units/lonc-hosts/unit_files.h"

/*
 * Fills in `found` of all hosts and the states of our own units, replacing what an earlier look
 * found. Hosts that have a unit but are not wanted are added to the list. What cannot be found out
 * sets has_unknown. Returns 0, or a negative errno after reporting it on standard error.
 */
MUST_CHECK int sockets_look(struct host_list *hosts, struct manager *manager,
                            const struct unit_files *unit_files);

/* The part of sockets_look that does not need systemd: who listens at the paths. */
void sockets_look_at_paths(struct host_list *hosts);

#endif
