/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See listeners.h. Each step costs by the listeners that have clients, never by those that exist;
 * but for opening, where each takes three calls.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/listeners.h"
#include "shim/shim.h"

/* Of systemd's: what LimitNOFILE= of a shim allows. */
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

/* In an event: what is no listener. */
#define OTHER UINT64_MAX

static void watch(struct listeners *listeners, int fd, uint64_t data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};
    if (epoll_ctl(listeners->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        shim_fail(SHIM_SYSTEM, "epoll_ctl: ", strerror(errno));
}

void listeners_open(struct listeners *listeners, int first, unsigned count, int other)
{
    listeners->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (listeners->epoll < 0)
        shim_fail(SHIM_SYSTEM, "epoll_create1: ", strerror(errno));
    watch(listeners, other, OTHER);
    for (unsigned i = 0; i < count; i++) {
        int fd = first + (int)i, on = 1;
        if (!listeners_is_listener(fd))
            shim_fail(SHIM_USAGE, "expected listening sockets from LISTEN_FDS", "");
        /* To learn that nobody waits any more must not stop the others. */
        if (ioctl(fd, FIONBIO, &on) < 0)
            shim_fail(SHIM_SYSTEM, "FIONBIO: ", strerror(errno));
        watch(listeners, fd, (unsigned)fd);
    }
}

bool listeners_wait(struct listeners *listeners, int milliseconds)
{
    struct epoll_event events[LISTENERS_TURN];
    bool other = false;
    int n = epoll_wait(listeners->epoll, events, LISTENERS_TURN, milliseconds);
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
            } else if (listeners->sweeping || fd != -EAGAIN) {
                /* One that is broken stays readable, and would keep the shim from its rest. */
                epoll_ctl(listeners->epoll, EPOLL_CTL_DEL, listeners->ready[i], NULL);
            }
        }
        listeners->ready_count = left;
    }
    return (int)count;
}
