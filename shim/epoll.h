/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lonc-shim uses of epoll: everything is watched for being readable, level-triggered.
 */
#ifndef LONC_SHIM_EPOLL_H
#define LONC_SHIM_EPOLL_H

#include <stdint.h>

#include "common/attributes.h"

/* Watches `fd`; its events carry `data`. 0, or a negative errno: this takes kernel memory. */
MUST_CHECK int epoll_add(int epoll, int fd, uint64_t data);

/* Delivers no more of its events, even while the socket stays open in a message under way. */
void epoll_remove(int epoll, int fd);

#endif
