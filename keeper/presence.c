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
#include "keeper/presence.h"

struct presence {
    struct service *service;
    const struct status *status;
    char *pid_path; /* NULL: none is written */
    DIR *sweeping;  /* lonSockDir, while locks are looked for */
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

static void write_pid(struct presence *presence)
{
    int fd = open(presence->pid_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
        say_failed("write", presence->pid_path, errno);
    if (fd >= 0)
        close(fd);
}

/* Another keeper may have written its own since. */
static void remove_pid(struct presence *presence)
{
    char text[32] = "";
    if (presence->pid_path == NULL)
        return;
    int fd = open(presence->pid_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (n > 0 && strtol(text, NULL, 10) == (long)getpid())
        unlink(presence->pid_path);
    if (fd >= 0)
        close(fd);
    free(presence->pid_path);
    presence->pid_path = NULL;
}

/* --- Locks ------------------------------------------------------------------------------------ */

/*
 * `<socket>.lock` of an old daemon makes lonnet wait without bound (PROTOCOL.md section 1). Only
 * for sockets of the table's hosts: other files are somebody else's.
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
    write_pid(presence);
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
    service->presence = presence;
    deadline_queue_add(&service->loop, &service->changing, &interval, on_changed_for_a_while);
    return presence;
}

void presence_free(struct presence *presence)
{
    if (presence == NULL)
        return;
    remove_pid(presence);
    if (presence->sweeping != NULL)
        closedir(presence->sweeping);
    presence->service->presence = NULL;
    free(presence);
}
