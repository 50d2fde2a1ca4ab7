/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text of what lonc-hosts writes for systemd to read: pure rules, no files.
 */
#ifndef LONC_UNITS_LONC_HOSTS_UNIT_TEXT_H
#define LONC_UNITS_LONC_HOSTS_UNIT_TEXT_H

#include <stdbool.h>

#include "common/loncapa.h"
#include "units/lonc-hosts/sockets.h"
#include "units/lonc-hosts/www.h"

/* Some paths of loncapa.conf, whose lines end at 4,096 bytes, quoted: less in practice by far. */
#define TEXT_SIZE 65536

/* NUL-terminated. What does not fit is cut off. */
struct unit_text {
    char bytes[TEXT_SIZE];
    size_t length;
};

void unit_text_clear(struct unit_text *text);

/*
 * A host's unit: the template without its comments, @HOST@, @USER@ and @GROUP@ filled in, and a
 * line with @SOCKET@ once for each of the host's paths.
 */
void unit_text_unit(struct unit_text *text, const char *template, const struct host *host,
                    const struct www *user);

/* Whether the unit, a socket's, listens where the host should be reached, and nowhere else. */
bool unit_text_has_paths(const char *unit, const struct host *host);

/* Gives the host the paths where the unit, a socket's, listens. */
void unit_text_take_paths(const char *unit, struct host *host);

/*
 * A drop-in that has a service wait for the mounts of all of `needed`, and lets it write to all of
 * `writable`; both end with NULL. Empty where both are.
 */
void unit_text_dropin(struct unit_text *text, char *const *needed, char *const *writable);

#endif
