/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drop-ins that an administrator has made for units of hosts. When a host is served the other way,
 * or by the shim of all hosts where it had one of its own, other units serve it, and nothing reads
 * them any more: that must not go unsaid.
 */
#ifndef LONC_UNITS_LONC_HOSTS_DROPINS_H
#define LONC_UNITS_LONC_HOSTS_DROPINS_H

#include "units/lonc-hosts/sockets.h"

/*
 * Why a file or folder of that name, in a folder of unit files, has no effect, and what would have
 * one, into `text` of `size` bytes. False where it has one, or is no business of ours.
 */
bool dropins_is_dead(char *text, size_t size, const struct hosts *hosts, const char *name);

/* Says so on standard error of each there is. */
void dropins_report(const struct hosts *hosts);

#endif
