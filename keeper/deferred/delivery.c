/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Delivering what waits for a host, a file at a time: which one is next, whether it may go, what
 * its lond's answer means, and what is left to do then. Nothing is sent that could not be recorded
 * and removed afterwards (keeper/README.md rule 2).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/deferred/backlog.h"
#include "keeper/deferred/marks.h"
#include "keeper/deferred/permlog.h"

/* Files looked at in one turn that turn out not to go now: some 20 microseconds each. */
#define LOOKS_PER_TURN 64

/* --- Going ------------------------------------------------------------------------------------ */

static void on_synced(void *argument, int result)
{
    struct backlogs *all = argument;
    if (result < 0)
        log_write(LOG_ERR, NULL, "cannot sync %s: %s", all->folder_path, strerror(-result));
    all->syncing = false;
    if (all->sync_wanted && all->folder >= 0) {
        all->sync_wanted = false;
        all->syncing = true;
        async_fsync_start(all->fsyncs, all->folder, on_synced, all);
    }
}

/* One sync is under way at a time: it stands for all removals before it. */
static void sync_folder(struct backlogs *all)
{
    all->sync_wanted = true;
    if (!all->syncing)
        on_synced(all, 0);
}

/* The keeper has taken the file out of the folder. */
static void removed(struct file *file)
{
    struct backlogs *all = file->backlog->all;
    all->removals++;
    sync_folder(all);
    file_forget(file);
}

static bool lies_in_folder(const struct file *file)
{
    return faccessat(file->backlog->all->folder, file->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
           errno != ENOENT;
}

/* What was to be taken away is not there; another file of its name is as new as any. */
static void replaced(struct file *file)
{
    if (!lies_in_folder(file)) {
        file_forget(file);
        return;
    }
    file_well(file);
    file->born = file->backlog->all->core->loop.now;
    file->attempts = 0;
    file->waits_since = file->seen_at = 0;
    file->said = file->logged = false;
    file_enter(file, FILE_NEW);
}

static void postpone(struct file *file, const char *what, int error)
{
    if (error != 0)
        file_trouble(file, what, error);
    file_say(file, what, error);
    file_enter(file, FILE_POSTPONED);
}

static void set_aside(struct file *file, const char *where, const char *why,
                      const struct delayed_sent *sent, const char *reply, size_t length)
{
    struct backlogs *all = file->backlog->all;
    int r = delayed_set_aside(all->folder, file->name, where, sent, reply, length);
    if (r == DELAYED_NOT_THERE) {
        replaced(file);
        return;
    }
    if (r < 0) {
        postpone(file, "cannot be set aside", -r);
        return;
    }
    log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = file->host},
              "deferred file %s %s; it is set aside in %s/", file->name, why, where);
    removed(file);
}

static void set_aside_corrupt(struct file *file, const char *why, const struct delayed_found *found)
{
    const struct delayed_sent sent = {.is = found->is};
    /* A link that was found by opening it has not been looked at. */
    set_aside(file, DELAYED_CORRUPT_FOLDER, why, found->is.inode != 0 ? &sent : NULL, NULL, 0);
}

/* --- Marks ------------------------------------------------------------------------------------ */

static void mark_places(const struct backlogs *all, const char *places[3])
{
    places[0] = all->core->settings.state_dir;
    places[1] = all->core->settings.runtime_dir;
    places[2] = NULL;
}

/* The inode of the folder; 0 where it cannot be asked. */
static ino_t folder_inode(const struct backlogs *all)
{
    struct stat status;
    return fstat(all->folder, &status) == 0 ? status.st_ino : 0;
}

static size_t collect_marks(struct backlogs *all, struct mark *marks)
{
    struct file *file;
    ino_t folder = folder_inode(all);
    size_t count = 0;
    RB_FOREACH (file, files_by_name, &all->files) {
        if (file->state != FILE_DELIVERED || count == MARKS_MOST)
            continue;
        struct mark *mark = &marks[count++];
        *mark = (struct mark){.folder = folder, .inode = file->sent.inode, .logged = file->logged};
        memcpy(mark->digest, file->digest, sizeof(mark->digest));
        strcpy(mark->name, file->name);
    }
    return count;
}

/*
 * Writes which files are delivered and no more; what an earlier keeper has marked in another folder
 * of this path, which may come back, is kept.
 */
static void save_marks(struct backlogs *all)
{
    const char *places[3];
    struct mark *marks = calloc((size_t)2 * MARKS_MOST, sizeof(*marks));
    int r = -ENOMEM;
    mark_places(all, places);
    if (marks != NULL) {
        size_t count = collect_marks(all, marks), end = count;
        size_t before = marks_read(places, all->folder_path, marks + count, MARKS_MOST);
        for (size_t i = count; i < count + before && end < MARKS_MOST; i++)
            if (marks[i].folder != folder_inode(all))
                marks[end++] = marks[i];
        r = marks_write(places, all->folder_path, marks, end);
    }
    free(marks);
    all->unmarked = r < 0;
    if (r < 0)
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED},
                  "cannot write to %s which transactions are executed: %s", places[0],
                  strerror(-r));
}

/* --- After a delivery ------------------------------------------------------------------------- */

/* For an S line that is to be written later. */
static void keep_command(struct file *file, const char *content, size_t length)
{
    permlog_drop(file->command, file->command_length);
    file->command = permlog_keep(content, length - 1);
    file->command_length = length - 1;
}

/* It is executed, and yet something is left to do: this keeper or the next one tries again. */
static void keep_delivered(struct file *file, const char *content, const char *what, int error)
{
    struct backlogs *all = file->backlog->all;
    bool logged = file->logged;
    if (content != NULL) {
        delayed_digest(content, file->sent_length, file->digest);
        keep_command(file, content, file->sent_length);
    }
    file_trouble(file, what, error);
    file_say(file, what, error);
    file_enter(file, FILE_DELIVERED);
    if (content != NULL || logged)
        save_marks(all);
}

static int write_delivered_line(const struct file *file, const char *command)
{
    return permlog_append(file->backlog->all->permlog_path, PERMLOG_DELIVERED, file->host,
                          command != NULL ? command : "",
                          command != NULL ? file->sent_length - 1 : 0, time(NULL));
}

/*
 * Delivered: the S line first, then the file goes. Killed between the two, the next keeper delivers
 * it once more, which is what at least once means. `content` is NULL when this is tried again.
 */
static void complete(struct file *file, const char *content)
{
    struct backlogs *all = file->backlog->all;
    bool marked = content == NULL;
    const struct delayed_sent sent = {
        .is = file->sent, .content = content, .digest = file->digest, .length = file->sent_length};
    if (!file->logged) {
        int r = write_delivered_line(file, content != NULL ? content : file->command);
        if (r < 0) {
            keep_delivered(file, content, "is delivered, but its S line cannot be written", -r);
            return;
        }
        file->logged = true;
    }
    int r = delayed_remove(all->folder, file->name, &sent);
    if (r < 0) {
        keep_delivered(file, content, "is delivered, but cannot be removed", -r);
        return;
    }
    if (r == DELAYED_TAKEN)
        removed(file);
    else if (r == DELAYED_NOT_THERE)
        replaced(file);
    else
        file_forget(file);
    if (marked)
        save_marks(all);
}

enum verdict { VERDICT_DELIVERED, VERDICT_REJECTED, VERDICT_LOST };

/*
 * keeper/README.md rule 2: these words are no answer to a transaction. `reply` is without its LF.
 */
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

/* --- Whether a file may go -------------------------------------------------------------------- */

static void keep_closed(struct backlogs *all, enum trouble kind, const char *path, int error)
{
    trouble_begin(all->core, kind, "%s: %s", path, strerror(error));
    all->closed = true;
    deadline_start(&all->gating, &all->gate);
    if (all->shut != NULL)
        all->shut(all, path, error);
}

/* Whether what is delivered could be recorded, removed, and marked should that fail after all. */
static bool check_gate(struct backlogs *all)
{
    int r = permlog_probe(all->permlog_path);
    if (r < 0) {
        keep_closed(all, TROUBLE_PERM_LOG, all->permlog_path, -r);
        return false;
    }
    trouble_end(all->core, TROUBLE_PERM_LOG);
    r = delayed_is_writable(all->folder);
    if (r < 0) {
        keep_closed(all, TROUBLE_FOLDER, all->folder_path, -r);
        return false;
    }
    trouble_end(all->core, TROUBLE_FOLDER);
    if (all->delivered >= MARKS_MOST || all->unmarked) {
        all->closed = true;
        deadline_start(&all->gating, &all->gate);
        return false;
    }
    all->closed = false;
    all->was_open = true;
    return true;
}

void delivery_check(struct backlogs *all)
{
    deadline_stop(&all->gate);
    if (all->folder < 0 || all->permlog_path == NULL)
        return;
    if (all->unmarked)
        save_marks(all);
    if (check_gate(all))
        backlogs_pump(all);
}

/*
 * Whether nobody has written to the file for so long: by its time of modification, which
 * permissions, links and renames leave alone, or, since the wall clock may be set, by what was seen
 * of it that long ago.
 */
static bool is_still(const struct file *file, const struct delayed_found *found, uint64_t span)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = (now.tv_sec - found->is.modified.tv_sec) * 1000000 +
                  (now.tv_nsec - found->is.modified.tv_nsec) / 1000;
    if (age >= 0 && (uint64_t)age >= span)
        return true;
    return file->seen_at != 0 && delayed_is_same(&file->seen, &found->is) &&
           file->backlog->all->core->loop.now - file->seen_at >= span;
}

/* It cannot go yet, for this reason. Returns for how long that has been so, in microseconds. */
static uint64_t keep_waiting(struct file *file, const struct delayed_found *found,
                             enum delayed_result reason)
{
    uint64_t now = file->backlog->all->core->loop.now;
    if (file->seen_at == 0 || !delayed_is_same(&file->seen, &found->is)) {
        file->seen = found->is;
        file->seen_at = now;
    }
    if (file->waits_since == 0 || file->waits_for != reason)
        file->waits_since = now;
    file->waits_for = reason;
    return now - file->waits_since;
}

/* Those behind it wait too, but not for one that changes again and again for so long. */
static void leave_alone(struct file *file, uint64_t since, uint64_t span)
{
    const struct core *core = file->backlog->all->core;
    bool lasts = core->loop.now - since > core->settings.deferred_still + span;
    file_enter(file, lasts ? FILE_WAITING : FILE_NEW);
}

static void let_settle(struct file *file, const struct delayed_found *found, uint64_t span)
{
    uint64_t waited = keep_waiting(file, found, DELAYED_READ);
    leave_alone(file, file->backlog->all->core->loop.now - waited, span);
}

static void wait_for_content(struct file *file, const struct delayed_found *found)
{
    uint64_t waited = keep_waiting(file, found, DELAYED_EMPTY);
    if (waited >= file->backlog->all->core->settings.deferred_empty_timeout)
        set_aside_corrupt(file, "stayed empty", found);
    else
        file_enter(file, FILE_WAITING);
}

static void wait_for_writer(struct file *file, const struct delayed_found *found)
{
    const struct settings *settings = &file->backlog->all->core->settings;
    uint64_t waited = keep_waiting(file, found, DELAYED_OPEN);
    if (waited >= settings->deferred_write_timeout) {
        set_aside_corrupt(file, "is still open for writing", found);
        return;
    }
    if (waited >= settings->deferred_retry) {
        file_trouble(file, "is open for writing, and left alone", ETXTBSY);
        file_say(file, "is open for writing, and left alone", 0);
    }
    file_enter(file, FILE_WAITING);
}

/* Reads a file. READ: it is ready to be sent; else it has been put where it belongs. */
static enum delayed_result load(struct backlog *backlog, struct file *file)
{
    struct backlogs *all = backlog->all;
    const struct settings *settings = &all->core->settings;
    struct delayed_found found;
    enum delayed_result result = delayed_look(all->folder, file->name, &found);
    if (result == DELAYED_READ && !is_still(file, &found, settings->deferred_hold)) {
        let_settle(file, &found, settings->deferred_hold);
        return DELAYED_OPEN;
    }
    if (result == DELAYED_READ)
        result =
            delayed_read(all->folder, file->name, settings->line_limit, &backlog->content, &found);
    if (found.writer_unknown && !is_still(file, &found, settings->deferred_still)) {
        let_settle(file, &found, settings->deferred_still);
        return DELAYED_OPEN;
    }
    switch (result) {
    case DELAYED_READ:
        file_well(file);
        file->sent = found.is;
        file->sent_length = buffer_length(&backlog->content);
        break;
    case DELAYED_EMPTY:
        wait_for_content(file, &found);
        break;
    case DELAYED_OPEN:
        wait_for_writer(file, &found);
        break;
    case DELAYED_GONE:
        file_forget(file);
        break;
    case DELAYED_NOT_NOW:
        postpone(file, "cannot be read", -found.error);
        break;
    case DELAYED_CORRUPT:
        set_aside_corrupt(file, found.why, &found);
        break;
    }
    return result;
}

/* --- Which one is next ------------------------------------------------------------------------ */

/* One that the folder would not let go of is not sent, and holds up no other. */
static bool may_take(struct file *file)
{
    int r = delayed_may_take(file->backlog->all->folder, file->name);
    if (r == 0 || r == -ENOENT)
        return true;
    postpone(file, "could not be removed once it is delivered", -r);
    return false;
}

/* A file of this order waits for others that are before it. */
static bool is_blocked(struct backlog *backlog, const struct delayed_order *order)
{
    const struct file *fresh = RB_MIN(files_by_order, &backlog->fresh);
    if (fresh != NULL && delayed_compare(&fresh->order, order) < 0)
        return true;
    return backlog->cut && delayed_compare(order, &backlog->horizon) > 0;
}

/* What stands first: a READY file, or, where *name is not NULL, the first name. False: nothing. */
static bool find_first(struct backlog *backlog, struct file **file, const char **name)
{
    struct delayed_order order;
    *file = RB_MIN(files_by_order, &backlog->ready);
    *name = name_set_first(&backlog->names, &order);
    if (*name != NULL && *file != NULL) {
        if (delayed_compare(&(*file)->order, &order) <= 0)
            *name = NULL;
        else
            *file = NULL;
    }
    if (*file == NULL && *name == NULL)
        return false;
    return !is_blocked(backlog, *file != NULL ? &(*file)->order : &order);
}

static bool may_go(const struct backlog *backlog)
{
    const struct backlogs *all = backlog->all;
    return all->folder >= 0 && !all->scanning && !all->closed && !all->switching &&
           backlog->sending == NULL && backlog->pause.queue == NULL;
}

static bool has_next(struct backlog *backlog)
{
    struct file *file;
    const char *name;
    return may_go(backlog) && find_first(backlog, &file, &name);
}

/* The first name becomes a file; NULL: it is one already, or there is no memory. */
static struct file *take_name(struct backlog *backlog, const char *name)
{
    struct backlogs *all = backlog->all;
    const char *id = backlog_host_in(all, name);
    struct file *file = NULL;
    all->taken++;
    if (id != NULL && backlog_find_file(all, name) == NULL)
        file = file_new(backlog, name, id);
    name_set_drop_first(&backlog->names);
    backlog_recount(backlog);
    return file;
}

/* The next file, LOOSE, or NULL. */
static struct file *take_first(struct backlog *backlog)
{
    struct file *file;
    const char *name;
    if (!may_go(backlog) || !find_first(backlog, &file, &name) || !check_gate(backlog->all))
        return NULL;
    if (file == NULL)
        return take_name(backlog, name);
    file_enter(file, FILE_LOOSE);
    return file;
}

/* Files on disk have to become known before more of them can go. */
static bool runs_low(struct backlog *backlog)
{
    struct file *file;
    const char *name;
    if (!backlog->cut || backlog->names.count > 0)
        return false;
    return !find_first(backlog, &file, &name);
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* Clients have been served since the last file: they are given the machine for a moment. */
static void give_way(struct backlog *backlog)
{
    uint64_t requests = backlog->all->core->requests;
    if (requests != backlog->requests && backlog->pause.queue == NULL)
        deadline_start(&backlog->all->pacing, &backlog->pause);
    backlog->requests = requests;
}

/*
 * It is next again after a pause, unless it has cost too many connections: then those behind it go
 * first, its order is lost, and one more failure postpones it again.
 */
static void try_again(struct file *file, bool its_fault)
{
    struct backlog *backlog = file->backlog;
    struct backlogs *all = backlog->all;
    unsigned most = (unsigned)all->core->settings.deferred_attempts;
    if (its_fault && ++file->attempts >= most) {
        file_enter(file, FILE_LOOSE);
        file->order.epoch = UINT64_MAX;
        file->attempts = most - 1;
        postpone(file, "has cost several connections in a row; those behind it go first", 0);
    } else {
        file_enter(file, FILE_READY);
    }
    deadline_start(&all->pausing, &backlog->pause);
}

static bool costs_connection(enum reason reason)
{
    return reason == REASON_NONE || reason == REASON_LOST || reason == REASON_REPLY_TIMEOUT ||
           reason == REASON_REQUEST_TIMEOUT || reason == REASON_TOO_LARGE ||
           reason == REASON_BAD_REPLY;
}

static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length)
{
    struct backlog *backlog = CONTAINER_OF(transaction, struct backlog, transaction);
    struct backlogs *all = backlog->all;
    struct file *file = backlog->sending;
    const char *content = backlog->content.data + backlog->content.start;
    const struct delayed_sent sent = {
        .is = file->sent, .content = content, .length = file->sent_length};
    const char *text = reason == REASON_NONE ? reply->data + reply->start : "";
    enum verdict verdict = reason == REASON_NONE ? judge(text, length - 1) : VERDICT_LOST;

    if (verdict == VERDICT_DELIVERED)
        complete(file, content);
    else if (verdict == VERDICT_REJECTED)
        set_aside(file, DELAYED_REJECTED_FOLDER, "was rejected", &sent, text, length);
    else
        try_again(file, costs_connection(reason));
    buffer_consume(&backlog->content, buffer_length(&backlog->content));
    give_way(backlog);
    backlog_pump(backlog);
    if (all->sending == 0 && all->idle != NULL)
        all->idle(all);
}

static struct transaction *next_transaction(struct background *background)
{
    struct backlog *backlog = CONTAINER_OF(background, struct backlog, background);
    for (int i = 0; i < LOOKS_PER_TURN && has_next(backlog); i++) {
        struct file *file = take_first(backlog);
        if (file == NULL || !may_take(file))
            continue;
        if (load(backlog, file) != DELAYED_READ) {
            buffer_consume(&backlog->content, buffer_length(&backlog->content));
            continue;
        }
        file_enter(file, FILE_SENDING);
        backlog->transaction.request = backlog->content.data + backlog->content.start;
        backlog->transaction.length = file->sent_length;
        return &backlog->transaction;
    }
    /* To go on with more such files, to have others found, or to see that there is nothing left. */
    if (backlog->sending == NULL && backlog->pause.queue == NULL &&
        (has_next(backlog) || runs_low(backlog) || backlog_is_over(backlog)))
        deadline_start(&backlog->all->pacing, &backlog->pause);
    return NULL;
}

void delivery_attach(struct backlog *backlog)
{
    backlog->background.next = next_transaction;
    backlog->transaction.done = on_done;
    backlog->transaction.background = true;
}

void backlog_pump(struct backlog *backlog)
{
    if (backlog->sending != NULL)
        return;
    if (runs_low(backlog) && !backlog->all->scanning)
        backlog->all->refill(backlog->all);
    if (backlog_is_over(backlog))
        backlog_free(backlog);
    else if (has_next(backlog))
        host_offer(backlog->host, &backlog->background);
}

void backlogs_pump(struct backlogs *all)
{
    struct backlog *backlog, *next;
    /* Any of these may begin a scan. */
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &all->by_host, next)
        backlog_pump(backlog);
}

/* --- Waiting ---------------------------------------------------------------------------------- */

void file_touched(struct file *file)
{
    if (file->state != FILE_SENDING && file->state != FILE_DELIVERED)
        leave_alone(file, file->born, file->backlog->all->core->settings.deferred_hold);
}

void file_vanished(struct file *file)
{
    struct backlog *backlog = file->backlog;
    if (file->state == FILE_SENDING || file->state == FILE_DELIVERED)
        return;
    file_forget(file);
    backlog_pump(backlog);
}

/* Its first seconds are over: it is a name like others, unless there is more to know about it. */
static void on_settled(struct deadline *deadline)
{
    struct file *file = CONTAINER_OF(deadline, struct file, deadline);
    struct backlog *backlog = file->backlog;
    bool plain = file->waits_since == 0 && file->attempts == 0 && file->error == 0 && !file->said;
    if (file->state == FILE_NEW && backlog->all->scanning)
        file_enter(file, FILE_SETTLED);
    else if (file->state == FILE_NEW && plain)
        backlog_put_back(file);
    else
        file_enter(file, FILE_READY);
    backlog_pump(backlog);
}

static void on_retry(struct deadline *deadline)
{
    struct file *file = CONTAINER_OF(deadline, struct file, deadline);
    struct backlog *backlog = file->backlog;
    if (file->state == FILE_DELIVERED)
        complete(file, NULL);
    else
        file_enter(file, FILE_READY);
    backlog_pump(backlog);
}

static void on_pause_over(struct deadline *deadline)
{
    backlog_pump(CONTAINER_OF(deadline, struct backlog, pause));
}

static void on_gate(struct deadline *deadline)
{
    delivery_check(CONTAINER_OF(deadline, struct backlogs, gate));
}

void backlog_flush(struct backlog *backlog)
{
    struct file *file, *next;
    LIST_FOREACH_SAFE (file, &backlog->files, of_backlog, next)
        if (file->state == FILE_POSTPONED)
            file_enter(file, FILE_READY);
    deadline_stop(&backlog->pause);
    backlog_pump(backlog);
}

/* --- What an earlier keeper has left ---------------------------------------------------------- */

/* Whether the file that is there is the one that was marked; then its content is in `content`. */
static bool is_marked(struct backlogs *all, const struct mark *mark, struct buffer *content,
                      struct delayed_found *found)
{
    unsigned char digest[DELAYED_DIGEST_SIZE];
    if (delayed_read(all->folder, mark->name, all->core->settings.line_limit, content, found) !=
            DELAYED_READ ||
        found->is.inode != mark->inode)
        return false;
    delayed_digest(content->data + content->start, buffer_length(content), digest);
    return memcmp(digest, mark->digest, sizeof(digest)) == 0;
}

static void resume(struct backlogs *all, const struct mark *mark)
{
    struct buffer content = {0};
    struct delayed_found found;
    const char *id = backlog_host_in(all, mark->name);
    struct backlog *backlog = id != NULL ? backlog_need(all, id) : NULL;
    struct file *file = NULL;
    if (backlog != NULL && backlog_find_file(all, mark->name) == NULL &&
        is_marked(all, mark, &content, &found))
        file = file_new(backlog, mark->name, mark->name + (id - mark->name));
    if (file != NULL) {
        file->sent = found.is;
        file->sent_length = buffer_length(&content);
        file->logged = mark->logged;
        memcpy(file->digest, mark->digest, sizeof(file->digest));
        keep_command(file, content.data + content.start, file->sent_length);
        file_enter(file, FILE_DELIVERED);
    }
    buffer_free(&content);
}

void delivery_resume(struct backlogs *all)
{
    const char *places[3];
    struct mark *marks = calloc(MARKS_MOST, sizeof(*marks));
    if (marks == NULL)
        return;
    mark_places(all, places);
    size_t count = marks_read(places, all->folder_path, marks, MARKS_MOST);
    for (size_t i = 0; i < count; i++)
        if (marks[i].folder == folder_inode(all))
            resume(all, &marks[i]);
    free(marks);
    struct file *file, *next;
    RB_FOREACH_SAFE (file, files_by_name, &all->files, next)
        if (file->state == FILE_DELIVERED)
            complete(file, NULL);
    if (count > 0)
        save_marks(all);
}

void delivery_setup(struct backlogs *all)
{
    const struct settings *settings = &all->core->settings;
    struct loop *loop = &all->core->loop;
    deadline_queue_add(loop, &all->settling, &settings->deferred_hold, on_settled);
    deadline_queue_add(loop, &all->postponing, &settings->deferred_retry, on_retry);
    deadline_queue_add(loop, &all->pausing, &settings->retry_delay, on_pause_over);
    deadline_queue_add(loop, &all->pacing, &settings->deferred_pace, on_pause_over);
    deadline_queue_add(loop, &all->gating, &settings->deferred_retry, on_gate);
}
