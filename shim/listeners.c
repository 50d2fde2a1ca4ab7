/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See listeners.h. What a step costs depends on how many listeners have clients, never on how many
 * there are; only listeners_open makes three system calls for each.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/epoll.h"
#include "shim/exit.h"
#include "shim/listeners.h"

/* As many as LimitNOFILE= of a shim's unit allows. */
#define LISTENERS_MAX 65536

unsigned listeners_passed(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
        return 0;
    long n = strtol(count, NULL, 10);
    return n > 0 && n <= LISTENERS_MAX ? (unsigned)n : 0;
}

bool listeners_is_listener(int fd)
{
    int yes = 0;
    socklen_t size = sizeof(yes);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes != 0;
}

/* The data of `other`'s events; a listener's are its descriptor. */
#define OTHER UINT64_MAX

static void watch(struct listeners *listeners, int fd, uint64_t data)
{
    int r = epoll_add(listeners->epoll, fd, data);
    if (r < 0)
        exit_with(SHIM_SYSTEM, "epoll_ctl", r);
}

void listeners_open(struct listeners *listeners, int first, unsigned count, int other)
{
    *listeners = (struct listeners){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (listeners->epoll < 0)
        exit_with(SHIM_SYSTEM, "epoll_create1", -errno);
    watch(listeners, other, OTHER);
    for (unsigned i = 0; i < count; i++) {
        int fd = first + (int)i, on = 1;
        if (!listeners_is_listener(fd))
            exit_with(SHIM_USAGE, "expected listening sockets from LISTEN_FDS", 0);
        /* Clients are accepted until none waits any more, which must not block. */
        if (ioctl(fd, FIONBIO, &on) < 0)
            exit_with(SHIM_SYSTEM, "FIONBIO", -errno);
        watch(listeners, fd, (unsigned)fd);
    }
}

bool listeners_wait(struct listeners *listeners, int milliseconds)
{
    struct epoll_event events[LISTENERS_BATCH];
    bool other = false;
    int n = epoll_wait(listeners->epoll, events, LISTENERS_BATCH, milliseconds);
    listeners->ready_count = 0;
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == OTHER)
            other = true;
        else
            listeners->ready[listeners->ready_count++] = events[i].data.fd;
    }
    return other;
}

/* A client's descriptor, or a negative errno. */
static int accept_one(int listener)
{
    int fd;
    do
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd >= 0 ? fd : -errno;
}

static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

int listeners_accept(struct listeners *listeners, int *fds, unsigned room)
{
    unsigned count = 0;
    while (listeners->ready_count > 0) {
        unsigned left = 0;
        for (unsigned i = 0; i < listeners->ready_count; i++) {
            if (count == room)
                return (int)count;
            int fd = accept_one(listeners->ready[i]);
            if (is_shortage(fd))
                return count > 0 ? (int)count : fd;
            if (fd >= 0) {
                fds[count++] = fd;
                listeners->ready[left++] = listeners->ready[i];
            } else if (listeners->draining || fd != -EAGAIN) {
                /* A broken listener stays readable, and would keep the shim busy for ever. */
                epoll_remove(listeners->epoll, listeners->ready[i]);
            }
        }
        listeners->ready_count = left;
    }
    return (int)count;
}

void listeners_drain(struct listeners *listeners)
{
    listeners->draining = true;
}

bool listeners_may_be_more(const struct listeners *listeners)
{
    return listeners->ready_count == LISTENERS_BATCH;
}
