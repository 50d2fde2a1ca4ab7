/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The signs. When one cannot be given, that is logged, and the keeper serves all the same.
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
#include "common/monotonic.h"
#include "keeper/control/notifier.h"
#include "keeper/core/pathwatch.h"

struct notifier {
    struct core *core;
    const struct status *status;
    char *pid_path;            /* NULL: none is written */
    struct path_watch *folder; /* where that is */
    sd_event_source *retry;    /* it could not be written */
    DIR *sweeping;             /* lonSockDir, while locks are looked for */
    struct deadline changed;   /* runs from the first change that STATUS= does not show yet */
    struct deadline_queue changing;
};

/* Files of lonSockDir checked in one turn of the loop; there are two for each host. */
#define SWEPT_PER_TURN 512

static const uint64_t interval = PRESENCE_INTERVAL;

static void log_failure(const char *what, const char *path, int error)
{
    log_write(LOG_WARNING, NULL, "cannot %s %s: %s", what, path, strerror(error));
}

/* --- STATUS= and the title -------------------------------------------------------------------- */

static void show_status(struct notifier *notifier)
{
    char line[256];
    status_line(notifier->status, line, sizeof(line));
    sd_notifyf(false, "STATUS=%s", line);
    setproctitle("%s", line);
}

static void on_changed_for_a_while(struct deadline *deadline)
{
    show_status(CONTAINER_OF(deadline, struct notifier, changed));
}

static void on_change(void *argument)
{
    struct notifier *notifier = argument;
    if (notifier->changed.queue == NULL)
        deadline_start(&notifier->changing, &notifier->changed);
}

/* --- lonc.pid --------------------------------------------------------------------------------- */

/*
 * Written in place, so that a symbolic link, which is an administrator's, is followed; without
 * blocking, in case it leads to a FIFO. 0 or a negative errno.
 */
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

static void keep_pid(struct notifier *notifier);

static int on_retry(sd_event_source *source, uint64_t when, void *argument)
{
    struct notifier *notifier = argument;
    (void)source;
    (void)when;
    notifier->core->loop.now = monotonic_now();
    keep_pid(notifier);
    return 0;
}

/* Writes it, and tries again while that fails. */
static void keep_pid(struct notifier *notifier)
{
    struct core *core = notifier->core;
    /* A file that is right is left alone: on a full disk, writing it again would leave it empty. */
    int r = is_ours(notifier->pid_path) ? 0 : write_pid(notifier->pid_path);
    if (r == 0) {
        trouble_end(core, TROUBLE_PID_FILE);
        return;
    }
    trouble_begin(core, TROUBLE_PID_FILE, "%s: cannot be written: %s", notifier->pid_path,
                  strerror(-r));
    (void)loop_alarm(&core->loop, &notifier->retry, CLOCK_MONOTONIC,
                     monotonic_now() + core->settings.trouble_retry, on_retry, notifier);
}

/* Watches the folder, which may be rotated, but not the files in it, which others write all day. */
static void watch_folder(struct notifier *notifier)
{
    char *folder = strndup(notifier->pid_path,
                           (size_t)(strrchr(notifier->pid_path, '/') - notifier->pid_path));
    if (folder != NULL && notifier->folder != NULL)
        (void)path_watch_set(notifier->folder, folder);
    free(folder);
}

static void on_folder_changed(void *argument)
{
    struct notifier *notifier = argument;
    if (notifier->pid_path == NULL)
        return;
    watch_folder(notifier);
    if (access(notifier->pid_path, F_OK) < 0 ||
        trouble_is_present(notifier->core, TROUBLE_PID_FILE))
        keep_pid(notifier);
}

/* Removes the file that a link leads to, but not the link, which is an administrator's. */
static void remove_pid(struct notifier *notifier)
{
    if (notifier->pid_path == NULL)
        return;
    char *file = is_ours(notifier->pid_path) ? realpath(notifier->pid_path, NULL) : NULL;
    if (file != NULL)
        unlink(file);
    free(file);
    free(notifier->pid_path);
    notifier->pid_path = NULL;
}

/* --- Locks ------------------------------------------------------------------------------------ */

/*
 * `<socket>.lock` of an old daemon makes lonnet wait without bound (lonc-protocol(7) section 1).
 * Only for sockets of the table's hosts: other files are somebody else's.
 */
static void sweep_lock(const struct notifier *notifier, const char *file)
{
    static const char suffix[] = ".lock";
    size_t length = strlen(file);
    char name[NAME_MAX + 1];
    if (length < sizeof(suffix) || strcmp(file + length - sizeof(suffix) + 1, suffix) != 0)
        return;
    memcpy(name, file, length - sizeof(suffix) + 1);
    name[length - sizeof(suffix) + 1] = '\0';
    struct host *host = hosts_hold(notifier->status->hosts, name);
    if (host == NULL)
        return;
    hosts_release(host);
    if (unlinkat(dirfd(notifier->sweeping), file, 0) == 0)
        log_write(LOG_NOTICE, NULL, "removed %s/%s, the lock of an old daemon",
                  notifier->core->config->loncapa.sock_dir, file);
}

bool notifier_sweep_some_locks(struct notifier *notifier)
{
    const char *path = notifier->core->config->loncapa.sock_dir;
    struct dirent *entry = NULL;
    if (notifier->sweeping == NULL && (notifier->sweeping = opendir(path)) == NULL) {
        log_failure("read", path, errno);
        return false;
    }
    for (int n = 0; n < SWEPT_PER_TURN && (entry = readdir(notifier->sweeping)) != NULL; n++)
        sweep_lock(notifier, entry->d_name);
    if (entry != NULL)
        return true;
    closedir(notifier->sweeping);
    notifier->sweeping = NULL;
    return false;
}

/* --- The rest --------------------------------------------------------------------------------- */

void notifier_configured(struct notifier *notifier)
{
    char *path;
    if (asprintf(&path, "%s/logs/lonc.pid", notifier->core->config->loncapa.daemons) < 0)
        return;
    if (notifier->pid_path == NULL || strcmp(notifier->pid_path, path) != 0)
        remove_pid(notifier);
    free(notifier->pid_path);
    notifier->pid_path = path;
    watch_folder(notifier);
    keep_pid(notifier);
}

void notifier_ready(struct notifier *notifier)
{
    show_status(notifier);
    sd_notify(false, "READY=1");
}

void notifier_reloading(struct notifier *notifier)
{
    (void)notifier;
    sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_now());
}

void notifier_stopping(struct notifier *notifier)
{
    (void)notifier;
    sd_notify(false, "STOPPING=1");
}

void notifier_touch_reloaded(struct notifier *notifier)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/reloaded", notifier->core->settings.runtime_dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    /* The path unit waits for a file that was written and closed, so this one is not renamed. */
    if (fd < 0 || dprintf(fd, "%" PRIu64 "\n", monotonic_now()) < 0)
        log_failure("write", path, errno);
    if (fd >= 0)
        close(fd);
}

struct notifier *notifier_new(struct core *core, const struct status *status)
{
    struct notifier *notifier = calloc(1, sizeof(*notifier));
    if (notifier == NULL)
        return NULL;
    notifier->core = core;
    notifier->status = status;
    notifier->folder = path_watch_new(&core->loop, on_folder_changed, notifier);
    deadline_queue_add(&core->loop, &notifier->changing, &interval, on_changed_for_a_while);
    core_on_change(core, on_change, notifier);
    return notifier;
}

void notifier_free(struct notifier *notifier)
{
    if (notifier == NULL)
        return;
    remove_pid(notifier);
    path_watch_free(notifier->folder);
    sd_event_source_disable_unref(notifier->retry);
    if (notifier->sweeping != NULL)
        closedir(notifier->sweeping);
    core_on_change(notifier->core, NULL, NULL);
    deadline_stop(&notifier->changed);
    deadline_queue_remove(&notifier->changing);
    free(notifier);
}
