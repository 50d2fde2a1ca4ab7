/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See listening.h.
 */
#include <bsd/string.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "units/lonc-hosts/listening.h"
#include "units/lonc-hosts/www.h"

#define KERNEL_LIST "/proc/net/unix"

/* A flag of that list: the socket listens (__SO_ACCEPTCON in the kernel). */
#define FLAG_LISTENS 0x10000

static int compare_paths(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* --- The kernel's list ------------------------------------------------------------------------ */

static int add_listening_path(struct listening *listening, const char *path)
{
    if (listening->count == listening->room) {
        size_t room = listening->room == 0 ? 256 : 2 * listening->room;
        char **grown = reallocarray(listening->paths, room, sizeof(*grown));
        if (grown == NULL)
            return -ENOMEM;
        listening->paths = grown;
        listening->room = room;
    }
    if ((listening->paths[listening->count] = strdup(path)) == NULL)
        return -ENOMEM;
    listening->count++;
    return 0;
}

/* The path in a line of the list, if somebody listens there; otherwise NULL. */
static char *listening_path(char *line)
{
    unsigned flags;
    int at = 0;
    line[strcspn(line, "\n")] = '\0';
    /* Num RefCount Protocol Flags Type St Inode Path (proc(5)). */
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes 8 digits. */
    if (sscanf(line, "%*s %*x %*x %x %*x %*x %*u %n", &flags, &at) != 1 || at == 0)
        return NULL;
    return (flags & FLAG_LISTENS) != 0 && line[at] == '/' ? line + at : NULL;
}

static int read_lines(struct listening *listening, FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    int r = 0;
    errno = 0;
    while (r == 0 && getline(&line, &size, file) > 0) {
        const char *path = listening_path(line);
        if (path != NULL)
            r = add_listening_path(listening, path);
    }
    if (r == 0 && !feof(file))
        r = errno != 0 ? -errno : -EIO;
    free(line);
    return r;
}

int listening_read(struct listening *listening)
{
    *listening = (struct listening){.paths = NULL};
    FILE *file = fopen(KERNEL_LIST, "re");
    int r = file != NULL ? read_lines(listening, file) : -errno;
    if (file != NULL)
        fclose(file);
    if (r < 0)
        fprintf(stderr, "lonc-hosts: " KERNEL_LIST ": %s\n", strerror(-r));
    listening->is_complete = r == 0;
    if (listening->count > 0)
        qsort(listening->paths, listening->count, sizeof(*listening->paths), compare_paths);
    return r;
}

void listening_free(struct listening *listening)
{
    for (size_t i = 0; i < listening->count; i++)
        free(listening->paths[i]);
    free(listening->paths);
}

/* --- Whose socket it is ----------------------------------------------------------------------- */

/*
 * Whether systemd listens at the path. The kernel tells only somebody who connects, which may start
 * a shim; so this is asked only where there is reason to doubt it.
 */
static bool is_systemds(const char *path)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    /* It is in the kernel's list, so it fits. */
    strlcpy(address.sun_path, path, sizeof(address.sun_path));
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        struct ucred peer = {.pid = 0};
        socklen_t size = sizeof(peer);
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bool connected = fd >= 0 &&
                         connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                         getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
        bool backlog_full = !connected && errno == EAGAIN;
        if (fd >= 0)
            close(fd);
        if (connected || backlog_full)
            return backlog_full || peer.pid == 1;
    }
    return false;
}

/* Only lonc-hosts, as root, gives a socket to www, and only one that systemd made. */
static bool is_www(uid_t user)
{
    return www() == NULL || www()->user == user;
}

bool listening_is_alive(const struct listening *listening, const char *path, bool *owned_by_root)
{
    struct stat status;
    if (!listening->is_complete)
        return true;
    if (lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode) || listening->count == 0)
        return false;
    char **found = bsearch(&path, listening->paths, listening->count, sizeof(*listening->paths),
                           compare_paths);
    if (found == NULL)
        return false;
    char **end = listening->paths + listening->count;
    /* A replaced socket is still in the list beside the one that took its path. */
    bool is_twice = (found > listening->paths && strcmp(found[-1], path) == 0) ||
                    (found + 1 < end && strcmp(found[1], path) == 0);
    bool is_alive = (!is_twice && is_www(status.st_uid)) || is_systemds(path);
    if (is_alive && status.st_uid == 0)
        *owned_by_root = true;
    return is_alive;
}
