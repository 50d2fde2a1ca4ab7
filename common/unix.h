/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UNIX sockets by path: addresses, and listeners for a program that systemd has given none.
 */
#ifndef LONC_COMMON_UNIX_H
#define LONC_COMMON_UNIX_H

#include <sys/un.h>

#include "common/attributes.h"

/* Fills in the address of `path`. 0, -ENAMETOOLONG for 108 bytes or more, -EINVAL for "". */
MUST_CHECK int unix_address(struct sockaddr_un *address, const char *path);

/*
 * Creates a non-blocking listener of `type` (SOCK_STREAM, SOCK_SEQPACKET) at `path`, with mode 0600
 * and the largest backlog that the kernel allows. A socket that a dead program has left at the path
 * is replaced; if somebody still listens there, the result is -EADDRINUSE. Returns a descriptor
 * that the caller owns, or a negative errno.
 */
MUST_CHECK int unix_listen(const char *path, int type);

#endif
