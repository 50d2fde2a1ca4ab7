/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inotify events and scans of the folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/deferred/discovery.h"

/* Entries of the folder looked at in one turn of the loop: some 50 microseconds. */
#define SCAN_SLICE 128

static void scan_later(struct discovery *discovery)
{
    deadline_start(&discovery->rescanning, &discovery->rescan);
}

/* --- Names that are ignored ------------------------------------------------------------------- */

void discovery_forget_strangers(struct discovery *discovery)
{
    while (discovery->stranger_count > 0)
        free(discovery->strangers[--discovery->stranger_count]);
}

/* Logs each name once, and so many of them; the last one logged says so. */
static void report_stranger(struct discovery *discovery, const char *name, const char *what)
{
    for (unsigned i = 0; i < discovery->stranger_count; i++)
        if (strcmp(discovery->strangers[i], name) == 0)
            return;
    if (discovery->stranger_count == DISCOVERY_STRANGERS)
        return;
    char *copy = strdup(name);
    if (copy == NULL)
        return;
    discovery->strangers[discovery->stranger_count++] = copy;
    bool last = discovery->stranger_count == DISCOVERY_STRANGERS;
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED},
              "ignoring %s in the deferred folder: %s%s", name, what,
              last ? "; no more of them are logged" : "");
}

/*
 * The backlog that a file of this name belongs to, and in *id the host, a pointer into the name.
 * NULL, logged once, for a name that is not a transaction's or whose host is unknown; also without
 * memory.
 */
static struct backlog *backlog_for(struct discovery *discovery, const char *name, const char **id)
{
    struct backlogs *all = &discovery->delivery->backlogs;
    struct delayed_order order;
    if (name[0] == '.' || delayed_is_own(name))
        return NULL;
    *id = backlogs_host_in(all, name);
    if (*id != NULL)
        return backlogs_obtain(all, *id);
    report_stranger(discovery, name,
                    delayed_parse_name(name, &order) == NULL ? "not the name of a deferred file"
                                                             : "its host is not in hosts.tab");
    return NULL;
}

/* --- Events ----------------------------------------------------------------------------------- */

/*
 * A file was created, written or moved here. Arrivals are files at first, so that those behind them
 * wait; past deferred_arrivals only their names are kept, and their age is looked at in their turn.
 */
static void on_arrival(struct discovery *discovery, const char *name)
{
    struct backlogs *all = &discovery->delivery->backlogs;
    struct delayed_order order;
    const char *id;
    struct backlog *backlog = backlog_for(discovery, name, &id);
    if (backlog == NULL)
        return;
    delayed_parse_name(name, &order);
    if (name_set_has(&backlog->names, name, &order))
        return;
    if (all->count[FILE_NEW] + all->count[FILE_READY] >= all->core->settings.deferred_arrivals ||
        file_new(backlog, name, id, FILE_NEW) == NULL)
        backlog_put(backlog, name);
    delivery_advance(backlog);
}

/*
 * A file was removed or moved away. The keeper has forgotten already what it removed itself; if
 * somebody else has removed a file that may be a name in some set, the files are counted anew.
 */
static void on_removal(struct discovery *discovery, const char *name)
{
    struct file *file = backlogs_find_file(&discovery->delivery->backlogs, name);
    if (file != NULL)
        delivery_vanished(file);
    else if (!folder_expects_removal(discovery->folder) && discovery->rescan.queue == NULL)
        scan_later(discovery);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *argument)
{
    struct discovery *discovery = argument;
    struct backlogs *all = &discovery->delivery->backlogs;
    struct file *file;
    (void)source;
    all->core->loop.now = monotonic_now();
    if (event->mask & IN_Q_OVERFLOW) {
        folder_expect_no_removals(discovery->folder);
        discovery_scan(discovery);
    } else if (event->len == 0) {
        return 0; /* about the folder itself */
    } else if (event->mask & (IN_DELETE | IN_MOVED_FROM)) {
        on_removal(discovery, event->name);
    } else if ((file = backlogs_find_file(all, event->name)) != NULL) {
        delivery_touched(file);
    } else if (!(event->mask & IN_ATTRIB)) {
        on_arrival(discovery, event->name);
    }
    return 0;
}

static void unwatch_folder(struct discovery *discovery)
{
    discovery->inotify = sd_event_source_disable_unref(discovery->inotify);
    loop_sources_changed(&discovery->folder->core->loop);
}

int discovery_watch(struct discovery *discovery)
{
    const uint32_t changes = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM |
                             IN_ATTRIB | IN_ONLYDIR;
    struct loop *loop = &discovery->folder->core->loop;
    char path[64];
    unwatch_folder(discovery);
    /* This is the folder that is open, whatever its path leads to now. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", discovery->folder->fd);
    int r = sd_event_add_inotify(loop->event, &discovery->inotify, path, changes, on_inotify,
                                 discovery);
    loop_sources_changed(loop);
    if (r >= 0)
        sd_event_source_set_priority(discovery->inotify, SD_EVENT_PRIORITY_IMPORTANT);
    return r;
}

/* --- Scans ------------------------------------------------------------------------------------ */

static void scan_entry(struct discovery *discovery, const char *name)
{
    const char *id;
    if (backlogs_find_file(&discovery->delivery->backlogs, name) != NULL)
        return;
    struct backlog *backlog = backlog_for(discovery, name, &id);
    if (backlog != NULL)
        backlog_put(backlog, name);
}

static void stop_scan(struct discovery *discovery)
{
    if (discovery->scan == NULL)
        return;
    closedir(discovery->scan);
    discovery->scan = NULL;
    sliced_task_stop(&discovery->scanner);
    backlogs_end_scan(&discovery->delivery->backlogs);
}

static void complete_scan(struct discovery *discovery)
{
    stop_scan(discovery);
    if (discovery->scan_again)
        scan_later(discovery);
    discovery->scan_again = false;
    delivery_advance_all(discovery->delivery);
}

static bool scan_some(struct sliced_task *task)
{
    struct discovery *discovery = CONTAINER_OF(task, struct discovery, scanner);
    for (int i = 0; i < SCAN_SLICE; i++) {
        struct dirent *entry = readdir(discovery->scan);
        if (entry == NULL) {
            complete_scan(discovery);
            return discovery->scan != NULL; /* names may be wanted already that are only on disk */
        }
        scan_entry(discovery, entry->d_name);
    }
    return true;
}

/* Opens the folder once more, to read it from its beginning. NULL: it cannot be read now. */
static DIR *open_scan(const struct folder *folder)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *scan = fd >= 0 ? fdopendir(fd) : NULL;
    if (scan == NULL && fd >= 0)
        close(fd);
    return scan;
}

void discovery_scan(struct discovery *discovery)
{
    if (discovery->folder->fd < 0)
        return;
    if (discovery->scan != NULL) {
        discovery->scan_again = true;
        return;
    }
    discovery->scan = open_scan(discovery->folder);
    if (discovery->scan == NULL) {
        scan_later(discovery);
        return;
    }
    deadline_stop(&discovery->rescan);
    backlogs_begin_scan(&discovery->delivery->backlogs);
    sliced_task_start(&discovery->scanner);
}

static void on_rescan(struct deadline *deadline)
{
    discovery_scan(CONTAINER_OF(deadline, struct discovery, rescan));
}

void discovery_find_more(struct discovery *discovery)
{
    if (discovery->rescan.queue != NULL)
        return;
    if (discovery->delivery->backlogs.names_taken > 0)
        discovery_scan(discovery);
    else
        scan_later(discovery);
}

/* --- Coming and going ------------------------------------------------------------------------- */

void discovery_stop(struct discovery *discovery)
{
    stop_scan(discovery);
    deadline_stop(&discovery->rescan);
    unwatch_folder(discovery);
}

int discovery_init(struct discovery *discovery, struct delivery *delivery)
{
    struct core *core = delivery->backlogs.core;
    *discovery = (struct discovery){.delivery = delivery, .folder = delivery->backlogs.folder};
    deadline_queue_add(&core->loop, &discovery->rescanning, &core->settings.deferred_hold,
                       on_rescan);
    return sliced_task_open(&discovery->scanner, &core->loop, scan_some);
}

void discovery_free(struct discovery *discovery)
{
    if (discovery->delivery == NULL)
        return;
    discovery_stop(discovery);
    sliced_task_close(&discovery->scanner);
    discovery_forget_strangers(discovery);
    deadline_stop(&discovery->rescan);
    deadline_queue_remove(&discovery->rescanning);
}
