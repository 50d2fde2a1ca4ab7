/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See www.h. The folder of sockets is www's, who could put anything at such a path: so it is looked
 * at what is there, and that is held while it is given away.
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

/* Not one that www has only linked here: that has another name, in a folder of root's. */
static bool is_roots_socket(const struct stat *status)
{
    return S_ISSOCK(status->st_mode) && status->st_uid == 0 && status->st_nlink == 1;
}

/* A group that an administrator's drop-in has chosen stays. */
static int give(int fd, const struct www *to)
{
    struct stat status;
    if (fstat(fd, &status) < 0 || !is_roots_socket(&status))
        return 0;
    gid_t group = status.st_gid == 0 ? to->group : status.st_gid;
    return fchownat(fd, "", to->user, group, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int www_give(const char *path)
{
    const struct www *to = www();
    int fd = to != NULL ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    int r = give(fd, to);
    if (r < 0)
        fprintf(stderr, "lonc-hosts: %s: cannot be given to www: %s\n", path, strerror(-r));
    close(fd);
    return r;
}
