/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred folder, and storing transactions in it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/deferred/delayed_create.h"
#include "keeper/deferred/delayed_name.h"
#include "keeper/lond/request.h"

int delayed_open(const char *path)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fd;
}

int delayed_make_below(int folder, const char *name)
{
    return mkdirat(folder, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* --- Storing ---------------------------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

int delayed_write_new(int folder, const char *path, const char *bytes, size_t length)
{
    int fd = openat(folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, bytes, length);
    if (r == 0)
        return fd;
    close(fd);
    (void)unlinkat(folder, path, 0);
    return r;
}

/* The letters at the beginning of the request, as far as they may be shown: names are logged. */
static void command_letters(const char *line, size_t length, char letters[17])
{
    /* A prefix further on may say that the beginning is a part of a secret. */
    struct request_shown known =
        request_shown(line, length < REQUEST_LOOKED_AT ? length : REQUEST_LOOKED_AT);
    size_t n = 0, shown = known.length < 16 ? known.length : 16;
    for (size_t i = 0; i < shown; i++) {
        char c = line[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (word)
            letters[n++] = c;
    }
    letters[n] = '\0';
}

int delayed_create(int folder, const char *host, uint64_t epoch, const char *line, size_t length,
                   struct delayed_file *file)
{
    static uint64_t count;
    char letters[17];
    command_letters(line, length, letters);
    count++;
    snprintf(file->temporary, sizeof(file->temporary), DELAYED_STORING_FOLDER "/%llu",
             (unsigned long long)count);
    snprintf(file->name, sizeof(file->name), "%llu.%llu.%ld.%s.%s", (unsigned long long)epoch,
             (unsigned long long)count, (long)getpid(), letters, host);
    int r = delayed_make_below(folder, DELAYED_STORING_FOLDER);
    if (r == 0)
        r = delayed_write_new(folder, file->temporary, line, length);
    file->fd = r < 0 ? -1 : r;
    return r < 0 ? r : 0;
}

int delayed_publish(int folder, struct delayed_file *file)
{
    if (renameat2(folder, file->temporary, folder, file->name, RENAME_NOREPLACE) < 0)
        return -errno;
    close(file->fd);
    file->fd = -1;
    return 0;
}

void delayed_abandon(int folder, struct delayed_file *file)
{
    if (file->fd < 0)
        return;
    close(file->fd);
    file->fd = -1;
    (void)unlinkat(folder, file->temporary, 0);
}

/* A name of a transaction means that it was being removed: it goes back, unless it is taken. */
static void sweep_one(int folder, int storing, const char *name)
{
    struct delayed_order order;
    if (delayed_parse_name(name, &order) == NULL)
        (void)unlinkat(storing, name, 0);
    else
        (void)renameat2(storing, name, folder, name, RENAME_NOREPLACE);
}

void delayed_sweep(int folder)
{
    int fd =
        openat(folder, DELAYED_STORING_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *storing = fd >= 0 ? fdopendir(fd) : NULL;
    if (storing == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(storing)) != NULL)
        if (entry->d_name[0] != '.')
            sweep_one(folder, fd, entry->d_name);
    closedir(storing);
}
