/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue: which folder is open, and the outside of what the other files do. The path
 * counts, not the folder that was opened once (keeper/README.md rule 14): when the path leads to
 * another folder, that one is opened instead.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/core/pathwatch.h"
#include "keeper/deferred/deferred.h"
#include "keeper/deferred/delivery.h"
#include "keeper/deferred/discovery.h"
#include "keeper/deferred/enqueue.h"
#include "keeper/deferred/mounts.h"

/*
 * If the keeper's sandbox has lost sight of the folder, the keeper asks for a restart at most this
 * often, in microseconds; ten times less often where a restart has not helped.
 */
#define MISPLACED_SPAN UINT64_C(60000000)

struct deferred {
    struct folder folder;
    struct delivery delivery;
    struct discovery discovery;
    struct path_watch *folder_watch, *log_watch;
    bool moved;             /* what the path led to has just been moved away */
    struct deadline reopen; /* runs while the folder cannot be opened */
    struct deadline poll;   /* runs while inotify cannot watch it all */
    struct deadline_queue reopening, polling;
    uint64_t started;              /* loop.now */
    void (*quiet)(void *argument); /* see deferred_drain; or NULL */
    void *quiet_argument;
    void (*misplaced)(void *argument); /* see deferred_on_misplaced; or NULL */
    void *misplaced_argument;
};

static struct deferred *deferred_of_delivery(struct delivery *delivery)
{
    return CONTAINER_OF(delivery, struct deferred, delivery);
}

static struct core *core_of(const struct deferred *deferred)
{
    return deferred->folder.core;
}

/* --- The folder ------------------------------------------------------------------------------- */

static int watch_path(struct deferred *deferred)
{
    return path_watch_set(deferred->folder_watch, deferred->folder.path);
}

/* Watches the path and the open folder. Without inotify, the folder is polled. */
static void watch_folder(struct deferred *deferred)
{
    int files = deferred->folder.fd >= 0 ? discovery_watch(&deferred->discovery) : 0;
    int way = watch_path(deferred);
    int r = files < 0 ? files : way;
    if (r >= 0) {
        trouble_end(core_of(deferred), TROUBLE_WATCH);
        return;
    }
    trouble_begin(core_of(deferred), TROUBLE_WATCH, "cannot watch %s: %s", deferred->folder.path,
                  strerror(-r));
    deadline_start(&deferred->polling, &deferred->poll);
}

/* No file is with its lond. */
static void close_folder(struct deferred *deferred)
{
    discovery_stop(&deferred->discovery);
    deadline_stop(&deferred->poll);
    deadline_stop(&deferred->reopen);
    delivery_forget_all(&deferred->delivery);
    folder_close(&deferred->folder);
}

/*
 * A folder that has just been moved away is not created anew at once: whoever moved it may be about
 * to put a link or another folder in its place.
 */
static int open_path(struct deferred *deferred)
{
    const char *path = deferred->folder.path;
    bool moved = deferred->moved;
    deferred->moved = false;
    if (moved && path != NULL && access(path, F_OK) < 0 && errno == ENOENT)
        return -ENOENT;
    return folder_open(&deferred->folder);
}

/* Opens, watches and scans the folder; if it cannot be opened, that is tried again later. */
static void open_folder(struct deferred *deferred)
{
    struct core *core = core_of(deferred);
    folder_set_paths(&deferred->folder);
    int r = open_path(deferred);
    if (deferred->folder.path != NULL)
        watch_folder(deferred);
    if (r < 0) {
        trouble_begin(core, TROUBLE_FOLDER, "cannot open %s/delayed: %s",
                      core->config->loncapa.sock_dir, strerror(-r));
        deadline_start(&deferred->reopening, &deferred->reopen);
        return;
    }
    trouble_end(core, TROUBLE_FOLDER);
    delivery_check(&deferred->delivery);
    completion_resume(&deferred->delivery.completion);
    discovery_scan(&deferred->discovery);
}

/*
 * Opens what the path leads to now. Files that are with their lond are finished first, in the
 * folder that they are in; on_idle then comes back here.
 */
static void reopen(struct deferred *deferred)
{
    bool busy = delivery_is_busy(&deferred->delivery);
    delivery_suspend(&deferred->delivery, busy);
    if (busy)
        return;
    close_folder(deferred);
    open_folder(deferred);
}

/* --- What happens to it ----------------------------------------------------------------------- */

/* Something has happened on the way of the path. */
static void on_path_changed(void *argument)
{
    struct deferred *deferred = argument;
    if (!folder_is_at_path(&deferred->folder)) {
        deferred->moved = deferred->folder.fd >= 0;
        reopen(deferred);
        return;
    }
    delivery_suspend(&deferred->delivery, false);
    if (watch_path(deferred) < 0)
        deadline_start(&deferred->polling, &deferred->poll);
    delivery_check(&deferred->delivery);
}

static void on_log_changed(void *argument)
{
    struct deferred *deferred = argument;
    delivery_check(&deferred->delivery);
}

static void on_reopen(struct deadline *deadline)
{
    reopen(CONTAINER_OF(deadline, struct deferred, reopen));
}

static void on_poll(struct deadline *deadline)
{
    struct deferred *deferred = CONTAINER_OF(deadline, struct deferred, poll);
    if (!folder_is_at_path(&deferred->folder)) {
        reopen(deferred);
        return;
    }
    watch_folder(deferred);
    discovery_scan(&deferred->discovery);
}

/* --- What delivery reports -------------------------------------------------------------------- */

static void on_names_wanted(struct delivery *delivery)
{
    discovery_find_more(&deferred_of_delivery(delivery)->discovery);
}

static void on_idle(struct delivery *delivery)
{
    struct deferred *deferred = deferred_of_delivery(delivery);
    if (deferred->quiet != NULL)
        deferred->quiet(deferred->quiet_argument);
    else if (delivery->suspended)
        reopen(deferred);
}

/*
 * A log that cannot be written is watched, to notice when it can be. If a path is read-only for
 * this process alone, because its folder was created after the sandbox, only a restart helps.
 */
static void on_blocked(struct delivery *delivery, const char *path, int error)
{
    struct deferred *deferred = deferred_of_delivery(delivery);
    uint64_t up = core_of(deferred)->loop.now - deferred->started;
    if (path == deferred->folder.permlog_path)
        (void)path_watch_set(deferred->log_watch, path);
    if (error != EROFS || !mounts_forbid_writing(path) || deferred->misplaced == NULL)
        return;
    /* If it has never been possible, a restart has probably not helped before. */
    if (up >= (delivery->was_possible ? 1 : 10) * MISPLACED_SPAN)
        deferred->misplaced(deferred->misplaced_argument);
}

/* --- Coming and going ------------------------------------------------------------------------- */

struct deferred *deferred_new(struct hosts *hosts)
{
    static const struct delivery_events events = {
        .names_wanted = on_names_wanted,
        .idle = on_idle,
        .blocked = on_blocked,
    };
    struct deferred *deferred = calloc(1, sizeof(*deferred));
    if (deferred == NULL)
        return NULL;
    struct core *core = hosts->core;
    struct loop *loop = &core->loop;
    int folder = folder_init(&deferred->folder, core);
    delivery_init(&deferred->delivery, hosts, &deferred->folder, &events);
    int discovery = discovery_init(&deferred->discovery, &deferred->delivery);
    deferred->started = loop->now;
    deadline_queue_add(loop, &deferred->reopening, &core->settings.deferred_hold, on_reopen);
    deadline_queue_add(loop, &deferred->polling, &core->settings.deferred_poll, on_poll);
    deferred->folder_watch = path_watch_new(loop, on_path_changed, deferred);
    deferred->log_watch = path_watch_new(loop, on_log_changed, deferred);
    if (folder < 0 || discovery < 0 || deferred->folder_watch == NULL ||
        deferred->log_watch == NULL) {
        deferred_free(deferred);
        return NULL;
    }
    path_watch_ignore_writing(deferred->log_watch);
    return deferred;
}

void deferred_free(struct deferred *deferred)
{
    if (deferred == NULL)
        return;
    folder_end_syncs(&deferred->folder); /* which ends all that is being enqueued */
    path_watch_free(deferred->folder_watch);
    path_watch_free(deferred->log_watch);
    close_folder(deferred);
    discovery_free(&deferred->discovery);
    delivery_end(&deferred->delivery);
    deadline_stop(&deferred->reopen);
    deadline_stop(&deferred->poll);
    deadline_queue_remove(&deferred->reopening);
    deadline_queue_remove(&deferred->polling);
    folder_free(&deferred->folder);
    free(deferred);
}

void deferred_reload(struct deferred *deferred)
{
    struct folder *folder = &deferred->folder;
    char *before = folder->path != NULL ? strdup(folder->path) : NULL;
    folder_set_paths(folder);
    bool other_path = before == NULL || folder->path == NULL || strcmp(before, folder->path) != 0;
    free(before);
    delivery_forget_unlisted(&deferred->delivery);
    discovery_forget_strangers(&deferred->discovery);
    if (other_path || !folder_is_at_path(folder)) {
        reopen(deferred);
        return;
    }
    delivery_check(&deferred->delivery);
    discovery_scan(&deferred->discovery);
}

void deferred_drain(struct deferred *deferred, void (*quiet)(void *argument), void *argument)
{
    deferred->quiet = quiet;
    deferred->quiet_argument = argument;
    if (!delivery_is_busy(&deferred->delivery))
        quiet(argument);
}

void deferred_on_misplaced(struct deferred *deferred, void (*misplaced)(void *argument),
                           void *argument)
{
    deferred->misplaced = misplaced;
    deferred->misplaced_argument = argument;
}

/* --- Questions and requests ------------------------------------------------------------------- */

size_t deferred_count(const struct deferred *deferred)
{
    return deferred->delivery.backlogs.waiting;
}

struct waiting_files deferred_of(const struct deferred *deferred, const struct host *host)
{
    const struct backlogs *all = &deferred->delivery.backlogs;
    const struct backlog *backlog = backlogs_find(all, host);
    return (struct waiting_files){
        .count = backlog != NULL ? backlog->count : 0,
        .exact = !all->scanning,
        .oldest = backlog != NULL ? backlog_oldest(backlog) : 0,
    };
}

const char *deferred_folder(const struct deferred *deferred)
{
    return deferred->folder.fd >= 0 ? deferred->folder.path : NULL;
}

void deferred_flush(struct deferred *deferred, const struct host *host)
{
    struct backlog *backlog = backlogs_find(&deferred->delivery.backlogs, host);
    if (backlog != NULL)
        delivery_flush(backlog);
}

void deferred_enqueue(struct deferred *deferred, const char *host, const char *line, size_t length,
                      void (*done)(void *argument, bool stored), void *argument)
{
    enqueue_start(&deferred->folder, host, line, length, done, argument);
}

void deferred_refuse(struct deferred *deferred, const char *host, const char *line, size_t length)
{
    enqueue_record(&deferred->folder, PERMLOG_FAILED, host, line, length - 1);
}
