/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UNIX sockets by path: addresses, and listeners for a program that systemd gave none.
 */
#ifndef LONC_COMMON_UNIX_H
#define LONC_COMMON_UNIX_H

#include <sys/un.h>

#include "common/attributes.h"

/* Fills in the address of `path`. 0, -ENAMETOOLONG for 108 bytes or more, -EINVAL for none. */
MUST_CHECK int unix_address(struct sockaddr_un *address, const char *path);

/*
 * A non-blocking listener of `type` (SOCK_STREAM, SOCK_SEQPACKET) at `path`, mode 0600, with the
 * largest backlog the kernel allows. What a program that died left at the path is replaced; where
 * somebody still listens there, the result is -EADDRINUSE. Returns a descriptor that the caller
 * owns, or a negative errno.
 */
MUST_CHECK int unix_listen(const char *path, int type);

#endif
