/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files and names of the deferred queue, and their states; the model is in backlog.h.
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

static int compare_names(struct file *one, struct file *other)
{
    return strcmp(one->name, other->name);
}

static int compare_backlogs(struct backlog *one, struct backlog *other)
{
    return one->host < other->host ? -1 : one->host > other->host;
}

RB_GENERATE(files_by_order, file, by_order, compare_orders)
RB_GENERATE(files_by_name, file, by_name, compare_names)
RB_GENERATE(backlogs_by_host, backlog, by_host, compare_backlogs)

/* --- Files ------------------------------------------------------------------------------------ */

struct file *backlog_find_file(struct backlogs *all, const char *name)
{
    /* The key is a file with nothing but a name, which is the last member and of any length. */
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

struct file *file_new(struct backlog *backlog, const char *name, const char *id)
{
    size_t size = strlen(name) + 1;
    struct file *file = calloc(1, sizeof(*file) + size);
    if (file == NULL)
        return NULL;
    memcpy(file->name, name, size);
    delayed_parse_name(name, &file->order);
    file->epoch = file->order.epoch;
    file->host = file->name + (id - name);
    file->backlog = backlog;
    file->born = backlog->all->core->loop.now;
    RB_INSERT(files_by_name, &backlog->all->files, file);
    LIST_INSERT_HEAD(&backlog->files, file, of_backlog);
    backlog->file_count++;
    backlog_recount(backlog);
    return file;
}

static void leave_state(struct file *file)
{
    struct backlog *backlog = file->backlog;
    struct backlogs *all = backlog->all;
    deadline_stop(&file->deadline);
    switch (file->state) {
    case FILE_SETTLED:
        TAILQ_REMOVE(&all->settled, file, by_settling);
        /* fall through */
    case FILE_NEW:
        RB_REMOVE(files_by_order, &backlog->fresh, file);
        all->fresh--;
        break;
    case FILE_READY:
        RB_REMOVE(files_by_order, &backlog->ready, file);
        break;
    case FILE_SENDING:
        backlog->sending = NULL;
        all->sending--;
        break;
    case FILE_DELIVERED:
        all->delivered--;
        break;
    case FILE_LOOSE:
    case FILE_WAITING:
    case FILE_POSTPONED:
        break;
    }
}

/* What waits for long is looked at less often. */
static struct deadline_queue *next_look(const struct file *file)
{
    struct backlogs *all = file->backlog->all;
    uint64_t waited = file->waits_since != 0 ? all->core->loop.now - file->waits_since : 0;
    return waited < all->core->settings.deferred_retry ? &all->settling : &all->postponing;
}

void file_enter(struct file *file, enum file_state state)
{
    struct backlog *backlog = file->backlog;
    struct backlogs *all = backlog->all;
    leave_state(file);
    file->state = state;
    switch (state) {
    case FILE_NEW:
        RB_INSERT(files_by_order, &backlog->fresh, file);
        all->fresh++;
        deadline_start(&all->settling, &file->deadline);
        break;
    case FILE_SETTLED:
        RB_INSERT(files_by_order, &backlog->fresh, file);
        all->fresh++;
        TAILQ_INSERT_TAIL(&all->settled, file, by_settling);
        break;
    case FILE_WAITING:
        deadline_start(next_look(file), &file->deadline);
        break;
    case FILE_READY:
        RB_INSERT(files_by_order, &backlog->ready, file);
        break;
    case FILE_SENDING:
        backlog->sending = file;
        all->sending++;
        break;
    case FILE_DELIVERED:
        all->delivered++;
        deadline_start(&all->postponing, &file->deadline);
        break;
    case FILE_POSTPONED:
        deadline_start(&all->postponing, &file->deadline);
        break;
    case FILE_LOOSE:
        break;
    }
}

void file_forget(struct file *file)
{
    struct backlog *backlog = file->backlog;
    file_enter(file, FILE_LOOSE);
    file_well(file);
    LIST_REMOVE(file, of_backlog);
    RB_REMOVE(files_by_name, &backlog->all->files, file);
    permlog_drop(file->command, file->command_length);
    free(file);
    backlog->file_count--;
    backlog_recount(backlog);
}

/* --- What is wrong with files ----------------------------------------------------------------- */

void file_say(struct file *file, const char *what, int error)
{
    if (file->said)
        return;
    file->said = true;
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = file->host},
              "deferred file %s %s%s%s", file->name, what, error != 0 ? ": " : "",
              error != 0 ? strerror(error) : "");
}

static void list_trouble(struct backlogs *all)
{
    const struct file *first = TAILQ_FIRST(&all->troubled);
    if (first == NULL) {
        trouble_end(all->core, TROUBLE_DEFERRED);
        return;
    }
    trouble_begin(all->core, TROUBLE_DEFERRED, "%s/%s %s: %s%s", all->folder_path, first->name,
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
    list_trouble(all);
}

void file_well(struct file *file)
{
    struct backlogs *all = file->backlog->all;
    if (file->error == 0)
        return;
    TAILQ_REMOVE(&all->troubled, file, by_trouble);
    file->error = 0;
    list_trouble(all);
}

/* --- Backlogs --------------------------------------------------------------------------------- */

struct backlog *backlog_find(const struct backlogs *all, const struct host *host)
{
    struct backlog key = {.host = (struct host *)(uintptr_t)host};
    return RB_FIND(backlogs_by_host, (struct backlogs_by_host *)(uintptr_t)&all->by_host, &key);
}

struct backlog *backlog_need(struct backlogs *all, const char *id)
{
    struct host *host = hosts_hold(all->core->hosts, id);
    if (host == NULL)
        return NULL;
    struct backlog *backlog = backlog_find(all, host);
    if (backlog != NULL) {
        hosts_release(host); /* held once is enough */
        return backlog;
    }
    backlog = calloc(1, sizeof(*backlog));
    if (backlog == NULL) {
        hosts_release(host);
        return NULL;
    }
    backlog->host = host;
    backlog->all = all;
    name_set_init(&backlog->names, &all->shelved);
    LIST_INIT(&backlog->files);
    RB_INIT(&backlog->fresh);
    RB_INIT(&backlog->ready);
    RB_INSERT(backlogs_by_host, &all->by_host, backlog);
    delivery_attach(backlog);
    return backlog;
}

const char *backlog_host_in(struct backlogs *all, const char *name)
{
    struct delayed_order order;
    const char *id = delayed_parse_name(name, &order);
    for (; id != NULL; id = delayed_longer_host(name, id)) {
        struct host *host = hosts_hold(all->core->hosts, id);
        if (host == NULL)
            continue;
        hosts_release(host);
        return id;
    }
    return NULL;
}

static void set_count(struct backlog *backlog, size_t count)
{
    if (backlog->count == count)
        return;
    backlog->all->waiting += count - backlog->count; /* modulo, for a count that shrinks */
    backlog->count = count;
    core_changed(backlog->all->core);
}

void backlog_recount(struct backlog *backlog)
{
    if (!backlog->all->scanning)
        set_count(backlog, backlog->names.count + backlog->beyond + backlog->file_count);
}

bool backlog_is_over(const struct backlog *backlog)
{
    return backlog->names.count == 0 && !backlog->cut && backlog->file_count == 0 &&
           !backlog->all->scanning;
}

void backlog_free(struct backlog *backlog)
{
    set_count(backlog, 0);
    deadline_stop(&backlog->pause);
    host_withdraw_offer(backlog->host);
    hosts_release(backlog->host);
    buffer_free(&backlog->content);
    name_set_clear(&backlog->names);
    RB_REMOVE(backlogs_by_host, &backlog->all->by_host, backlog);
    free(backlog);
}

/* --- Names ------------------------------------------------------------------------------------ */

static void set_horizon(struct backlog *backlog, const struct delayed_order *order)
{
    if (!backlog->cut || delayed_compare(order, &backlog->horizon) < 0)
        backlog->horizon = *order;
    backlog->cut = true;
}

/* Names take more memory than they may: each backlog lets go of those that are farthest off. */
static void halve_names(struct backlogs *all)
{
    struct backlog *backlog;
    struct delayed_order from;
    RB_FOREACH (backlog, backlogs_by_host, &all->by_host) {
        size_t before = backlog->names.count;
        if (!name_set_halve(&backlog->names, &from))
            continue;
        backlog->beyond += before - backlog->names.count;
        set_horizon(backlog, &from);
    }
}

void backlog_put(struct backlog *backlog, const char *name, const struct delayed_order *order)
{
    struct backlogs *all = backlog->all;
    if (backlog->cut && delayed_compare(order, &backlog->horizon) >= 0) {
        backlog->beyond++;
    } else if (name_set_put(&backlog->names, name) < 0) {
        backlog->beyond++;
        set_horizon(backlog, order);
    }
    if (all->shelved > all->core->settings.deferred_memory)
        halve_names(all);
    backlog_recount(backlog);
}

void backlog_put_back(struct file *file)
{
    struct backlog *backlog = file->backlog;
    backlog_put(backlog, file->name, &file->order);
    file_forget(file);
}

void backlog_clear(struct backlog *backlog)
{
    name_set_clear(&backlog->names);
    backlog->cut = false;
    backlog->beyond = 0;
}

/* The earlier of two times, of which 0 is none. */
static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one == 0 || (other != 0 && other < one) ? other : one;
}

uint64_t backlog_oldest(const struct backlog *backlog)
{
    const struct file *file;
    struct delayed_order first;
    uint64_t oldest = 0;
    if (name_set_first(&backlog->names, &first) != NULL)
        oldest = first.epoch;
    else if (backlog->cut)
        oldest = backlog->horizon.epoch;
    LIST_FOREACH (file, &backlog->files, of_backlog)
        oldest = earlier(oldest, file->epoch);
    return oldest;
}

/* --- All -------------------------------------------------------------------------------------- */

void backlogs_setup(struct backlogs *all, struct core *core)
{
    *all = (struct backlogs){.core = core, .folder = -1};
    RB_INIT(&all->files);
    RB_INIT(&all->by_host);
    TAILQ_INIT(&all->settled);
    TAILQ_INIT(&all->troubled);
    delivery_setup(all);
}
