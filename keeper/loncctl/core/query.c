/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The client's side of the control socket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/unix.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/query.h"

/* Bytes of an answer. The largest table allowed, 100,000 hosts, takes half of it. */
#define ANSWER_MAX ((size_t)256 << 20)

#define FIRST_SIZE 65536

/* Returns a descriptor or a negative errno. */
static int connect_to(const char *path, unsigned patience)
{
    struct sockaddr_un address;
    const struct timeval limit = {.tv_sec = patience};
    int r = unix_address(&address, path);
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static int send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

int query_start(struct query *query, const char *path, const char *line, unsigned patience)
{
    *query = (struct query){.fd = -1};
    int fd = connect_to(path, patience);
    if (fd < 0)
        return fd;
    query->fd = fd;
    int r = send_all(fd, line, strlen(line));
    /* A keeper that closes before it has read everything may have answered why. */
    if (r == -EPIPE)
        return 0;
    if (r < 0)
        query_end(query);
    return r;
}

int query_receive(struct query *query)
{
    for (;;) {
        if (query->length == query->size) {
            if (query->size >= ANSWER_MAX)
                return -EMSGSIZE;
            query->size = query->size == 0 ? FIRST_SIZE : 2 * query->size;
            query->bytes = must(realloc(query->bytes, query->size));
        }
        ssize_t n = recv(query->fd, query->bytes + query->length, query->size - query->length,
                         MSG_DONTWAIT);
        if (n == 0)
            return 1;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        query->length += (size_t)n;
    }
}

json_t *query_value(const struct query *query)
{
    /* A reply of lond may contain any byte, NUL included. */
    return json_loadb(query->bytes, query->length, JSON_ALLOW_NUL, NULL);
}

void query_end(struct query *query)
{
    if (query->fd >= 0)
        close(query->fd);
    free(query->bytes);
    *query = (struct query){.fd = -1};
}
