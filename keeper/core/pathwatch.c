/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Follows a path component by component and watches each of them.
 */
#include <bsd/string.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "keeper/core/pathwatch.h"

struct path_watch {
    struct loop *loop;
    void (*changed)(void *argument);
    void *argument;
    bool not_writing; /* see path_watch_ignore_writing */
    sd_event_source *mounts;
    unsigned count;
    struct {
        sd_event_source *source;
        char name[NAME_MAX + 1]; /* what is looked for in this folder; "": the folder itself */
    } at[PATH_WATCH_DEPTH];
};

/* Where a walk stands. */
struct walk {
    char folder[PATH_MAX]; /* without symbolic links; "" is the root */
    char path[PATH_MAX];   /* what is walked, */
    size_t at;             /* from here on still */
    unsigned links;
};

static void notify(struct path_watch *watch)
{
    watch->loop->now = monotonic_now();
    watch->changed(watch->argument);
}

static int on_event(sd_event_source *source, const struct inotify_event *event, void *argument)
{
    struct path_watch *watch = argument;
    if (event->mask & IN_IGNORED) /* the folder has gone, which its parent tells */
        return 0;
    if (event->len == 0) {
        notify(watch);
        return 0;
    }
    for (unsigned i = 0; i < watch->count; i++)
        if (watch->at[i].source == source && strcmp(watch->at[i].name, event->name) == 0) {
            notify(watch);
            return 0;
        }
    return 0;
}

static int on_mounts(sd_event_source *source, int fd, uint32_t events, void *argument)
{
    (void)source;
    (void)fd;
    (void)events;
    notify(argument);
    return 0;
}

static int add_watch(struct path_watch *watch, const char *path, uint32_t events, const char *name)
{
    if (watch->count == PATH_WATCH_DEPTH)
        return -ELOOP;
    int r = sd_event_add_inotify(watch->loop->event, &watch->at[watch->count].source, path, events,
                                 on_event, watch);
    if (r < 0)
        return r;
    snprintf(watch->at[watch->count].name, sizeof(watch->at[watch->count].name), "%s", name);
    watch->count++;
    return 0;
}

/* Reports what is created, removed or written under this name. The kernel also wakes us for other
 * names in the folder. */
static int watch_name(struct path_watch *watch, const char *folder, const char *name)
{
    const uint32_t events = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |
                            IN_ONLYDIR | (watch->not_writing ? 0 : IN_CLOSE_WRITE);
    return add_watch(watch, folder[0] != '\0' ? folder : "/", events, name);
}

/*
 * A folder or link on the way is watched by itself, so that what others do in it or beside it, as
 * all day in /tmp, wakes nobody; so IN_ATTRIB, which tells of all that a folder has, is not asked
 * for. Its removal is told late if somebody has it open, but what the path leads to is removed
 * before it, and that is watched by its name.
 */
static int watch_component(struct path_watch *watch, const char *folder, const char *name,
                           bool is_last)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    int r = is_last ? -ENOENT
                    : add_watch(watch, path, IN_MOVE_SELF | IN_DELETE_SELF | IN_DONT_FOLLOW, "");
    return r == -ENOENT || r == -EACCES ? watch_name(watch, folder, name) : r;
}

/* Takes the next component off the rest of the path. False at the end. */
static bool next_component(struct walk *walk, char name[NAME_MAX + 1])
{
    walk->at += strspn(walk->path + walk->at, "/");
    size_t length = strcspn(walk->path + walk->at, "/");
    if (length == 0 || length > NAME_MAX)
        return false;
    memcpy(name, walk->path + walk->at, length);
    name[length] = '\0';
    walk->at += length;
    return true;
}

/* Continues with the target of a symbolic link. False if the path ends here. */
static bool follow_link(struct walk *walk, const char *link)
{
    char target[PATH_MAX], rest[PATH_MAX];
    strlcpy(rest, walk->path + walk->at, sizeof(rest));
    ssize_t length = readlink(link, target, sizeof(target) - 1);
    if (length <= 0 || ++walk->links > PATH_WATCH_LINKS)
        return false;
    target[length] = '\0';
    if ((size_t)length + 1 + strlen(rest) >= sizeof(walk->path))
        return false;
    stpcpy(stpcpy(stpcpy(walk->path, target), "/"), rest);
    walk->at = 0;
    if (target[0] == '/')
        walk->folder[0] = '\0';
    return true;
}

static void leave_folder(struct walk *walk)
{
    char *slash = strrchr(walk->folder, '/');
    if (slash != NULL)
        *slash = '\0';
}

/* Enters the component, if it exists and is a folder. False if the path ends here. */
static bool enter(struct walk *walk, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    int length = snprintf(path, sizeof(path), "%s/%s", walk->folder, name);
    if (length < 0 || (size_t)length >= sizeof(path) || lstat(path, &status) < 0)
        return false;
    if (S_ISLNK(status.st_mode))
        return follow_link(walk, path);
    strlcpy(walk->folder, path, sizeof(walk->folder));
    return S_ISDIR(status.st_mode);
}

static void forget_folders(struct path_watch *watch)
{
    while (watch->count > 0)
        sd_event_source_disable_unref(watch->at[--watch->count].source);
    loop_sources_changed(watch->loop);
}

int path_watch_set(struct path_watch *watch, const char *path)
{
    struct walk walk = {.folder = ""};
    char name[NAME_MAX + 1];
    forget_folders(watch);
    if (strlen(path) >= sizeof(walk.path))
        return -ENAMETOOLONG;
    strlcpy(walk.path, path, sizeof(walk.path));
    while (next_component(&walk, name)) {
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0) {
            leave_folder(&walk);
            continue;
        }
        bool is_last = walk.path[walk.at + strspn(walk.path + walk.at, "/")] == '\0';
        int r = watch_component(watch, walk.folder, name, is_last);
        if (r == -ENOENT || r == -ENOTDIR || r == -EACCES) /* gone since, or not for us to read */
            r = 0;
        if (r < 0)
            return r;
        if (!enter(&walk, name))
            break;
    }
    return 0;
}

void path_watch_ignore_writing(struct path_watch *watch)
{
    watch->not_writing = true;
}

struct path_watch *path_watch_new(struct loop *loop, void (*changed)(void *argument),
                                  void *argument)
{
    struct path_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return NULL;
    *watch = (struct path_watch){.loop = loop, .changed = changed, .argument = argument};
    /* Without /proc, mounts are not noticed. */
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 &&
        sd_event_add_io(loop->event, &watch->mounts, fd, EPOLLPRI, on_mounts, watch) >= 0)
        sd_event_source_set_io_fd_own(watch->mounts, true);
    else if (fd >= 0)
        close(fd);
    return watch;
}

void path_watch_free(struct path_watch *watch)
{
    if (watch == NULL)
        return;
    forget_folders(watch);
    sd_event_source_disable_unref(watch->mounts);
    free(watch);
}
