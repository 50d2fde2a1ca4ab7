/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files that lonc-hosts writes: the hosts' units, the drop-ins of our own services, and the
 * list of what is not served. A file that is right already is left alone.
 */
#ifndef LONC_UNITS_LONC_HOSTS_UNIT_FILES_H
#define LONC_UNITS_LONC_HOSTS_UNIT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/config.h"
#include "units/lonc-hosts/host_list.h"
#include "units/lonc-hosts/www.h"

struct unit_files {
    const char *units;      /* folder of the hosts' units */
    const char *dropins;    /* folder of the drop-ins of our own services */
    const char *templates;  /* folder of the templates that units are made from */
    const struct www *user; /* whom the units run as; NULL if there is no such user */
    bool dry_run;           /* report what would be written, but write nothing */
    bool hosts_changed;     /* a host's unit was written or removed */
    bool needs_reload;      /* systemd must read its unit files again */
};

/* The folders of this machine, and nothing written yet. */
void unit_files_init(struct unit_files *unit_files, bool dry_run);

/*
 * Functions that write return 0, or a negative errno after reporting it on standard error. Each
 * changed drop-in is reported on standard output. Changes of hosts' units are not, since sync.h
 * reports what becomes of their sockets.
 */

/* Writes the drop-ins that our services need for this configuration, and removes those that they do
 * not need. */
MUST_CHECK int unit_files_write_dropins(struct unit_files *unit_files, const struct config *config);

/* When the keeper's drop-in was last written, in microseconds since the epoch; 0 without one. */
uint64_t unit_files_keeper_dropin_time(const struct unit_files *unit_files);

/* Writes the units that serve a host. */
MUST_CHECK int unit_files_write_host(struct unit_files *unit_files, const struct host *host);

/* Whether the unit file of the host's socket of that kind has the paths that the host should have.
 */
bool unit_files_has_paths(const struct unit_files *unit_files, const struct host *host,
                          enum activation kind);

/* Copies out the paths in the unit file of the host's socket of that kind, and returns how many
 * they are. */
size_t unit_files_read_paths(const struct unit_files *unit_files, const struct host *host,
                             enum activation kind, char paths[PATHS_MAX][PATH_SIZE]);

/* Removes the units of hosts that are not wanted or are served the other way. If systemd has loaded
 * such a unit, it forgets it once the unit is stopped. */
MUST_CHECK int unit_files_prune(struct unit_files *unit_files, const struct host_list *hosts);

/*
 * Writes the file `unserved` in runtime_dir, which the keeper shows as its trouble `sockets`. It
 * has a line "PATH: why" for each path that could not be mended. Without lines it is removed.
 */
MUST_CHECK int unit_files_write_unserved(const char *runtime_dir, const char *lines);

#endif
