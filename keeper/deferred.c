/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How deferred files become known: by inotify as they arrive, by reading the folder at the start
 * and again when there was more on disk than names could be kept of. What happens to a file then is
 * backlog.c's.
 *
 * A file's way: it arrives, waits out its first seconds, is admitted to its host's backlog, is
 * sent, and goes. Reading the folder takes a slice a turn of the loop, for it may hold a million
 * files.
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
#include "keeper/backlog.h"
#include "keeper/chore.h"
#include "keeper/deferred.h"
#include "keeper/hosts.h"
#include "keeper/store.h"

/* Entries of the folder looked at in one turn: some 50 microseconds. */
#define SCAN_SLICE 128

/*
 * What has happened in the folder is heard before a scan goes on, so that no new file is taken for
 * an old one; this many turns of the loop in a row, for events without end must not end the scan.
 */
#define SCAN_PUT_OFF 64

/*
 * At its end all that happened before is heard, an event a turn: so many are waiting at most
 * (fs.inotify.max_queued_events is 16,384; where there are more, the kernel says so instead).
 */
#define SCAN_PUT_OFF_AT_END 16384

/* Names that are no deferred files, or of unknown hosts, are logged; this many after each reload.
 */
#define STRANGERS_SAID 20

struct deferred {
    struct backlogs all;
    sd_event_source *inotify, *parent;
    struct chore scanner;
    unsigned put_off; /* turns in a row */
    DIR *scan;        /* while all.scanning */
    bool read_out;    /* it has no more names */
    bool scan_again;  /* something was missed while one went on */
    bool thinned; /* files have vanished since it began: a name that it reads may be one of them */
    bool said;    /* that the folder cannot be watched */
    char *strangers[STRANGERS_SAID];
    unsigned stranger_count;
    struct deadline hold, rescan;
    struct deadline_queue arriving, starting, rescanning;
};

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
    struct spool_order order;
    if (name[0] == '.' || spool_is_own(name))
        return NULL;
    const char *id = backlog_host_in(&deferred->all, name);
    if (id == NULL)
        say_stranger(deferred, name,
                     spool_parse_name(name, &order) == NULL ? "has no name of one"
                                                            : "is for no known host");
    return id;
}

static void stop_scan(struct deferred *deferred)
{
    closedir(deferred->scan);
    deferred->scan = NULL;
    deferred->all.scanning = false;
    chore_stop(&deferred->scanner);
}

/*
 * Files have arrived that are not known: too many, or the kernel could not say which. Until the
 * folder has been read anew any of them may stand before those that are known, and it is read when
 * the last of them is old enough.
 */
static void lose_track(struct deferred *deferred)
{
    static const struct spool_order anywhere;
    struct backlog *backlog;
    deferred->all.removals = 0;
    if (deferred->scan != NULL)
        stop_scan(deferred);
    deferred->all.lost_track = true;
    RB_FOREACH (backlog, backlogs_by_host, &deferred->all.by_host)
        backlog_note_unknown(&backlog->unknown, &anywhere);
    deadline_start(&deferred->rescanning, &deferred->rescan);
}

/* A file was made, written or moved here: its first seconds begin. */
static void arrive(struct deferred *deferred, const char *name)
{
    struct file *file = backlog_find_file(&deferred->all, name);
    if (file != NULL && (file->state == FILE_SENDING || file->delivered))
        return;
    if (file == NULL) {
        const char *id = deliverable(deferred, name);
        if (id == NULL)
            return;
        if (deferred->all.arrived >= deferred->all.service->settings.deferred_arrivals ||
            (file = backlog_new_file(&deferred->all, name, id)) == NULL) {
            lose_track(deferred);
            return;
        }
    } else {
        backlog_detach(file);
    }
    file->state = FILE_ARRIVED;
    file->was_empty = false;
    deferred->all.arrived++;
    deadline_start(&deferred->arriving, &file->deadline);
}

/*
 * A file was removed or moved away. What the keeper removes it has forgotten already; of another
 * that is not known by name nothing says whose it was, so the files are counted again.
 */
static void vanish(struct deferred *deferred, const char *name)
{
    struct file *file = backlog_find_file(&deferred->all, name);
    if (file != NULL) {
        backlog_lose(file);
    } else if (deferred->all.removals > 0) {
        deferred->all.removals--;
    } else {
        deferred->thinned = true;
        if (deferred->rescan.queue == NULL)
            deadline_start(&deferred->rescanning, &deferred->rescan);
    }
}

/* It is one of its host's now, in its order. NULL where it is of no host, or there is no memory. */
static struct backlog *settle(struct file *file)
{
    struct backlog *backlog = backlog_need(file->all, file->host);
    backlog_detach(file);
    if (backlog != NULL)
        backlog_count(backlog, backlog->count + 1);
    backlog_admit(file);
    return backlog;
}

/*
 * A scan that is under way may meet it yet, and would take it for another once it is but a name. So
 * its end is awaited, by all: else one that the scan has met would go before an older one.
 */
static void on_settled(struct deadline *deadline)
{
    struct file *file = CONTAINER_OF(deadline, struct file, deadline);
    struct backlogs *all = file->all;
    struct backlog *backlog = file->backlog;
    if (backlog == NULL && all->scanning) {
        file->state = FILE_SETTLED;
        TAILQ_INSERT_TAIL(&all->settled, file, by_arrival);
        return;
    }
    if (backlog != NULL) { /* it was known before it was written again */
        backlog_detach(file);
        backlog_make_ready(file);
    } else {
        backlog = settle(file);
    }
    if (backlog != NULL)
        backlog_pump(backlog);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *argument)
{
    struct deferred *deferred = argument;
    (void)source;
    deferred->all.service->loop.now = loop_clock();
    if (event->mask & (IN_Q_OVERFLOW | IN_IGNORED))
        lose_track(deferred);
    else if (event->len > 0 && (event->mask & (IN_DELETE | IN_MOVED_FROM)))
        vanish(deferred, event->name);
    else if (event->len > 0)
        arrive(deferred, event->name);
    return 0;
}

/* --- Scanning --------------------------------------------------------------------------------- */

static void scan_entry(struct deferred *deferred, const char *name)
{
    struct file *file = backlog_find_file(&deferred->all, name);
    if (file != NULL) {
        file->scan = deferred->all.scan;
        if (file->backlog != NULL)
            file->backlog->counted++;
        return;
    }
    struct spool_order order;
    if (deferred->thinned && faccessat(deferred->all.folder, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        errno == ENOENT)
        return;
    const char *id = deliverable(deferred, name);
    struct backlog *backlog = id != NULL ? backlog_need(&deferred->all, id) : NULL;
    if (backlog == NULL)
        return;
    backlog->counted++;
    spool_parse_name(name, &order);
    if (backlog_is_behind(&backlog->found, &order))
        return;
    if (!backlog_is_next(backlog, &order)) {
        deferred->all.scan_found = true;
        backlog_shelve(backlog, name, &order);
        return;
    }
    file = backlog_new_file(&deferred->all, name, id);
    if (file == NULL) {
        backlog_note_unknown(&backlog->found, &order);
        return;
    }
    file->scan = file->found = deferred->all.scan;
    backlog_admit(file);
}

static void end_scan(struct deferred *deferred)
{
    struct backlog *backlog, *next;
    struct file *file;
    stop_scan(deferred);
    if (deferred->scan_again)
        deadline_start(&deferred->rescanning, &deferred->rescan);
    deferred->scan_again = false;
    deferred->all.lost_track = false;
    RB_FOREACH (backlog, backlogs_by_host, &deferred->all.by_host) {
        backlog_count(backlog, backlog->counted);
        backlog->unknown = backlog->found;
    }
    while ((file = TAILQ_FIRST(&deferred->all.settled)) != NULL)
        settle(file);
    /* Any of these may begin the next scan. */
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->all.by_host, next)
        backlog_pump(backlog);
}

/*
 * A name that is found may be that of a file which is being written at this moment, and of which
 * nothing has been heard yet: none that this scan has found goes before its end.
 */
static void scan_slice(struct chore *chore)
{
    struct deferred *deferred = CONTAINER_OF(chore, struct deferred, scanner);
    struct loop *loop = &deferred->all.service->loop;
    unsigned turns = deferred->read_out ? SCAN_PUT_OFF_AT_END : SCAN_PUT_OFF;
    if (loop->asking && deferred->put_off++ < turns)
        return;
    deferred->put_off = 0;
    if (deferred->read_out) {
        end_scan(deferred);
        return;
    }
    for (int i = 0; i < SCAN_SLICE; i++) {
        struct dirent *entry = readdir(deferred->scan);
        if (entry == NULL) {
            deferred->read_out = true;
            loop->asking = true;
            return;
        }
        scan_entry(deferred, entry->d_name);
    }
}

/* The scan finds these anew. */
static void unshelve(struct backlog *backlog)
{
    struct spool_order first;
    if (shelf_first(&backlog->shelf, &first) != NULL)
        backlog_note_unknown(&backlog->unknown, &first);
    shelf_clear(&backlog->shelf);
}

/*
 * Begins to read the folder. What is known and stands before all that is unknown may go meanwhile.
 * A scan that found nothing new is not begun again at once.
 */
static void start_scan(struct deferred *deferred)
{
    struct backlog *backlog;
    if (deferred->scan != NULL || deferred->all.folder < 0)
        return;
    int fd = openat(deferred->all.folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    deferred->scan = fd >= 0 ? fdopendir(fd) : NULL;
    if (deferred->scan == NULL) {
        if (fd >= 0)
            close(fd);
        deadline_start(&deferred->rescanning, &deferred->rescan);
        return;
    }
    deferred->thinned = false;
    deferred->read_out = false;
    deferred->all.scanning = true;
    deferred->all.scan++;
    deferred->all.scan_found = false;
    RB_FOREACH (backlog, backlogs_by_host, &deferred->all.by_host) {
        backlog->counted = 0;
        backlog->found.any = false;
        unshelve(backlog);
    }
    chore_start(&deferred->scanner);
}

/* A backlog runs low. After a scan that brought nothing new, the next one waits a little. */
static void refill(struct backlogs *all)
{
    struct deferred *deferred = CONTAINER_OF(all, struct deferred, all);
    if (deferred->scan != NULL || deferred->rescan.queue != NULL)
        return;
    if (all->scan_found)
        start_scan(deferred);
    else
        deadline_start(&deferred->rescanning, &deferred->rescan);
}

/* --- The folder ------------------------------------------------------------------------------- */

static void close_folder(struct deferred *deferred)
{
    deferred->inotify = sd_event_source_disable_unref(deferred->inotify);
    deferred->parent = sd_event_source_disable_unref(deferred->parent);
    if (deferred->scan != NULL)
        stop_scan(deferred);
    if (deferred->all.folder >= 0)
        close(deferred->all.folder);
    deferred->all.folder = -1;
}

/*
 * In lonSockDir: the folder itself may be removed or replaced, which nothing in it tells, since it
 * lives on while it is open here.
 */
static int on_moved(sd_event_source *source, const struct inotify_event *event, void *argument)
{
    struct deferred *deferred = argument;
    (void)source;
    deferred->all.service->loop.now = loop_clock();
    if (event->len > 0 && strcmp(event->name, "delayed") == 0)
        deadline_start(&deferred->rescanning, &deferred->rescan);
    return 0;
}

/* Whether the path is another now; without memory there is none. */
static bool replace_path(char **path, const char *folder, const char *name)
{
    char *made;
    if (asprintf(&made, "%s/%s", folder, name) < 0)
        made = NULL;
    bool changed = *path == NULL || made == NULL || strcmp(*path, made) != 0;
    free(*path);
    *path = made;
    return changed;
}

/* Nothing is delivered that could not be logged. */
static bool has_paths(const struct deferred *deferred)
{
    return deferred->all.folder_path != NULL && deferred->all.permlog_path != NULL;
}

/* Whether the folder is another now; also where a path could not be made. */
static bool make_paths(struct deferred *deferred)
{
    const struct loncapa *loncapa = &deferred->all.service->config->loncapa;
    bool moved = replace_path(&deferred->all.folder_path, loncapa->sock_dir, "delayed");
    (void)replace_path(&deferred->all.permlog_path, loncapa->daemons, "logs/lonnet.perm.log");
    return moved || !has_paths(deferred);
}

/* Opens, watches and scans the folder; tries again later where it cannot be. */
static void open_folder(struct deferred *deferred)
{
    const uint32_t changes =
        IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR;
    const uint32_t moves = IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR;
    sd_event *event = deferred->all.service->loop.event;
    if (!has_paths(deferred))
        make_paths(deferred);
    int r = deferred->all.folder =
        has_paths(deferred) ? spool_open(deferred->all.folder_path) : -ENOMEM;
    if (r >= 0)
        r = sd_event_add_inotify(event, &deferred->inotify, deferred->all.folder_path, changes,
                                 on_inotify, deferred);
    if (r >= 0)
        r = sd_event_add_inotify(event, &deferred->parent,
                                 deferred->all.service->config->loncapa.sock_dir, moves, on_moved,
                                 deferred);
    if (r < 0) {
        if (!deferred->said)
            log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED},
                      "cannot watch %s/delayed: %s; nothing deferred is delivered",
                      deferred->all.service->config->loncapa.sock_dir, strerror(-r));
        deferred->said = true;
        close_folder(deferred);
        deadline_start(&deferred->rescanning, &deferred->rescan);
        return;
    }
    deferred->said = false;
    deferred->all.removals = 0;
    sd_event_source_set_priority(deferred->inotify, SD_EVENT_PRIORITY_IMPORTANT);
    spool_sweep(deferred->all.folder);
    deferred->all.holding = true;
    deadline_start(&deferred->starting, &deferred->hold);
    start_scan(deferred);
}

static void on_hold_over(struct deadline *deadline)
{
    struct deferred *deferred = CONTAINER_OF(deadline, struct deferred, hold);
    struct backlog *backlog, *next;
    deferred->all.holding = false;
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->all.by_host, next)
        backlog_pump(backlog);
}

/* The folder may have been replaced, which its descriptor would not show. */
static bool is_same_folder(const struct deferred *deferred)
{
    struct stat held, there;
    return deferred->all.folder >= 0 && fstat(deferred->all.folder, &held) == 0 &&
           stat(deferred->all.folder_path, &there) == 0 && held.st_dev == there.st_dev &&
           held.st_ino == there.st_ino;
}

static void on_rescan(struct deadline *deadline)
{
    struct deferred *deferred = CONTAINER_OF(deadline, struct deferred, rescan);
    if (deferred->scan != NULL) {
        deferred->scan_again = true;
    } else if (is_same_folder(deferred)) {
        start_scan(deferred);
    } else {
        close_folder(deferred);
        open_folder(deferred);
    }
}
/* --- Coming and going ------------------------------------------------------------------------- */

struct deferred *deferred_new(struct service *service)
{
    struct deferred *deferred = calloc(1, sizeof(*deferred));
    if (deferred == NULL)
        return NULL;
    const struct settings *settings = &service->settings;
    struct loop *loop = &service->loop;
    backlogs_setup(&deferred->all, service, refill);
    deadline_queue_add(loop, &deferred->arriving, &settings->deferred_hold, on_settled);
    deadline_queue_add(loop, &deferred->starting, &settings->deferred_hold, on_hold_over);
    deadline_queue_add(loop, &deferred->rescanning, &settings->deferred_hold, on_rescan);
    deferred->all.sync = sync_new(loop->event);
    if (deferred->all.sync == NULL || chore_open(&deferred->scanner, loop, scan_slice) < 0) {
        deferred_free(deferred);
        return NULL;
    }
    return deferred;
}

/* Forgets the files of hosts that are in the table no longer; on disk they stay. */
static void forget_retired(struct deferred *deferred)
{
    struct file *file, *next_file;
    RB_FOREACH_SAFE (file, files_by_name, &deferred->all.files, next_file)
        if (file->state != FILE_SENDING && file->backlog != NULL && !file->backlog->host->listed)
            backlog_forget(file);
    struct backlog *backlog, *next;
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->all.by_host, next) {
        if (backlog->host->listed)
            continue;
        backlog->unknown.any = false;
        shelf_clear(&backlog->shelf);
        if (backlog->sending == NULL)
            backlog_free(backlog);
    }
}

void deferred_reload(struct deferred *deferred)
{
    bool moved = make_paths(deferred);
    forget_retired(deferred);
    forget_strangers(deferred);
    if (moved || deferred->all.folder < 0) {
        close_folder(deferred);
        open_folder(deferred);
    } else if (deferred->scan != NULL) {
        deferred->scan_again = true;
    } else {
        start_scan(deferred);
    }
}

size_t deferred_count(const struct deferred *deferred)
{
    return deferred->all.waiting;
}

void deferred_drain(struct deferred *deferred, void (*quiet)(void *argument), void *argument)
{
    deferred->all.quiet = quiet;
    deferred->all.quiet_argument = argument;
    if (deferred->all.sending == 0)
        quiet(argument);
}

void deferred_free(struct deferred *deferred)
{
    struct file *file, *next_file;
    struct backlog *backlog, *next_backlog;
    if (deferred == NULL)
        return;
    sync_free(deferred->all.sync); /* which ends all stores */
    close_folder(deferred);
    RB_FOREACH_SAFE (file, files_by_name, &deferred->all.files, next_file)
        backlog_forget(file);
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->all.by_host, next_backlog)
        backlog_free(backlog);
    chore_close(&deferred->scanner);
    forget_strangers(deferred);
    free(deferred->all.folder_path);
    free(deferred->all.permlog_path);
    free(deferred);
}

void deferred_store(struct deferred *deferred, const char *host, const char *line, size_t length,
                    void (*done)(void *argument, bool stored), void *argument)
{
    store_start(&deferred->all, host, line, length, done, argument);
}

void deferred_refuse(struct deferred *deferred, const char *host, const char *line, size_t length)
{
    store_log(&deferred->all, PERMLOG_FAILED, host, line, length - 1);
}

struct waiting_files deferred_of(const struct deferred *deferred, const struct host *host)
{
    const struct backlog *backlog = backlog_find(&deferred->all, host);
    return (struct waiting_files){
        .count = backlog != NULL ? backlog->count : 0,
        .exact = !deferred->all.scanning && !deferred->all.lost_track,
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
