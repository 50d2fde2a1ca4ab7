/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finds drop-ins of administrators that have lost their effect. When a host is switched to the
 * other way of being served, or a release replaces the shims of single hosts by a shared one, other
 * units serve the host, and systemd no longer reads the drop-ins of the old ones. An administrator
 * has to be told, or would rely on them.
 */
#ifndef LONC_UNITS_LONC_HOSTS_DROPINS_H
#define LONC_UNITS_LONC_HOSTS_DROPINS_H

#include "units/lonc-hosts/host_list.h"

/*
 * Whether an entry called `name` in a folder of unit files is without effect. If so, writes to
 * `text`, of `size` bytes, why that is and which drop-in would have an effect. False as well for
 * names that are not ours.
 */
bool dropins_is_dead(char *text, size_t size, const struct host_list *hosts, const char *name);

/* Reports each such drop-in of this machine on standard error. */
void dropins_report(const struct host_list *hosts);

/* The same for one folder of unit files. Without that folder there is nothing to report. */
void dropins_report_folder(const struct host_list *hosts, const char *path);

#endif
