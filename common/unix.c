/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UNIX sockets by path. Under systemd, listeners come from socket units, and none is created here.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/unix.h"

int unix_address(struct sockaddr_un *address, const char *path)
{
    size_t length = strlen(path);
    if (length == 0) /* it would mean an abstract address, which has no permissions */
        return -EINVAL;
    if (length >= sizeof(address->sun_path))
        return -ENAMETOOLONG;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    return 0;
}

/* A socket on which nobody listens refuses connections; a listener with a full backlog does not. */
static bool is_abandoned(const struct sockaddr_un *address, int type)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
                   errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t mask = umask(0177);
    int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    umask(mask);
    return r;
}

int unix_listen(const char *path, int type)
{
    struct sockaddr_un address;
    int r = unix_address(&address, path);
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    r = bind_private(fd, &address);
    if (r == -EADDRINUSE && is_abandoned(&address, type)) {
        unlink(path);
        r = bind_private(fd, &address);
    }
    /* The kernel reduces the backlog to net.core.somaxconn. */
    if (r == 0 && listen(fd, 65535) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}
