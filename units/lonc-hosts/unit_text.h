/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text of the unit files and drop-ins that lonc-hosts writes. These are pure rules; they touch
 * no files.
 */
#ifndef LONC_UNITS_LONC_HOSTS_UNIT_TEXT_H
#define LONC_UNITS_LONC_HOSTS_UNIT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "units/lonc-hosts/host_list.h"
#include "units/lonc-hosts/www.h"

/* Room for a dozen paths of loncapa.conf, whose lines have at most 4,096 bytes, with their quotes.
 * In practice a text is far shorter. */
#define TEXT_SIZE 65536

/* NUL-terminated. What does not fit is cut off. */
struct unit_text {
    char bytes[TEXT_SIZE];
    size_t length;
};

void unit_text_clear(struct unit_text *text);

/*
 * A host's unit: the template without its comments, with @HOST@, @USER@ and @GROUP@ filled in. A
 * line with @SOCKET@ is repeated for each of the host's paths.
 */
void unit_text_host_unit(struct unit_text *text, const char *template, const struct host *host,
                         const struct www *user);

/* Whether a socket unit listens at all paths of the host, in their order, and nowhere else. */
bool unit_text_has_paths(const char *unit, const struct host *host);

/* Copies out the paths where a socket unit listens, and returns how many they are. Paths that
 * unit_text_host_unit cannot have written are left out. */
size_t unit_text_read_paths(const char *unit, char paths[PATHS_MAX][PATH_SIZE]);

/*
 * A drop-in that makes a service wait for the mounts of all `needed` folders, and lets it write to
 * all `writable` ones. Both lists end with NULL. The text is empty if both lists are.
 */
void unit_text_dropin(struct unit_text *text, char *const *needed, char *const *writable);

#endif
