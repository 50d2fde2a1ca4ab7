/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files, their states, and the backlogs that hold them; backlog.h explains the model.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "keeper/deferred/backlog.h"
#include "keeper/deferred/permlog.h"
#include "keeper/host/hosts.h"

static int compare_orders(struct file *one, struct file *other)
{
    int order = delayed_compare(&one->order, &other->order);
    return order != 0 ? order : strcmp(one->name, other->name);
}

static int compare_file_names(struct file *one, struct file *other)
{
    return strcmp(one->name, other->name);
}

static int compare_backlogs(struct backlog *one, struct backlog *other)
{
    return one->host < other->host ? -1 : one->host > other->host;
}

RB_GENERATE(files_by_order, file, by_order, compare_orders)
RB_GENERATE(files_by_name, file, by_name, compare_file_names)
RB_GENERATE(backlogs_by_host, backlog, by_host, compare_backlogs)

/* --- How many wait ---------------------------------------------------------------------------- */

static void set_count(struct backlog *backlog, size_t count)
{
    if (backlog->count == count)
        return;
    backlog->all->waiting += count - backlog->count; /* modulo, for a count that shrinks */
    backlog->count = count;
    core_changed(backlog->all->core);
}

/* Not during a scan, when only a part is known. */
static void recount(struct backlog *backlog)
{
    if (!backlog->all->scanning)
        set_count(backlog, backlog->names.count + backlog->unnamed + backlog->file_count);
}

/* --- States of files -------------------------------------------------------------------------- */

/* A file that has waited for long is looked at less often. */
static struct deadline_queue *next_look(const struct file *file)
{
    struct backlogs *all = file->backlog->all;
    uint64_t waited = file->wait.since != 0 ? all->core->loop.now - file->wait.since : 0;
    return waited < all->core->settings.deferred_retry ? &all->settling : &all->postponing;
}

static void join_state(struct file *file, enum file_state state)
{
    struct backlog *backlog = file->backlog;
    struct backlogs *all = backlog->all;
    file->state = state;
    all->count[state]++;
    switch (state) {
    case FILE_NEW:
        RB_INSERT(files_by_order, &backlog->fresh, file);
        deadline_start(&all->settling, &file->deadline);
        break;
    case FILE_WAITING:
        deadline_start(next_look(file), &file->deadline);
        break;
    case FILE_POSTPONED:
    case FILE_DELIVERED:
        deadline_start(&all->postponing, &file->deadline);
        break;
    case FILE_READY:
        RB_INSERT(files_by_order, &backlog->ready, file);
        break;
    case FILE_SENDING:
        backlog->sending = file;
        break;
    case FILE_STATES:
        break;
    }
}

static void leave_state(struct file *file)
{
    struct backlog *backlog = file->backlog;
    deadline_stop(&file->deadline);
    backlog->all->count[file->state]--;
    if (file->state == FILE_NEW)
        RB_REMOVE(files_by_order, &backlog->fresh, file);
    else if (file->state == FILE_READY)
        RB_REMOVE(files_by_order, &backlog->ready, file);
    else if (file->state == FILE_SENDING)
        backlog->sending = NULL;
}

void file_enter(struct file *file, enum file_state state)
{
    leave_state(file);
    join_state(file, state);
}

static void on_deadline(struct deadline *deadline)
{
    struct file *file = CONTAINER_OF(deadline, struct file, deadline);
    file->backlog->all->due(file);
}

/* --- Files ------------------------------------------------------------------------------------ */

struct file *backlogs_find_file(struct backlogs *all, const char *name)
{
    /* The key is a file with nothing but a name, whose array is the last member of struct file. */
    struct {
        struct file file;
        char name[NAME_MAX + 1];
    } key;
    size_t length = strlen(name);
    if (length > NAME_MAX)
        return NULL;
    memcpy(key.file.name, name, length + 1);
    return RB_FIND(files_by_name, &all->files, &key.file);
}

struct file *file_new(struct backlog *backlog, const char *name, const char *id,
                      enum file_state state)
{
    size_t size = strlen(name) + 1;
    struct file *file = calloc(1, sizeof(*file) + size);
    if (file == NULL)
        return NULL;
    memcpy(file->name, name, size);
    delayed_parse_name(name, &file->order);
    file->host = file->name + (id - name);
    file->backlog = backlog;
    file->born = backlog->all->core->loop.now;
    RB_INSERT(files_by_name, &backlog->all->files, file);
    LIST_INSERT_HEAD(&backlog->files, file, of_backlog);
    backlog->file_count++;
    join_state(file, state);
    recount(backlog);
    return file;
}

/* The command may be a secret: permlog_drop wipes it. Its LF is not kept. */
static void drop_command(struct file *file)
{
    permlog_drop(file->sent.command, file->sent.length - 1);
    file->sent.command = NULL;
}

void file_lose_order(struct file *file)
{
    file->order.epoch = UINT64_MAX;
}

void file_renew(struct file *file)
{
    file_recovered(file);
    drop_command(file);
    file->born = file->backlog->all->core->loop.now;
    file->attempts = 0;
    file->reported = false;
    file->wait = (struct file_wait){.since = 0};
    file->sent = (struct file_sent){.length = 0};
    file_enter(file, FILE_NEW);
}

void file_forget(struct file *file)
{
    struct backlog *backlog = file->backlog;
    leave_state(file);
    file_recovered(file);
    LIST_REMOVE(file, of_backlog);
    RB_REMOVE(files_by_name, &backlog->all->files, file);
    drop_command(file);
    free(file);
    backlog->file_count--;
    recount(backlog);
}

void file_put_back(struct file *file)
{
    backlog_put(file->backlog, file->name);
    file_forget(file);
}

/* --- What is wrong with files ----------------------------------------------------------------- */

void file_report(struct file *file, const char *what, int error)
{
    if (file->reported)
        return;
    file->reported = true;
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = file->host},
              "deferred file %s %s%s%s", file->name, what, error != 0 ? ": " : "",
              error != 0 ? strerror(error) : "");
}

/* One trouble stands for all such files: it names the first of them. */
static void list_troubled_files(struct backlogs *all)
{
    const struct file *first = TAILQ_FIRST(&all->troubled);
    if (first == NULL) {
        trouble_end(all->core, TROUBLE_DEFERRED);
        return;
    }
    trouble_begin(all->core, TROUBLE_DEFERRED, "%s/%s %s: %s%s", all->folder->path, first->name,
                  first->what, strerror(first->error),
                  TAILQ_NEXT(first, by_trouble) != NULL ? "; others too" : "");
}

void file_trouble(struct file *file, const char *what, int error)
{
    struct backlogs *all = file->backlog->all;
    if (file->error == 0)
        TAILQ_INSERT_TAIL(&all->troubled, file, by_trouble);
    file->error = error;
    file->what = what;
    list_troubled_files(all);
}

void file_recovered(struct file *file)
{
    struct backlogs *all = file->backlog->all;
    if (file->error == 0)
        return;
    TAILQ_REMOVE(&all->troubled, file, by_trouble);
    file->error = 0;
    list_troubled_files(all);
}

void file_postpone(struct file *file, const char *what, int error)
{
    if (error != 0)
        file_trouble(file, what, error);
    file_report(file, what, error);
    file_enter(file, FILE_POSTPONED);
}

/* --- Backlogs --------------------------------------------------------------------------------- */

struct backlog *backlogs_find(const struct backlogs *all, const struct host *host)
{
    struct backlog key = {.host = (struct host *)(uintptr_t)host};
    return RB_FIND(backlogs_by_host, (struct backlogs_by_host *)(uintptr_t)&all->by_host, &key);
}

static struct backlog *backlog_new(struct backlogs *all, struct host *host)
{
    struct backlog *backlog = calloc(1, sizeof(*backlog));
    if (backlog == NULL)
        return NULL;
    backlog->host = host;
    backlog->all = all;
    name_set_init(&backlog->names, &all->name_bytes);
    LIST_INIT(&backlog->files);
    RB_INIT(&backlog->fresh);
    RB_INIT(&backlog->ready);
    RB_INSERT(backlogs_by_host, &all->by_host, backlog);
    return backlog;
}

struct backlog *backlogs_obtain(struct backlogs *all, const char *id)
{
    struct host *host = hosts_hold(all->hosts, id);
    if (host == NULL)
        return NULL;
    struct backlog *backlog = backlogs_find(all, host);
    if (backlog == NULL && (backlog = backlog_new(all, host)) != NULL)
        return backlog;
    hosts_release(host); /* a backlog holds its host once */
    return backlog;
}

void backlog_free(struct backlog *backlog)
{
    set_count(backlog, 0);
    hosts_release(backlog->host);
    name_set_clear(&backlog->names);
    RB_REMOVE(backlogs_by_host, &backlog->all->by_host, backlog);
    free(backlog);
}

const char *backlogs_host_in(struct backlogs *all, const char *name)
{
    struct delayed_order order;
    const char *id = delayed_parse_name(name, &order);
    for (; id != NULL; id = delayed_longer_host(name, id)) {
        struct host *host = hosts_hold(all->hosts, id);
        if (host == NULL)
            continue;
        hosts_release(host);
        return id;
    }
    return NULL;
}

bool backlog_is_over(const struct backlog *backlog)
{
    return backlog->names.count == 0 && backlog->unnamed == 0 && backlog->file_count == 0 &&
           !backlog->all->scanning;
}

/* The earlier of two times, of which 0 is none. */
static uint64_t earlier_epoch(uint64_t one, uint64_t other)
{
    return one == 0 || (other != 0 && other < one) ? other : one;
}

uint64_t backlog_oldest(const struct backlog *backlog)
{
    const struct file *file;
    struct delayed_order order;
    uint64_t oldest = 0;
    if (name_set_first(&backlog->names, &order) != NULL)
        oldest = order.epoch;
    else if (backlog->unnamed > 0)
        oldest = backlog->horizon.epoch;
    LIST_FOREACH (file, &backlog->files, of_backlog) {
        /* Not file->order, which the file may have lost. */
        delayed_parse_name(file->name, &order);
        oldest = earlier_epoch(oldest, order.epoch);
    }
    return oldest;
}

/* --- Names ------------------------------------------------------------------------------------ */

/* `count` names at or behind this order are given up. */
static void give_up_names(struct backlog *backlog, const struct delayed_order *from, size_t count)
{
    if (backlog->unnamed == 0 || delayed_compare(from, &backlog->horizon) < 0)
        backlog->horizon = *from;
    backlog->unnamed += count;
}

static void halve_names(struct backlogs *all)
{
    struct backlog *backlog;
    struct delayed_order from;
    RB_FOREACH (backlog, backlogs_by_host, &all->by_host) {
        size_t dropped = name_set_halve(&backlog->names, &from);
        if (dropped > 0)
            give_up_names(backlog, &from, dropped);
    }
}

void backlog_put(struct backlog *backlog, const char *name)
{
    struct backlogs *all = backlog->all;
    struct delayed_order order;
    delayed_parse_name(name, &order);
    if (backlog->unnamed > 0 && delayed_compare(&order, &backlog->horizon) >= 0)
        backlog->unnamed++;
    else if (name_set_put(&backlog->names, name) < 0)
        give_up_names(backlog, &order, 1);
    if (all->name_bytes > all->core->settings.deferred_memory)
        halve_names(all);
    recount(backlog);
}

struct file *backlog_take_first(struct backlog *backlog)
{
    struct backlogs *all = backlog->all;
    struct delayed_order order;
    const char *name = name_set_first(&backlog->names, &order);
    const char *id = backlogs_host_in(all, name);
    struct file *file = NULL;
    all->names_taken++;
    if (id != NULL && backlogs_find_file(all, name) == NULL)
        file = file_new(backlog, name, id, FILE_READY);
    name_set_drop_first(&backlog->names);
    recount(backlog);
    return file;
}

void backlog_clear(struct backlog *backlog)
{
    name_set_clear(&backlog->names);
    backlog->unnamed = 0;
    recount(backlog);
}

/* --- All backlogs ----------------------------------------------------------------------------- */

void backlogs_begin_scan(struct backlogs *all)
{
    struct backlog *backlog;
    all->scanning = true;
    all->names_taken = 0;
    RB_FOREACH (backlog, backlogs_by_host, &all->by_host)
        backlog_clear(backlog);
}

void backlogs_end_scan(struct backlogs *all)
{
    struct backlog *backlog;
    all->scanning = false;
    RB_FOREACH (backlog, backlogs_by_host, &all->by_host)
        recount(backlog);
}

void backlogs_init(struct backlogs *all, struct hosts *hosts, struct folder *folder,
                   void (*due)(struct file *file))
{
    struct core *core = hosts->core;
    const struct settings *settings = &core->settings;
    *all = (struct backlogs){.core = core, .hosts = hosts, .folder = folder, .due = due};
    RB_INIT(&all->files);
    RB_INIT(&all->by_host);
    TAILQ_INIT(&all->troubled);
    deadline_queue_add(&core->loop, &all->settling, &settings->deferred_hold, on_deadline);
    deadline_queue_add(&core->loop, &all->postponing, &settings->deferred_retry, on_deadline);
}

void backlogs_end(struct backlogs *all)
{
    deadline_queue_remove(&all->settling);
    deadline_queue_remove(&all->postponing);
}
