/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * At which paths this machine listens, according to the kernel. Connecting to a socket would answer
 * that too, but it starts a shim, so the kernel's list is read instead.
 */
#ifndef LONC_UNITS_LONC_HOSTS_LISTENING_H
#define LONC_UNITS_LONC_HOSTS_LISTENING_H

#include <stdbool.h>
#include <stddef.h>

struct listening {
    char **paths; /* sorted */
    size_t count, room;
    bool is_complete; /* otherwise nothing can be concluded from a path that is missing */
};

/*
 * Reads the list. Returns 0, or a negative errno after reporting it on standard error; the list is
 * then incomplete. The caller ends it with listening_free in either case.
 */
int listening_read(struct listening *listening);
void listening_free(struct listening *listening);

/*
 * Whether a socket that systemd made listens at the path. True as well if the list is incomplete,
 * since a socket must not be restarted on a mere suspicion. Sets *owned_by_root if the socket still
 * belongs to root; otherwise leaves it alone.
 */
bool listening_is_alive(const struct listening *listening, const char *path, bool *owned_by_root);

#endif
