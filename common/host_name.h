/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of hosts: which are allowed, and which one the path of a socket stands for. Rules without
 * I/O.
 */
#ifndef LONC_COMMON_HOST_NAME_H
#define LONC_COMMON_HOST_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* A DNS name is at most 253 characters (RFC 1035), and a file name at most 255. */
#define HOST_NAME_MAX_LENGTH 253

/* The rule of host_name_is_valid, for diagnostics ("expected ..."). */
#define HOST_NAME_RULE                                                                             \
    "a name of up to 253 letters, digits, '.', '_' and '-', other than \".\", \"..\" and "         \
    "\"delayed\""

/*
 * Whether `name` may be the lonHostID or the DNS name of a host: [A-Za-z0-9._-]+, at most
 * HOST_NAME_MAX_LENGTH bytes, and none of ".", ".." and "delayed", which mean something else in
 * lonSockDir.
 */
bool host_name_is_valid(const char *name);

/*
 * The host's name in the path of a listening socket: the last component, if it is a valid name and
 * the rest is `directory` (keeper/README.md, "A request's way"). Slashes at the end of `directory`
 * and repeated ones before the name do not matter. Nothing else is normalized, because both texts
 * come from the same variable of loncapa.conf. Returns a pointer into `path`, or NULL.
 */
const char *host_name_from_socket(const char *path, const char *directory);

#endif
