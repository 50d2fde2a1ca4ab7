/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The user that lonnet runs as, and to whom the sockets belong.
 */
#ifndef LONC_UNITS_LONC_HOSTS_WWW_H
#define LONC_UNITS_LONC_HOSTS_WWW_H

#include <sys/types.h>

struct www {
    uid_t user;
    gid_t group;
};

/* Looked up once. NULL where there is no such user. */
const struct www *www(void);

/*
 * Gives a socket that systemd has made, and which is root's as its unit says, to www. 0, also where
 * it is not root's or not there, or a negative errno after it was said on standard error.
 */
int www_give(const char *path);

#endif
