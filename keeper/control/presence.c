/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Signs of life. A sign that cannot be given is logged, and the keeper serves all the same.
 */
#include <bsd/unistd.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/control/presence.h"
#include "keeper/core/pathwatch.h"

struct presence {
    struct service *service;
    const struct status *status;
    char *pid_path;            /* NULL: none is written */
    struct path_watch *folder; /* where that is */
    sd_event_source *retry;    /* it could not be written */
    DIR *sweeping;             /* lonSockDir, while locks are looked for */
};

/* Files of lonSockDir looked at in one turn of the loop: there are two for each host. */
#define SWEPT_PER_TURN 512

static const uint64_t interval = PRESENCE_INTERVAL;

static void say_failed(const char *what, const char *path, int error)
{
    log_write(LOG_WARNING, NULL, "cannot %s %s: %s", what, path, strerror(error));
}

/* --- STATUS= and the title -------------------------------------------------------------------- */

static void show_status(struct presence *presence)
{
    char line[256];
    status_line(presence->status, line, sizeof(line));
    sd_notifyf(false, "STATUS=%s", line);
    setproctitle("%s", line);
}

static void on_changed_for_a_while(struct deadline *deadline)
{
    struct service *service = CONTAINER_OF(deadline, struct service, changed);
    show_status(service->presence);
}

/* --- lonc.pid --------------------------------------------------------------------------------- */

/* 0 or a negative errno. A symbolic link is an administrator's, and followed; a FIFO would wait. */
static int write_pid(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int r = dprintf(fd, "%ld\n", (long)getpid()) < 0 ? -errno : 0;
    close(fd);
    return r;
}

/* Another keeper may have written its own since. */
static bool is_ours(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    return n > 0 && strtol(text, NULL, 10) == (long)getpid();
}

static void keep_pid(struct presence *presence);

static int on_retry(sd_event_source *source, uint64_t when, void *argument)
{
    struct presence *presence = argument;
    (void)source;
    (void)when;
    presence->service->loop.now = loop_clock();
    keep_pid(presence);
    return 0;
}

/* Writes it, and tries again while that fails. */
static void keep_pid(struct presence *presence)
{
    struct service *service = presence->service;
    /* On a full disk, writing it again would leave it empty. */
    int r = is_ours(presence->pid_path) ? 0 : write_pid(presence->pid_path);
    if (r == 0) {
        trouble_end(service, TROUBLE_PID_FILE);
        return;
    }
    trouble_begin(service, TROUBLE_PID_FILE, "%s: cannot be written: %s", presence->pid_path,
                  strerror(-r));
    (void)loop_alarm(&service->loop, &presence->retry, CLOCK_MONOTONIC,
                     loop_clock() + service->settings.trouble_retry, on_retry, presence);
}

/* Its folder is watched, which may be rotated; not what is in it, where others write all day. */
static void watch_folder(struct presence *presence)
{
    char *folder = strndup(presence->pid_path,
                           (size_t)(strrchr(presence->pid_path, '/') - presence->pid_path));
    if (folder != NULL && presence->folder != NULL)
        (void)path_watch_set(presence->folder, folder);
    free(folder);
}

static void on_folder_changed(void *argument)
{
    struct presence *presence = argument;
    if (presence->pid_path == NULL)
        return;
    watch_folder(presence);
    if (access(presence->pid_path, F_OK) < 0 ||
        trouble_is_present(presence->service, TROUBLE_PID_FILE))
        keep_pid(presence);
}

/* What a link leads to goes; the link is an administrator's. */
static void remove_pid(struct presence *presence)
{
    if (presence->pid_path == NULL)
        return;
    char *file = is_ours(presence->pid_path) ? realpath(presence->pid_path, NULL) : NULL;
    if (file != NULL)
        unlink(file);
    free(file);
    free(presence->pid_path);
    presence->pid_path = NULL;
}

/* --- Locks ------------------------------------------------------------------------------------ */

/*
 * `<socket>.lock` of an old daemon makes lonnet wait without bound (lonc-protocol(7) section 1).
 * Only for sockets of the table's hosts: other files are somebody else's.
 */
static void sweep_lock(const struct presence *presence, const char *file)
{
    static const char suffix[] = ".lock";
    size_t length = strlen(file);
    char name[NAME_MAX + 1];
    if (length < sizeof(suffix) || strcmp(file + length - sizeof(suffix) + 1, suffix) != 0)
        return;
    memcpy(name, file, length - sizeof(suffix) + 1);
    name[length - sizeof(suffix) + 1] = '\0';
    struct host *host = hosts_hold(presence->service->hosts, name);
    if (host == NULL)
        return;
    hosts_release(host);
    if (unlinkat(dirfd(presence->sweeping), file, 0) == 0)
        log_write(LOG_NOTICE, NULL, "removed %s/%s, the lock of an old daemon",
                  presence->service->config->loncapa.sock_dir, file);
}

bool presence_sweep_locks(struct presence *presence)
{
    const char *path = presence->service->config->loncapa.sock_dir;
    struct dirent *entry = NULL;
    if (presence->sweeping == NULL && (presence->sweeping = opendir(path)) == NULL) {
        say_failed("read", path, errno);
        return false;
    }
    for (int n = 0; n < SWEPT_PER_TURN && (entry = readdir(presence->sweeping)) != NULL; n++)
        sweep_lock(presence, entry->d_name);
    if (entry != NULL)
        return true;
    closedir(presence->sweeping);
    presence->sweeping = NULL;
    return false;
}

/* --- The rest --------------------------------------------------------------------------------- */

void presence_configured(struct presence *presence)
{
    char *path;
    if (asprintf(&path, "%s/logs/lonc.pid", presence->service->config->loncapa.daemons) < 0)
        return;
    if (presence->pid_path == NULL || strcmp(presence->pid_path, path) != 0)
        remove_pid(presence);
    free(presence->pid_path);
    presence->pid_path = path;
    watch_folder(presence);
    keep_pid(presence);
}

void presence_ready(struct presence *presence)
{
    show_status(presence);
    sd_notify(false, "READY=1");
}

void presence_reloading(struct presence *presence)
{
    (void)presence;
    sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, loop_clock());
}

void presence_stopping(struct presence *presence)
{
    (void)presence;
    sd_notify(false, "STOPPING=1");
}

void presence_touch_reloaded(struct presence *presence)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/reloaded", presence->service->settings.runtime_dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    /* A path unit looks for a file that was written and closed. */
    if (fd < 0 || dprintf(fd, "%" PRIu64 "\n", loop_clock()) < 0)
        say_failed("write", path, errno);
    if (fd >= 0)
        close(fd);
}

struct presence *presence_new(struct service *service, const struct status *status)
{
    struct presence *presence = calloc(1, sizeof(*presence));
    if (presence == NULL)
        return NULL;
    presence->service = service;
    presence->status = status;
    presence->folder = path_watch_new(&service->loop, on_folder_changed, presence);
    service->presence = presence;
    deadline_queue_add(&service->loop, &service->changing, &interval, on_changed_for_a_while);
    return presence;
}

void presence_free(struct presence *presence)
{
    if (presence == NULL)
        return;
    remove_pid(presence);
    path_watch_free(presence->folder);
    sd_event_source_disable_unref(presence->retry);
    if (presence->sweeping != NULL)
        closedir(presence->sweeping);
    presence->service->presence = NULL;
    free(presence);
}
