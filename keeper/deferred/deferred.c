/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The folder of deferred files, and how files in it become known: by inotify as they arrive, by
 * reading the folder at the start and again when there was more on disk than names could be kept
 * of. The path counts, not the folder that was open (keeper/README.md rule 14): where it leads
 * elsewhere, that is followed. What happens to a file then is delivery.c's; the model is in
 * backlog.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/core/pathwatch.h"
#include "keeper/core/sliced_task.h"
#include "keeper/deferred/backlog.h"
#include "keeper/deferred/deferred.h"
#include "keeper/deferred/enqueue.h"
#include "keeper/deferred/mounts.h"
#include "keeper/host/hosts.h"

/* Entries of the folder looked at in one turn: some 50 microseconds. */
#define SCAN_SLICE 128

/* Names that are no deferred files, or of unknown hosts, are logged; this many after each reload.
 */
#define STRANGERS_SAID 20

/*
 * A keeper whose sandbox has lost sight of the folder is started anew this often at most, in
 * microseconds; where that has not helped, after ten times as long.
 */
#define MISPLACED_SPAN UINT64_C(60000000)

struct deferred {
    struct backlogs all;
    sd_event_source *inotify;
    struct path_watch *folder_watch, *log_watch;
    struct sliced_task scanner;
    DIR *scan;       /* while all.scanning */
    bool scan_again; /* something was missed while one went on */
    bool moved;      /* what the path led to has just gone */
    char *strangers[STRANGERS_SAID];
    unsigned stranger_count;
    struct deadline rescan, poll;
    struct deadline_queue rescanning, polling;
    uint64_t started;      /* loop.now */
    void (*quiet)(void *); /* see deferred_drain; or NULL */
    void *quiet_argument;
    void (*misplaced)(void *); /* see deferred_on_misplaced; or NULL */
    void *misplaced_argument;
};

static struct deferred *deferred_of_all(struct backlogs *all)
{
    return CONTAINER_OF(all, struct deferred, all);
}

/* --- Arrivals --------------------------------------------------------------------------------- */

static void forget_strangers(struct deferred *deferred)
{
    while (deferred->stranger_count > 0)
        free(deferred->strangers[--deferred->stranger_count]);
}

/* Says once what is odd about a file; of many, that there are more. */
static void say_stranger(struct deferred *deferred, const char *name, const char *what)
{
    for (unsigned i = 0; i < deferred->stranger_count; i++)
        if (strcmp(deferred->strangers[i], name) == 0)
            return;
    if (deferred->stranger_count == STRANGERS_SAID)
        return;
    char *copy = strdup(name);
    if (copy == NULL)
        return;
    deferred->strangers[deferred->stranger_count++] = copy;
    bool last = deferred->stranger_count == STRANGERS_SAID;
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED},
              "deferred file %s %s; it is left where it is%s", name, what,
              last ? "; more of them are not named" : "");
}

/* The host of a name that is to be delivered one day; NULL, said once, where it is not. */
static const char *deliverable(struct deferred *deferred, const char *name)
{
    struct delayed_order order;
    if (name[0] == '.' || delayed_is_own(name))
        return NULL;
    const char *id = backlog_host_in(&deferred->all, name);
    if (id == NULL)
        say_stranger(deferred, name,
                     delayed_parse_name(name, &order) == NULL ? "has no name of one"
                                                              : "is for no known host");
    return id;
}

static void start_scan(struct deferred *deferred);

/* The folder is to be read anew, since there are files in it of which nothing is known. */
static void lose_track(struct deferred *deferred)
{
    deferred->all.removals = 0;
    start_scan(deferred);
}

/* A file was made, written or moved here. */
static void arrive(struct deferred *deferred, const char *name)
{
    struct backlogs *all = &deferred->all;
    struct delayed_order order;
    const char *id = deliverable(deferred, name);
    struct backlog *backlog = id != NULL ? backlog_need(all, id) : NULL;
    if (backlog == NULL)
        return;
    delayed_parse_name(name, &order);
    /* Its age is looked at when its turn comes. */
    if (name_set_has(&backlog->names, name, &order))
        return;
    struct file *file = NULL;
    if (all->fresh < all->core->settings.deferred_arrivals)
        file = file_new(backlog, name, id);
    if (file != NULL)
        file_enter(file, FILE_NEW);
    else
        backlog_put(backlog, name, &order);
    backlog_pump(backlog);
}

/*
 * A file was removed or moved away. What the keeper removes it has forgotten already; another that
 * is no more than a name is counted again.
 */
static void vanish(struct deferred *deferred, const char *name)
{
    struct file *file = backlog_find_file(&deferred->all, name);
    if (file != NULL)
        file_vanished(file);
    else if (deferred->all.removals > 0)
        deferred->all.removals--;
    else if (deferred->rescan.queue == NULL)
        deadline_start(&deferred->rescanning, &deferred->rescan);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *argument)
{
    struct deferred *deferred = argument;
    struct file *file;
    (void)source;
    deferred->all.core->loop.now = monotonic_now();
    if (event->mask & IN_Q_OVERFLOW)
        lose_track(deferred);
    else if (event->len == 0)
        return 0;
    else if (event->mask & (IN_DELETE | IN_MOVED_FROM))
        vanish(deferred, event->name);
    else if ((file = backlog_find_file(&deferred->all, event->name)) != NULL)
        file_touched(file);
    else if (!(event->mask & IN_ATTRIB))
        arrive(deferred, event->name);
    return 0;
}

/* --- Scanning --------------------------------------------------------------------------------- */

static void scan_entry(struct deferred *deferred, const char *name)
{
    struct delayed_order order;
    if (backlog_find_file(&deferred->all, name) != NULL)
        return;
    const char *id = deliverable(deferred, name);
    struct backlog *backlog = id != NULL ? backlog_need(&deferred->all, id) : NULL;
    if (backlog == NULL)
        return;
    delayed_parse_name(name, &order);
    backlog_put(backlog, name, &order);
}

static void stop_scan(struct deferred *deferred)
{
    if (deferred->scan == NULL)
        return;
    closedir(deferred->scan);
    deferred->scan = NULL;
    deferred->all.scanning = false;
    sliced_task_stop(&deferred->scanner);
}

static void end_scan(struct deferred *deferred)
{
    struct backlogs *all = &deferred->all;
    struct backlog *backlog;
    struct file *file;
    stop_scan(deferred);
    if (deferred->scan_again)
        deadline_start(&deferred->rescanning, &deferred->rescan);
    deferred->scan_again = false;
    while ((file = TAILQ_FIRST(&all->settled)) != NULL)
        backlog_put_back(file);
    RB_FOREACH (backlog, backlogs_by_host, &all->by_host)
        backlog_recount(backlog);
    backlogs_pump(all);
}

static void scan_slice(struct sliced_task *task)
{
    struct deferred *deferred = CONTAINER_OF(task, struct deferred, scanner);
    for (int i = 0; i < SCAN_SLICE; i++) {
        struct dirent *entry = readdir(deferred->scan);
        if (entry == NULL) {
            end_scan(deferred);
            return;
        }
        scan_entry(deferred, entry->d_name);
    }
}

/* Begins to read the folder; one that is being read is read once more afterwards. */
static void start_scan(struct deferred *deferred)
{
    struct backlogs *all = &deferred->all;
    struct backlog *backlog;
    if (all->folder < 0)
        return;
    if (deferred->scan != NULL) {
        deferred->scan_again = true;
        return;
    }
    int fd = openat(all->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    deferred->scan = fd >= 0 ? fdopendir(fd) : NULL;
    if (deferred->scan == NULL) {
        if (fd >= 0)
            close(fd);
        deadline_start(&deferred->rescanning, &deferred->rescan);
        return;
    }
    deadline_stop(&deferred->rescan);
    all->scanning = true;
    all->taken = 0;
    RB_FOREACH (backlog, backlogs_by_host, &all->by_host)
        backlog_clear(backlog);
    sliced_task_start(&deferred->scanner);
}

/* A backlog runs low. A scan that would find what the last one has found waits a little. */
static void refill(struct backlogs *all)
{
    struct deferred *deferred = deferred_of_all(all);
    if (deferred->rescan.queue != NULL)
        return;
    if (all->taken > 0)
        start_scan(deferred);
    else
        deadline_start(&deferred->rescanning, &deferred->rescan);
}

/* --- The folder ------------------------------------------------------------------------------- */

static void forget_files(struct deferred *deferred)
{
    struct file *file, *next_file;
    struct backlog *backlog, *next_backlog;
    RB_FOREACH_SAFE (file, files_by_name, &deferred->all.files, next_file)
        file_forget(file);
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->all.by_host, next_backlog)
        backlog_free(backlog);
}

/* No file is with its lond. */
static void close_folder(struct deferred *deferred)
{
    stop_scan(deferred);
    deferred->inotify = sd_event_source_disable_unref(deferred->inotify);
    deferred->all.core->loop.asking = true;
    deadline_stop(&deferred->poll);
    deadline_stop(&deferred->rescan);
    deadline_stop(&deferred->all.gate);
    forget_files(deferred);
    if (deferred->all.folder >= 0)
        close(deferred->all.folder);
    deferred->all.folder = -1;
    deferred->all.closed = false;
}

/* The path, anew; without memory there is none. */
static void replace_path(char **path, const char *folder, const char *name)
{
    char *made;
    if (asprintf(&made, "%s/%s", folder, name) < 0)
        made = NULL;
    free(*path);
    *path = made;
}

static void make_paths(struct deferred *deferred)
{
    const struct loncapa *loncapa = &deferred->all.core->config->loncapa;
    replace_path(&deferred->all.folder_path, loncapa->sock_dir, "delayed");
    replace_path(&deferred->all.permlog_path, loncapa->daemons, "logs/lonnet.perm.log");
}

static int watch_path(struct deferred *deferred)
{
    return path_watch_set(deferred->folder_watch, deferred->all.folder_path);
}

static int watch_files(struct deferred *deferred)
{
    const uint32_t changes = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM |
                             IN_ATTRIB | IN_ONLYDIR;
    char path[64];
    /* The folder that is open, whatever has become of its path. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", deferred->all.folder);
    int r = sd_event_add_inotify(deferred->all.core->loop.event, &deferred->inotify, path, changes,
                                 on_inotify, deferred);
    deferred->all.core->loop.asking = true;
    if (r >= 0)
        sd_event_source_set_priority(deferred->inotify, SD_EVENT_PRIORITY_IMPORTANT);
    return r;
}

/* Without inotify the folder is read every now and then instead. */
static void watch(struct deferred *deferred)
{
    struct core *core = deferred->all.core;
    int files = deferred->all.folder >= 0 ? watch_files(deferred) : 0;
    int way = watch_path(deferred);
    int r = files < 0 ? files : way;
    if (r >= 0) {
        trouble_end(core, TROUBLE_WATCH);
        return;
    }
    trouble_begin(core, TROUBLE_WATCH, "cannot watch %s: %s", deferred->all.folder_path,
                  strerror(-r));
    deadline_start(&deferred->polling, &deferred->poll);
}

/*
 * A folder that has just been moved away is not made anew at once: whoever did that may be about to
 * put a link, or another folder, in its place.
 */
static int open_path(struct deferred *deferred)
{
    const char *path = deferred->all.folder_path;
    bool moved = deferred->moved;
    deferred->moved = false;
    if (path == NULL || deferred->all.permlog_path == NULL)
        return -ENOMEM;
    if (moved && access(path, F_OK) < 0 && errno == ENOENT)
        return -ENOENT;
    return delayed_open(path);
}

/* Opens, watches and scans the folder; tries again later where it cannot be. */
static void open_folder(struct deferred *deferred)
{
    struct backlogs *all = &deferred->all;
    make_paths(deferred);
    int r = open_path(deferred);
    all->folder = r;
    if (all->folder_path != NULL)
        watch(deferred);
    if (r < 0) {
        trouble_begin(all->core, TROUBLE_FOLDER, "cannot open %s/delayed: %s",
                      all->core->config->loncapa.sock_dir, strerror(-r));
        deadline_start(&deferred->rescanning, &deferred->rescan);
        return;
    }
    trouble_end(all->core, TROUBLE_FOLDER);
    all->removals = 0;
    delayed_sweep(all->folder);
    delivery_check(all);
    delivery_resume(all);
    start_scan(deferred);
}

/* Whether the path leads to the folder that is open. */
static bool is_same_folder(const struct deferred *deferred)
{
    struct stat held, there;
    return deferred->all.folder >= 0 && fstat(deferred->all.folder, &held) == 0 &&
           stat(deferred->all.folder_path, &there) == 0 && held.st_dev == there.st_dev &&
           held.st_ino == there.st_ino;
}

/* Opens what the path leads to now; what is with its lond finishes first, in the folder it is of.
 */
static void reopen(struct deferred *deferred)
{
    deferred->all.switching = deferred->all.sending > 0;
    if (deferred->all.switching)
        return;
    close_folder(deferred);
    open_folder(deferred);
}

/* Something has happened on the path's way. */
static void on_path_changed(void *argument)
{
    struct deferred *deferred = argument;
    if (!is_same_folder(deferred)) {
        deferred->moved = deferred->all.folder >= 0;
        reopen(deferred);
        return;
    }
    deferred->all.switching = false;
    if (watch_path(deferred) < 0)
        deadline_start(&deferred->polling, &deferred->poll);
    delivery_check(&deferred->all);
}

static void on_log_changed(void *argument)
{
    struct deferred *deferred = argument;
    delivery_check(&deferred->all);
}

/*
 * Nothing can be recorded or removed: whether that changes is heard of, too. In a sandbox whose
 * folders were made anew it changes when the keeper is started again.
 */
static void on_shut(struct backlogs *all, const char *path, int error)
{
    struct deferred *deferred = deferred_of_all(all);
    uint64_t up = all->core->loop.now - deferred->started;
    if (path == all->permlog_path)
        (void)path_watch_set(deferred->log_watch, path);
    if (error != EROFS || !mounts_forbid_writing(path) || deferred->misplaced == NULL)
        return;
    /* Shut from the start: being started again has not helped. */
    if (up >= (all->was_open ? 1 : 10) * MISPLACED_SPAN)
        deferred->misplaced(deferred->misplaced_argument);
}

static void on_idle(struct backlogs *all)
{
    struct deferred *deferred = deferred_of_all(all);
    if (deferred->quiet != NULL)
        deferred->quiet(deferred->quiet_argument);
    else if (all->switching)
        reopen(deferred);
}

static void on_rescan(struct deadline *deadline)
{
    struct deferred *deferred = CONTAINER_OF(deadline, struct deferred, rescan);
    if (is_same_folder(deferred))
        start_scan(deferred);
    else
        reopen(deferred);
}

static void on_poll(struct deadline *deadline)
{
    struct deferred *deferred = CONTAINER_OF(deadline, struct deferred, poll);
    deferred->inotify = sd_event_source_disable_unref(deferred->inotify);
    if (!is_same_folder(deferred)) {
        reopen(deferred);
        return;
    }
    watch(deferred);
    start_scan(deferred);
}

/* --- Coming and going ------------------------------------------------------------------------- */

struct deferred *deferred_new(struct core *core)
{
    struct deferred *deferred = calloc(1, sizeof(*deferred));
    if (deferred == NULL)
        return NULL;
    struct loop *loop = &core->loop;
    backlogs_setup(&deferred->all, core);
    deferred->all.refill = refill;
    deferred->all.idle = on_idle;
    deferred->all.shut = on_shut;
    deferred->started = loop->now;
    deadline_queue_add(loop, &deferred->rescanning, &core->settings.deferred_hold, on_rescan);
    deadline_queue_add(loop, &deferred->polling, &core->settings.deferred_poll, on_poll);
    deferred->folder_watch = path_watch_new(loop, on_path_changed, deferred);
    deferred->log_watch = path_watch_new(loop, on_log_changed, deferred);
    deferred->all.fsyncs = async_fsync_new(loop->event);
    if (deferred->all.fsyncs == NULL || deferred->folder_watch == NULL ||
        deferred->log_watch == NULL || sliced_task_open(&deferred->scanner, loop, scan_slice) < 0) {
        deferred_free(deferred);
        return NULL;
    }
    path_watch_ignore_writing(deferred->log_watch);
    return deferred;
}

/* Forgets the files of hosts that are in the table no longer; on disk they stay. */
static void forget_retired(struct deferred *deferred)
{
    struct file *file, *next_file;
    RB_FOREACH_SAFE (file, files_by_name, &deferred->all.files, next_file)
        if (file->state != FILE_SENDING && file->state != FILE_DELIVERED &&
            !file->backlog->host->listed)
            file_forget(file);
    struct backlog *backlog, *next;
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->all.by_host, next) {
        if (backlog->host->listed)
            continue;
        backlog_clear(backlog);
        backlog_recount(backlog);
        if (backlog->file_count == 0)
            backlog_free(backlog);
    }
}

void deferred_reload(struct deferred *deferred)
{
    char *before = deferred->all.folder_path != NULL ? strdup(deferred->all.folder_path) : NULL;
    make_paths(deferred);
    bool moved = before == NULL || deferred->all.folder_path == NULL ||
                 strcmp(before, deferred->all.folder_path) != 0;
    free(before);
    forget_retired(deferred);
    forget_strangers(deferred);
    if (moved || !is_same_folder(deferred)) {
        reopen(deferred);
        return;
    }
    delivery_check(&deferred->all);
    start_scan(deferred);
}

size_t deferred_count(const struct deferred *deferred)
{
    return deferred->all.waiting;
}

void deferred_on_misplaced(struct deferred *deferred, void (*misplaced)(void *argument),
                           void *argument)
{
    deferred->misplaced = misplaced;
    deferred->misplaced_argument = argument;
}

void deferred_drain(struct deferred *deferred, void (*quiet)(void *argument), void *argument)
{
    deferred->quiet = quiet;
    deferred->quiet_argument = argument;
    if (deferred->all.sending == 0)
        quiet(argument);
}

void deferred_free(struct deferred *deferred)
{
    if (deferred == NULL)
        return;
    async_fsync_free(deferred->all.fsyncs); /* which ends all stores */
    path_watch_free(deferred->folder_watch);
    path_watch_free(deferred->log_watch);
    close_folder(deferred);
    sliced_task_close(&deferred->scanner);
    forget_strangers(deferred);
    free(deferred->all.folder_path);
    free(deferred->all.permlog_path);
    free(deferred);
}

void deferred_enqueue(struct deferred *deferred, const char *host, const char *line, size_t length,
                      void (*done)(void *argument, bool stored), void *argument)
{
    enqueue_start(&deferred->all, host, line, length, done, argument);
}

void deferred_refuse(struct deferred *deferred, const char *host, const char *line, size_t length)
{
    enqueue_log(&deferred->all, PERMLOG_FAILED, host, line, length - 1);
}

struct waiting_files deferred_of(const struct deferred *deferred, const struct host *host)
{
    const struct backlog *backlog = backlog_find(&deferred->all, host);
    return (struct waiting_files){
        .count = backlog != NULL ? backlog->count : 0,
        .exact = !deferred->all.scanning,
        .oldest = backlog != NULL ? backlog_oldest(backlog) : 0,
    };
}

const char *deferred_folder(const struct deferred *deferred)
{
    return deferred->all.folder >= 0 ? deferred->all.folder_path : NULL;
}

void deferred_flush(struct deferred *deferred, const struct host *host)
{
    struct backlog *backlog = backlog_find(&deferred->all, host);
    if (backlog != NULL)
        backlog_flush(backlog);
}
