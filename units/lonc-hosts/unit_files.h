/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lonc-hosts writes for systemd to read: the hosts' units and drop-ins (unit_text.h). A
 * file that is right already is left alone.
 */
#ifndef LONC_UNITS_LONC_HOSTS_UNIT_FILES_H
#define LONC_UNITS_LONC_HOSTS_UNIT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "units/lonc-hosts/sockets.h"

struct unit_files {
    bool dry_run; /* only look and say */
    bool hosts;   /* a host's units were written, or removed */
    bool changed; /* systemd must read its unit files again */
};

/*
 * Those that write return 0, or a negative errno after it was said on standard error. A change of
 * a drop-in is said on standard output; those of a host's units go without saying.
 */

/* Makes the drop-ins of our services what they should be: none where the unit is right as it is. */
int unit_files_dropins(struct unit_files *unit_files, const struct config *config);

/* When the keeper's drop-in was written last, in microseconds since the epoch; 0 without one. */
uint64_t unit_files_keeper_time(void);

/* Makes the units by which a host is served, after the templates in LIBDIR. */
int unit_files_host(struct unit_files *unit_files, const struct host *host);

/* Whether the host's socket of that kind was last written with the paths that it should have. */
bool unit_files_has_paths(const struct host *host, enum activation kind);

/* Gives the host the paths at which its socket was last written to listen. */
void unit_files_take_paths(struct host *host);

/*
 * Leaves word for the keeper, which shows it as its trouble `sockets`: a line "PATH: why" for each
 * path that could not be mended, in the file `unserved` of runtime_dir; no file for none.
 */
int unit_files_unserved(const char *runtime_dir, const char *lines);

/* Removes the units of hosts that are not wanted, or are served the other way. What systemd has
 * read of them it forgets once they are stopped. */
int unit_files_prune(struct unit_files *unit_files, const struct hosts *hosts);

#endif
