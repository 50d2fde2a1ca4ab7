/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Delivering what waits for a host, a file at a time. What happens to a file in the folder is
 * spool.c's; how files become known is deferred.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/backlog.h"
#include "keeper/hosts.h"
#include "keeper/permlog.h"

/* Files that turn out to be none are set aside one after another; past this, others get a turn. */
#define BAD_FILES_PER_TURN 16

/*
 * Files of a backlog that are next, with all that belongs to a file; the others are names on its
 * shelf. When there are few of them, half as many come from there.
 */
#define NEXT_MOST 64
#define NEXT_FEW  16

/*
 * Names looked at in a turn, a system call each: those of files that went while a scan had their
 * names in hand are on the shelf too, as many as were next.
 */
#define NAMES_PER_TURN 1024

static int compare_files(struct file *one, struct file *other)
{
    int order = spool_compare(&one->order, &other->order);
    return order != 0 ? order : strcmp(one->name, other->name);
}

static int compare_names(struct file *one, struct file *other)
{
    return strcmp(one->name, other->name);
}

static int compare_ages(struct file *one, struct file *other)
{
    if (one->epoch != other->epoch)
        return one->epoch < other->epoch ? -1 : 1;
    return compare_names(one, other);
}

static int compare_backlogs(struct backlog *one, struct backlog *other)
{
    return one->host < other->host ? -1 : one->host > other->host;
}

RB_PROTOTYPE(files_by_order, file, by_order, compare_files)
RB_PROTOTYPE(files_by_name, file, by_name, compare_names)
RB_PROTOTYPE(files_by_age, file, by_age, compare_ages)
RB_PROTOTYPE(backlogs_by_host, backlog, by_host, compare_backlogs)
RB_GENERATE(files_by_order, file, by_order, compare_files)
RB_GENERATE(files_by_name, file, by_name, compare_names)
RB_GENERATE(files_by_age, file, by_age, compare_ages)
RB_GENERATE(backlogs_by_host, backlog, by_host, compare_backlogs)

/* Those of one order have none among them. */
static bool is_blocked(const struct unknown *unknown, const struct spool_order *order)
{
    return unknown->any && spool_compare(order, &unknown->first) > 0;
}

bool backlog_is_behind(const struct unknown *unknown, const struct spool_order *order)
{
    return unknown->any && spool_compare(order, &unknown->first) >= 0;
}

void backlog_note_unknown(struct unknown *unknown, const struct spool_order *order)
{
    if (!unknown->any || spool_compare(order, &unknown->first) < 0)
        unknown->first = *order;
    unknown->any = true;
}

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

struct file *backlog_new_file(struct backlogs *all, const char *name, const char *id)
{
    size_t size = strlen(name) + 1;
    struct file *file = calloc(1, sizeof(*file) + size);
    if (file == NULL)
        return NULL;
    memcpy(file->name, name, size);
    file->all = all;
    spool_parse_name(name, &file->order);
    file->epoch = file->order.epoch;
    file->host = file->name + (id - name);
    RB_INSERT(files_by_name, &all->files, file);
    return file;
}

/* Takes a file out of wherever it stands. */
void backlog_detach(struct file *file)
{
    deadline_stop(&file->deadline);
    if (file->state == FILE_READY) {
        RB_REMOVE(files_by_order, &file->backlog->ready, file);
        file->backlog->ready_count--;
    }
    if (file->state == FILE_SETTLED)
        TAILQ_REMOVE(&file->all->settled, file, by_arrival);
    if (file->state == FILE_ARRIVED || file->state == FILE_SETTLED)
        file->all->arrived--;
    file->state = FILE_LOOSE;
}

/* It is known no longer; whether it still lies on disk is another matter. */
void backlog_forget(struct file *file)
{
    backlog_detach(file);
    if (file->backlog != NULL) {
        file->backlog->known--;
        RB_REMOVE(files_by_age, &file->backlog->aged, file);
    }
    RB_REMOVE(files_by_name, &file->all->files, file);
    free(file->command);
    free(file);
}

void backlog_make_ready(struct file *file)
{
    file->state = FILE_READY;
    RB_INSERT(files_by_order, &file->backlog->ready, file);
    file->backlog->ready_count++;
}

static void say_once(struct file *file, const char *what, int error)
{
    if (file->said)
        return;
    file->said = true;
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = file->host},
              "deferred file %s %s%s%s", file->name, what, error != 0 ? ": " : "",
              error != 0 ? strerror(error) : "");
}

/* Those behind it go on; this one is tried again later, and then after them. */
static void postpone(struct file *file)
{
    file->state = FILE_POSTPONED;
    /* Its order is lost: whatever is well goes before it, and one more failure postpones it again.
     */
    file->order.epoch = UINT64_MAX;
    file->attempts = (unsigned)file->all->service->settings.deferred_attempts - 1;
    deadline_start(&file->all->postponing, &file->deadline);
}

/* --- Backlogs --------------------------------------------------------------------------------- */

static struct transaction *next_transaction(struct background *background);
static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length);

struct backlog *backlog_find(const struct backlogs *all, const struct host *host)
{
    struct backlog key = {.host = (struct host *)(uintptr_t)host};
    return RB_FIND(backlogs_by_host, (struct backlogs_by_host *)(uintptr_t)&all->by_host, &key);
}

/* The backlog of the host of this lonHostID; NULL when there is no such host, or no memory. */
struct backlog *backlog_need(struct backlogs *all, const char *id)
{
    struct host *host = hosts_hold(all->service->hosts, id);
    if (host == NULL)
        return NULL;
    struct backlog *backlog = backlog_find(all, host);
    if (backlog == NULL)
        backlog = calloc(1, sizeof(*backlog));
    else
        hosts_release(host); /* held once is enough */
    if (backlog == NULL) {
        hosts_release(host);
        return NULL;
    }
    if (backlog->host != NULL)
        return backlog;
    backlog->host = host;
    backlog->all = all;
    shelf_init(&backlog->shelf, &all->shelved);
    /* Anything may yet be found, from the first order on. */
    backlog->unknown.any = all->scanning || all->lost_track;
    backlog->background.next = next_transaction;
    backlog->transaction.done = on_done;
    backlog->transaction.background = true;
    RB_INIT(&backlog->ready);
    RB_INIT(&backlog->aged);
    RB_INSERT(backlogs_by_host, &all->by_host, backlog);
    return backlog;
}

const char *backlog_host_in(struct backlogs *all, const char *name)
{
    struct spool_order order;
    const char *id = spool_parse_name(name, &order);
    for (; id != NULL; id = spool_longer_host(name, id)) {
        struct host *host = hosts_hold(all->service->hosts, id);
        if (host == NULL)
            continue;
        hosts_release(host);
        return id;
    }
    return NULL;
}

void backlog_count(struct backlog *backlog, size_t count)
{
    backlog->all->waiting += count - backlog->count; /* modulo, for a count that shrinks */
    backlog->count = count;
    service_changed(backlog->all->service);
}

/* The earlier of two times, of which 0 is none. */
static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one == 0 || (other != 0 && other < one) ? other : one;
}

/* The order of a file that anything may stand before is of no time: it tells nothing. */
uint64_t backlog_oldest(const struct backlog *backlog)
{
    struct file *known = RB_MIN(files_by_age, (struct files_by_age *)(uintptr_t)&backlog->aged);
    struct spool_order shelved;
    uint64_t oldest = known != NULL ? known->epoch : 0;
    if (shelf_first(&backlog->shelf, &shelved) != NULL)
        oldest = earlier(oldest, shelved.epoch);
    if (backlog->unknown.any)
        oldest = earlier(oldest, backlog->unknown.first.epoch);
    return oldest;
}

void backlog_free(struct backlog *backlog)
{
    backlog_count(backlog, 0);
    deadline_stop(&backlog->pause);
    host_withdraw_offer(backlog->host);
    hosts_release(backlog->host);
    buffer_free(&backlog->content);
    shelf_clear(&backlog->shelf);
    RB_REMOVE(backlogs_by_host, &backlog->all->by_host, backlog);
    free(backlog);
}

/* Nothing is left, known or unknown. */
static bool is_over(const struct backlog *backlog)
{
    return backlog->known == 0 && backlog->shelf.count == 0 && !backlog->unknown.any &&
           !backlog->all->scanning;
}

/* What stays on disk only, as far as the scan under way, or the last one, is concerned. */
static struct unknown *unknown_of(struct backlog *backlog)
{
    return backlog->all->scanning ? &backlog->found : &backlog->unknown;
}

/* Names take more memory than they may: each backlog lets go of those that are farthest off. */
static void halve_shelves(struct backlogs *all)
{
    struct backlog *backlog;
    struct spool_order from;
    RB_FOREACH (backlog, backlogs_by_host, &all->by_host)
        if (shelf_halve(&backlog->shelf, &from))
            backlog_note_unknown(unknown_of(backlog), &from);
}

void backlog_shelve(struct backlog *backlog, const char *name, const struct spool_order *order)
{
    struct backlogs *all = backlog->all;
    if (shelf_put(&backlog->shelf, name) < 0)
        backlog_note_unknown(unknown_of(backlog), order);
    if (all->shelved > all->service->settings.deferred_memory)
        halve_shelves(all);
}

bool backlog_is_next(const struct backlog *backlog, const struct spool_order *order)
{
    const struct file *last;
    if (backlog->ready_count < NEXT_MOST)
        return backlog->shelf.count == 0;
    last = RB_MAX(files_by_order, &((struct backlog *)(uintptr_t)backlog)->ready);
    return spool_compare(order, &last->order) < 0;
}

/* From here on the file is this backlog's, and in its order. */
static void attach(struct backlog *backlog, struct file *file)
{
    file->backlog = backlog;
    backlog->known++;
    RB_INSERT(files_by_age, &backlog->aged, file);
    backlog_make_ready(file);
}

/*
 * More are ready than need be: the last becomes a name again. One that the scan under way has still
 * to meet is left to that, which would else count it once and find it on the shelf twice; what is
 * behind it waits for the scan's end.
 */
static void put_back_last(struct backlog *backlog)
{
    struct backlogs *all = backlog->all;
    struct file *last = RB_MAX(files_by_order, &backlog->ready);
    if (all->scanning && last->scan != all->scan)
        backlog_note_unknown(&backlog->unknown, &last->order);
    else
        backlog_shelve(backlog, last->name, &last->order);
    backlog_forget(last);
}

void backlog_admit(struct file *file)
{
    struct backlogs *all = file->all;
    struct backlog *backlog = backlog_need(all, file->host);
    if (backlog == NULL || backlog_is_behind(unknown_of(backlog), &file->order)) {
        backlog_forget(file);
        return;
    }
    attach(backlog, file);
    all->scan_found = true;
    if (backlog->ready_count > NEXT_MOST)
        put_back_last(backlog);
}

static bool lies_in_folder(const struct backlogs *all, const char *name)
{
    return faccessat(all->folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* The first name of the shelf becomes a file. False without memory. */
static bool take_from_shelf(struct backlog *backlog)
{
    struct backlogs *all = backlog->all;
    struct spool_order order;
    const char *name = shelf_first(&backlog->shelf, &order);
    const char *id = backlog_host_in(all, name);
    /*
     * It has been written again, or a scan has met it twice; or somebody has taken it away, which
     * says nothing of a name on a shelf. One that is not there must not become a file: if it came
     * back it would be taken for one that has been counted.
     */
    if (id == NULL || backlog_find_file(all, name) != NULL || !lies_in_folder(all, name)) {
        backlog_count(backlog, backlog->count - (backlog->count > 0));
    } else {
        struct file *file = backlog_new_file(all, name, id);
        if (file == NULL)
            return false;
        file->scan = all->scan;
        file->found = all->scanning ? all->scan : 0;
        attach(backlog, file);
    }
    shelf_drop_first(&backlog->shelf);
    return true;
}

/* Sees to it that what is ready is what is next. */
static void refill_from_shelf(struct backlog *backlog)
{
    struct spool_order order;
    const struct file *first = RB_MIN(files_by_order, &backlog->ready);
    if (shelf_first(&backlog->shelf, &order) == NULL)
        return;
    if (backlog->ready_count > NEXT_FEW && spool_compare(&first->order, &order) < 0)
        return;
    size_t enough = backlog->ready_count + NEXT_MOST / 2;
    for (int n = 0; n < NAMES_PER_TURN && backlog->shelf.count > 0; n++)
        if (backlog->ready_count >= enough || !take_from_shelf(backlog))
            return;
}

/* --- After a delivery ------------------------------------------------------------------------- */

static void on_synced(void *argument, int result)
{
    struct backlogs *all = argument;
    if (result < 0)
        log_write(LOG_ERR, NULL, "cannot sync %s: %s", all->folder_path, strerror(-result));
    all->syncing = false;
    if (all->sync_wanted && all->folder >= 0) {
        all->sync_wanted = false;
        all->syncing = true;
        sync_start(all->sync, all->folder, on_synced, all);
    }
}

/* One sync is under way at a time: it stands for all removals before it. */
static void sync_folder(struct backlogs *all)
{
    all->sync_wanted = true;
    if (!all->syncing)
        on_synced(all, 0);
}

/* It lies in the folder no longer. */
static void gone(struct file *file)
{
    struct backlogs *all = file->all;
    struct backlog *backlog = file->backlog;
    if (backlog->count > 0)
        backlog_count(backlog, backlog->count - 1);
    if (all->scanning && file->scan == all->scan && backlog->counted > 0)
        backlog->counted--;
    backlog_forget(file);
}

void backlog_lose(struct file *file)
{
    struct backlog *backlog = file->backlog;
    if (file->state == FILE_SENDING || file->delivered)
        return;
    if (backlog == NULL) {
        backlog_forget(file);
        return;
    }
    gone(file);
    backlog_pump(backlog);
}

/* For the S line that is to be written later; the perm log takes the beginning only. */
static void keep_command(struct file *file, const char *command, size_t length)
{
    if (command == file->command)
        return;
    size_t kept = length < PERMLOG_COMMAND_MAX ? length : PERMLOG_COMMAND_MAX;
    file->command = malloc(kept + 1);
    if (file->command == NULL)
        return;
    memcpy(file->command, command, kept);
    file->command_length = length;
}

/*
 * Delivered: the S line first, then the file goes. Killed between the two, the next keeper delivers
 * it once more, which is what at least once means. `command` is not looked at when the line is
 * written.
 */
static void complete(struct file *file, const char *command, size_t length)
{
    struct backlogs *all = file->all;
    file->delivered = true;
    if (!file->logged) {
        int r = permlog_append(all->permlog_path, PERMLOG_DELIVERED, file->host, command, length,
                               time(NULL));
        if (r < 0) {
            say_once(file, "is delivered, but its S line cannot be written", -r);
            keep_command(file, command, length);
            postpone(file);
            return;
        }
        file->logged = true;
    }
    int removed = spool_remove(all->folder, file->name, file->inode);
    if (removed < 0) {
        say_once(file, "is delivered, but cannot be removed", -removed);
        postpone(file);
        return;
    }
    all->removals += removed > 0;
    sync_folder(all);
    gone(file);
}

static void set_aside(struct file *file, const char *where, const char *why, const char *reply,
                      size_t length)
{
    int r = spool_set_aside(file->all->folder, file->name, where, reply, length);
    if (r == -ENOENT) {
        gone(file);
        return;
    }
    if (r < 0) {
        say_once(file, "cannot be set aside", -r);
        postpone(file);
        return;
    }
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = file->host},
              "deferred file %s %s; it is set aside in %s/", file->name, why, where);
    file->all->removals++;
    sync_folder(file->all);
    gone(file);
}

enum verdict { VERDICT_DELIVERED, VERDICT_REJECTED, VERDICT_LOST };

/* DESIGN.md rule 2: these words are no answer to a transaction. `reply` is without its LF. */
static enum verdict judge(const char *reply, size_t length)
{
    static const struct {
        const char *word;
        bool prefix;
        enum verdict verdict;
    } words[] = {
        {"con_lost", false, VERDICT_LOST},        {"refused", false, VERDICT_REJECTED},
        {"rejected", false, VERDICT_REJECTED},    {"error", true, VERDICT_REJECTED},
        {"unknown_cmd", false, VERDICT_REJECTED},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t n = strlen(words[i].word);
        if ((words[i].prefix ? length >= n : length == n) && memcmp(reply, words[i].word, n) == 0)
            return words[i].verdict;
    }
    return VERDICT_DELIVERED;
}

/* --- Delivering ------------------------------------------------------------------------------- */

/* It stays, and is next again after a pause, unless it has cost too many connections already. */
static void try_again(struct backlog *backlog, struct file *file, bool its_fault)
{
    struct backlogs *all = backlog->all;
    if (its_fault && ++file->attempts >= all->service->settings.deferred_attempts) {
        say_once(file, "has cost several connections in a row; those behind it go first", 0);
        postpone(file);
    } else {
        backlog_make_ready(file);
    }
    deadline_start(&all->pausing, &backlog->pause);
}

/* Clients have been served since the last file: they are given the machine for a moment. */
static void give_way(struct backlog *backlog)
{
    uint64_t requests = backlog->all->service->requests;
    if (requests != backlog->requests && backlog->pause.queue == NULL)
        deadline_start(&backlog->all->pacing, &backlog->pause);
    backlog->requests = requests;
}

static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length)
{
    struct backlog *backlog = CONTAINER_OF(transaction, struct backlog, transaction);
    struct backlogs *all = backlog->all;
    struct file *file = backlog->sending;
    backlog->sending = NULL;
    all->sending--;
    bool answered = reason == REASON_NONE;
    const char *text = answered ? reply->data + reply->start : "";
    size_t text_length = answered ? length - 1 : 0;
    enum verdict verdict = answered ? judge(text, text_length) : VERDICT_LOST;

    if (verdict == VERDICT_DELIVERED)
        complete(file, backlog->content.data + backlog->content.start, transaction->length - 1);
    else if (verdict == VERDICT_REJECTED)
        set_aside(file, SPOOL_REJECTED_FOLDER, "was rejected", text, length);
    else
        try_again(backlog, file,
                  answered || reason == REASON_LOST || reason == REASON_REPLY_TIMEOUT ||
                      reason == REASON_REQUEST_TIMEOUT || reason == REASON_TOO_LARGE ||
                      reason == REASON_BAD_REPLY);
    buffer_consume(&backlog->content, buffer_length(&backlog->content));
    give_way(backlog);
    backlog_pump(backlog);
    if (all->sending == 0 && all->quiet != NULL)
        all->quiet(all->quiet_argument);
}

/* The first file that may go now, or NULL. */
static struct file *first_ready(struct backlog *backlog)
{
    const struct backlogs *all = backlog->all;
    refill_from_shelf(backlog);
    struct file *first = RB_MIN(files_by_order, &backlog->ready);
    if (first == NULL || all->holding || backlog->pause.queue != NULL)
        return NULL;
    if (all->scanning && first->found == all->scan)
        return NULL;
    return is_blocked(&backlog->unknown, &first->order) ? NULL : first;
}

/* Reads a file. True when it is ready to be sent; else it has been put where it belongs. */
static bool load(struct backlog *backlog, struct file *file)
{
    struct backlogs *all = backlog->all;
    const char *why = "";
    backlog_detach(file);
    if (file->delivered) {
        complete(file, file->command, file->command_length);
        return false;
    }
    enum spool_result result =
        spool_read(all->folder, file->name, all->service->settings.line_limit, &backlog->content,
                   &file->inode, &why);
    if (result == SPOOL_READ)
        return true;
    buffer_consume(&backlog->content, buffer_length(&backlog->content));
    if (result == SPOOL_GONE) {
        gone(file);
    } else if (result == SPOOL_NOT_NOW) {
        try_again(backlog, file, false);
    } else if (result == SPOOL_CORRUPT) {
        set_aside(file, SPOOL_CORRUPT_FOLDER, why, NULL, 0);
    } else if (file->was_empty) {
        set_aside(file, SPOOL_CORRUPT_FOLDER, "stayed empty", NULL, 0);
    } else {
        file->state = FILE_EMPTY;
        deadline_start(&all->emptying, &file->deadline);
    }
    return false;
}

/* Files on disk have to become known before more of them can go. */
static bool runs_low(struct backlog *backlog)
{
    const struct file *first = RB_MIN(files_by_order, &backlog->ready);
    return backlog->unknown.any && backlog->shelf.count == 0 &&
           (first == NULL || is_blocked(&backlog->unknown, &first->order));
}

static struct transaction *next_transaction(struct background *background)
{
    struct backlog *backlog = CONTAINER_OF(background, struct backlog, background);
    struct file *file;
    if (backlog->sending != NULL)
        return NULL;
    for (int i = 0; i < BAD_FILES_PER_TURN && (file = first_ready(backlog)) != NULL; i++) {
        if (!load(backlog, file))
            continue;
        file->state = FILE_SENDING;
        backlog->sending = file;
        backlog->all->sending++;
        backlog->transaction.request = backlog->content.data + backlog->content.start;
        backlog->transaction.length = buffer_length(&backlog->content);
        return &backlog->transaction;
    }
    /* To go on with more such files, to have others found, or to see that there is nothing left. */
    if (first_ready(backlog) != NULL || backlog->known == 0 || runs_low(backlog))
        deadline_start(&backlog->all->pausing, &backlog->pause);
    return NULL;
}

/* Offers what there is to the host, sees to it that more is known, or ends. */
void backlog_pump(struct backlog *backlog)
{
    struct backlogs *all = backlog->all;
    if (runs_low(backlog))
        all->refill(all);
    if (backlog->sending != NULL)
        return;
    if (is_over(backlog))
        backlog_free(backlog);
    else if (first_ready(backlog) != NULL)
        host_offer(backlog->host, &backlog->background);
    else if (backlog->ready_count == 0 && backlog->shelf.count > 0 && backlog->pause.queue == NULL)
        deadline_start(&all->pausing, &backlog->pause); /* no memory, or nothing but such names */
}

static void on_pause_over(struct deadline *deadline)
{
    backlog_pump(CONTAINER_OF(deadline, struct backlog, pause));
}

/* An empty or postponed file has waited long enough. */
static void on_file_waited(struct deadline *deadline)
{
    struct file *file = CONTAINER_OF(deadline, struct file, deadline);
    if (file->state == FILE_EMPTY)
        file->was_empty = true;
    backlog_make_ready(file);
    backlog_pump(file->backlog);
}

void backlog_flush(struct backlog *backlog)
{
    struct deadline *deadline, *next;
    TAILQ_FOREACH_SAFE (deadline, &backlog->all->postponing.running, link, next) {
        struct file *file = CONTAINER_OF(deadline, struct file, deadline);
        if (file->backlog != backlog)
            continue;
        backlog_detach(file);
        backlog_make_ready(file);
    }
    deadline_stop(&backlog->pause);
    backlog_pump(backlog);
}

void backlogs_setup(struct backlogs *all, struct service *service,
                    void (*refill)(struct backlogs *all))
{
    const struct settings *settings = &service->settings;
    struct loop *loop = &service->loop;
    *all = (struct backlogs){.service = service, .folder = -1, .refill = refill};
    RB_INIT(&all->files);
    RB_INIT(&all->by_host);
    TAILQ_INIT(&all->settled);
    deadline_queue_add(loop, &all->emptying, &settings->deferred_empty_timeout, on_file_waited);
    deadline_queue_add(loop, &all->postponing, &settings->deferred_retry, on_file_waited);
    deadline_queue_add(loop, &all->pausing, &settings->retry_delay, on_pause_over);
    deadline_queue_add(loop, &all->pacing, &settings->deferred_pace, on_pause_over);
}
