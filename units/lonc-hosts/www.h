/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * www, the user that lonnet runs as and that owns the hosts' sockets.
 */
#ifndef LONC_UNITS_LONC_HOSTS_WWW_H
#define LONC_UNITS_LONC_HOSTS_WWW_H

#include <sys/types.h>

#include "common/attributes.h"

struct www {
    uid_t user;
    gid_t group;
};

/* Looks the user up, once. NULL if there is none. The result stays valid. */
const struct www *www(void);

/*
 * Gives the socket at `path`, which systemd has made as root, to that user (www(), which may be
 * NULL). Returns 0, also if there is no socket of root's at the path or no such user, or a negative
 * errno after reporting it on standard error.
 */
MUST_CHECK int www_give_socket(const char *path, const struct www *user);

#endif
