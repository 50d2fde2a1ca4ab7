/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See epoll.h.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "shim/epoll.h"

int epoll_add(int epoll, int fd, uint64_t data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void epoll_remove(int epoll, int fd)
{
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
}
