/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connecting, one address at a time. It never blocks: the loop says when an attempt has ended.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/lond/connect.h"

/* The addresses of an attempt. */
struct candidates {
    struct addresses addresses;
    unsigned next; /* to be tried */
    uint16_t port;
};

/*
 * Keep-alive finds a peer whose machine has vanished while nothing is sent, TCP_USER_TIMEOUT one
 * that vanishes while something is (keeper/README.md rule 7).
 */
static int set_options(int fd, const struct settings *settings)
{
    const struct {
        int level, name;
        uint64_t value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, settings->keepalive_idle / 1000000},
        {IPPROTO_TCP, TCP_KEEPINTVL, settings->keepalive_interval / 1000000},
        {IPPROTO_TCP, TCP_KEEPCNT, settings->keepalive_count},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, settings->unacknowledged_timeout / 1000},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        int value = (int)options[i].value;
        if (setsockopt(fd, options[i].level, options[i].name, &value, sizeof(value)) < 0)
            return -errno;
    }
    return 0;
}

/* Starts to connect to lond->address, and watches for the end of that. */
static int start_connecting(struct lond *lond, uint16_t port)
{
    socklen_t size = address_with_port(&lond->address, port);
    int fd = socket(lond->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = set_options(fd, &lond->core->settings);
    if (r == 0 && connect(fd, &lond->address.any, size) < 0 && errno != EINPROGRESS)
        r = -errno;
    if (r == 0)
        r = loop_watch(&lond->core->loop, &lond->watch, fd, EPOLLOUT);
    if (r < 0) {
        close(fd);
        return r;
    }
    core_descriptor_opened(lond->core);
    return 0;
}

static bool has_candidate(const struct candidates *candidates)
{
    return candidates->next < candidates->addresses.count;
}

/* Starts on the next address that does not fail at once. 0, or the last one's negative errno. */
static int connect_next(struct lond *lond)
{
    struct candidates *candidates = lond->candidates;
    int r = -EADDRNOTAVAIL;
    while (r < 0 && has_candidate(candidates)) {
        lond->address = candidates->addresses.at[candidates->next++];
        r = start_connecting(lond, candidates->port);
    }
    if (r == 0)
        deadline_start(&lond->londs->connecting, &lond->deadline);
    return r;
}

int connect_start(struct lond *lond, const struct addresses *addresses, uint16_t port)
{
    lond->candidates = malloc(sizeof(*lond->candidates));
    if (lond->candidates == NULL)
        return -ENOMEM;
    *lond->candidates = (struct candidates){.addresses = *addresses, .port = port};
    return connect_next(lond);
}

/*
 * This address has failed for `reason`: tries the next one, or the attempt has failed. An address
 * of a kind that this machine has no route for, as IPv6 often is, says less about the host than the
 * one before it, whose reason then stands.
 */
static void try_next(struct lond *lond, enum reason reason)
{
    lond_close_socket(lond);
    if (has_candidate(lond->candidates)) {
        int r = connect_next(lond);
        if (r == 0)
            return;
        if (reason_from_errno(-r) != REASON_UNREACHABLE)
            reason = reason_from_errno(-r);
    }
    lond_lose(lond, reason, NULL);
}

bool connect_end(struct lond *lond)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(lond->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error != 0) {
        try_next(lond, reason_from_errno(error));
        return false;
    }
    free(lond->candidates);
    lond->candidates = NULL;
    loop_change(&lond->core->loop, &lond->watch, LOND_READABLE);
    return true;
}

void connect_timed_out(struct lond *lond)
{
    try_next(lond, REASON_TIMED_OUT);
}
