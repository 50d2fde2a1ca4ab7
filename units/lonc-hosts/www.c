/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See www.h. The folder of the sockets belongs to www, who could put anything at a socket's path.
 * So the file is opened first, and what was opened is both examined and given away.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/lonc-hosts/www.h"

const struct www *www(void)
{
    static struct www found;
    static bool asked, there;
    if (!asked) {
        const struct passwd *entry = getpwnam("www");
        if ((there = entry != NULL))
            found = (struct www){.user = entry->pw_uid, .group = entry->pw_gid};
        asked = true;
    }
    return there ? &found : NULL;
}

/* A hard link that www has made of another socket of root's does not count: it has two names. */
static bool is_roots_socket(const struct stat *status)
{
    return S_ISSOCK(status->st_mode) && status->st_uid == 0 && status->st_nlink == 1;
}

/* Keeps a group that an administrator's drop-in has chosen (SocketGroup=). */
static int chown_socket(int fd, const struct www *user)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !is_roots_socket(&status))
        return 0;
    gid_t group = status.st_gid == 0 ? user->group : status.st_gid;
    return fchownat(fd, "", user->user, group, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int www_give_socket(const char *path, const struct www *user)
{
    int fd = user != NULL ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    int r = chown_socket(fd, user);
    if (r < 0)
        fprintf(stderr, "lonc-hosts: %s: cannot be given to www: %s\n", path, strerror(-r));
    close(fd);
    return r;
}
