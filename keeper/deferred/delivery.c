/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of deliveries, their transactions, and the timers that set files going again.
 */
#include <errno.h>
#include <string.h>

#include "keeper/deferred/delivery.h"
#include "keeper/deferred/disposal.h"
#include "keeper/deferred/inspection.h"

/*
 * So many files that turn out not to be ready are looked at in one turn of the loop; each takes
 * some 20 microseconds.
 */
#define LOOKS_PER_TURN 64

static struct delivery *delivery_of(const struct backlog *backlog)
{
    return CONTAINER_OF(backlog->all, struct delivery, backlogs);
}

static bool is_pausing(const struct backlog *backlog)
{
    return backlog->sender.pause.queue != NULL;
}

/* --- Whether anything may be sent ------------------------------------------------------------- */

static bool check_completion(struct delivery *delivery)
{
    const char *obstacle;
    int r = completion_check(&delivery->completion, &obstacle);
    if (r == 0) {
        delivery->was_possible = true;
        return true;
    }
    deadline_start(&delivery->rechecking, &delivery->recheck);
    if (obstacle != NULL && delivery->events->blocked != NULL)
        delivery->events->blocked(delivery, obstacle, -r);
    return false;
}

void delivery_check(struct delivery *delivery)
{
    deadline_stop(&delivery->recheck);
    if (delivery->backlogs.folder->fd < 0)
        return;
    completion_retry_marks(&delivery->completion);
    if (check_completion(delivery))
        delivery_advance_all(delivery);
}

static void on_recheck(struct deadline *deadline)
{
    delivery_check(CONTAINER_OF(deadline, struct delivery, recheck));
}

static bool may_send(const struct backlog *backlog)
{
    const struct delivery *delivery = delivery_of(backlog);
    return backlog->all->folder->fd >= 0 && !backlog->all->scanning && !delivery->suspended &&
           delivery->recheck.queue == NULL && backlog->sending == NULL && !is_pausing(backlog);
}

/* --- Which file is next ----------------------------------------------------------------------- */

/* Whether a file of this order has to wait for others that come before it. */
static bool is_blocked(struct backlog *backlog, const struct delayed_order *order)
{
    const struct file *fresh = RB_MIN(files_by_order, &backlog->fresh);
    if (fresh != NULL && delayed_compare(&fresh->order, order) < 0)
        return true;
    return backlog->unnamed > 0 && delayed_compare(order, &backlog->horizon) > 0;
}

/* Whether a file may be next. *file is that file; NULL: it is the first of the names. */
static bool find_first(struct backlog *backlog, struct file **file)
{
    struct delayed_order order;
    bool named = name_set_first(&backlog->names, &order) != NULL;
    *file = RB_MIN(files_by_order, &backlog->ready);
    if (*file == NULL && !named)
        return false;
    if (*file != NULL && named && delayed_compare(&(*file)->order, &order) > 0)
        *file = NULL;
    return !is_blocked(backlog, *file != NULL ? &(*file)->order : &order);
}

static bool has_next(struct backlog *backlog)
{
    struct file *file;
    return may_send(backlog) && find_first(backlog, &file);
}

/* The next file, READY; or NULL. */
static struct file *take_first(struct backlog *backlog)
{
    struct file *file;
    if (!may_send(backlog) || !find_first(backlog, &file) ||
        !check_completion(delivery_of(backlog)))
        return NULL;
    return file != NULL ? file : backlog_take_first(backlog);
}

/* Whether more files have to become known by name before any can be sent. */
static bool wants_names(struct backlog *backlog)
{
    struct file *file;
    return backlog->unnamed > 0 && backlog->names.count == 0 && !find_first(backlog, &file);
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* If clients have been served since the last file, the next one waits for deferred_pace. */
static void give_way(struct backlog *backlog)
{
    struct sender *sender = &backlog->sender;
    uint64_t requests = backlog->all->core->requests;
    if (requests != sender->requests && !is_pausing(backlog))
        deadline_start(&delivery_of(backlog)->pacing, &sender->pause);
    sender->requests = requests;
}

/*
 * The file is next again after a pause. But once it has cost too many connections, those behind it
 * go first: it loses its order, and from then on a single failure postpones it again.
 */
static void retry_file(struct file *file, bool its_fault)
{
    struct backlog *backlog = file->backlog;
    unsigned most = (unsigned)backlog->all->core->settings.deferred_attempts;
    if (its_fault && ++file->attempts >= most) {
        file_lose_order(file);
        file->attempts = most - 1;
        file_postpone(file, "has cost several connections in a row; the files behind it go first",
                      0);
    } else {
        file_enter(file, FILE_READY);
    }
    deadline_start(&delivery_of(backlog)->pausing, &backlog->sender.pause);
}

static bool costs_connection(enum reason reason)
{
    return reason == REASON_NONE || reason == REASON_LOST || reason == REASON_REPLY_TIMEOUT ||
           reason == REASON_REQUEST_TIMEOUT || reason == REASON_TOO_LARGE ||
           reason == REASON_BAD_REPLY;
}

enum verdict { VERDICT_DELIVERED, VERDICT_REJECTED, VERDICT_LOST };

/*
 * keeper/README.md rule 2 lists the replies that mean that lond did not execute it. `length` is
 * without LF.
 */
static enum verdict judge_reply(const char *reply, size_t length)
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

static void set_aside_rejected(struct file *file, const char *content, const char *reply,
                               size_t length)
{
    const struct delayed_sent sent = {
        .is = file->sent.is, .content = content, .length = file->sent.length};
    disposal_set_aside(file, &(struct aside){
                                 .where = DELAYED_REJECTED_FOLDER,
                                 .why = "was rejected",
                                 .sent = &sent,
                                 .reply = reply,
                                 .reply_length = length,
                             });
}

static void drop_content(struct sender *sender)
{
    buffer_consume(&sender->content, buffer_length(&sender->content));
}

static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length)
{
    struct backlog *backlog = CONTAINER_OF(transaction, struct backlog, sender.transaction);
    struct delivery *delivery = delivery_of(backlog);
    struct file *file = backlog->sending;
    const char *content = transaction->request;
    const char *text = reason == REASON_NONE ? reply->data + reply->start : "";
    enum verdict verdict = reason == REASON_NONE ? judge_reply(text, length - 1) : VERDICT_LOST;

    if (verdict == VERDICT_DELIVERED)
        completion_finish(&delivery->completion, file, content);
    else if (verdict == VERDICT_REJECTED)
        set_aside_rejected(file, content, text, length);
    else
        retry_file(file, costs_connection(reason));
    drop_content(&backlog->sender);
    give_way(backlog);
    delivery_advance(backlog);
    if (!delivery_is_busy(delivery) && delivery->events->idle != NULL)
        delivery->events->idle(delivery);
}

static struct transaction *send_file(struct file *file, const struct delayed_found *found)
{
    struct sender *sender = &file->backlog->sender;
    size_t length = buffer_length(&sender->content);
    completion_expect(file, found, length);
    file_enter(file, FILE_SENDING);
    sender->transaction.request = sender->content.data + sender->content.start;
    sender->transaction.length = length;
    sender->transaction.done = on_done;
    sender->transaction.background = true;
    return &sender->transaction;
}

/* The host has a connection for a file: see struct background. */
static struct transaction *next_transaction(struct background *background)
{
    struct backlog *backlog = CONTAINER_OF(background, struct backlog, sender.background);
    struct sender *sender = &backlog->sender;
    struct delayed_found found;
    for (int i = 0; i < LOOKS_PER_TURN && has_next(backlog); i++) {
        struct file *file = take_first(backlog);
        if (file == NULL)
            continue;
        if (inspection_may_send(file, &sender->content, &found))
            return send_file(file, &found);
        drop_content(sender);
    }
    /* After the pause: look at more such files, ask for names, or free what is over. */
    if (backlog->sending == NULL && !is_pausing(backlog) &&
        (has_next(backlog) || wants_names(backlog) || backlog_is_over(backlog)))
        deadline_start(&delivery_of(backlog)->pacing, &sender->pause);
    return NULL;
}

/* --- Setting backlogs going ------------------------------------------------------------------- */

/* The backlog has no files any more. */
static void end_backlog(struct backlog *backlog)
{
    deadline_stop(&backlog->sender.pause);
    host_withdraw_offer(backlog->host);
    buffer_free(&backlog->sender.content);
    backlog_free(backlog);
}

void delivery_advance(struct backlog *backlog)
{
    struct delivery *delivery = delivery_of(backlog);
    if (backlog->sending != NULL)
        return;
    if (wants_names(backlog) && !backlog->all->scanning && delivery->events->names_wanted != NULL)
        delivery->events->names_wanted(delivery);
    if (backlog_is_over(backlog)) {
        end_backlog(backlog);
    } else if (has_next(backlog)) {
        backlog->sender.background.next = next_transaction;
        host_offer(backlog->host, &backlog->sender.background);
    }
}

void delivery_advance_all(struct delivery *delivery)
{
    struct backlog *backlog, *next;
    /* The first that wants names may begin a scan, which clears the sets of all the others. */
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &delivery->backlogs.by_host, next)
        delivery_advance(backlog);
}

static void on_pause_over(struct deadline *deadline)
{
    delivery_advance(CONTAINER_OF(deadline, struct backlog, sender.pause));
}

/*
 * deferred_hold is over for this file. It becomes a name like any other, unless there is more to
 * know about it, or a scan is under way that might add the name once more.
 */
static void end_hold(struct file *file)
{
    bool plain =
        file->wait.since == 0 && file->attempts == 0 && file->error == 0 && !file->reported;
    if (plain && !file->backlog->all->scanning)
        file_put_back(file);
    else
        file_enter(file, FILE_READY);
}

static void on_due(struct file *file)
{
    struct backlog *backlog = file->backlog;
    if (file->state == FILE_NEW)
        end_hold(file);
    else if (file->state == FILE_DELIVERED)
        completion_finish(&delivery_of(backlog)->completion, file, NULL);
    else
        file_enter(file, FILE_READY);
    delivery_advance(backlog);
}

void delivery_flush(struct backlog *backlog)
{
    struct file *file, *next;
    LIST_FOREACH_SAFE (file, &backlog->files, of_backlog, next)
        if (file->state == FILE_POSTPONED)
            file_enter(file, FILE_READY);
    deadline_stop(&backlog->sender.pause);
    delivery_advance(backlog);
}

/* --- What others do to files ------------------------------------------------------------------ */

/* Such a file stays known until what follows a delivery is done. */
static bool is_sent(const struct file *file)
{
    return file->state == FILE_SENDING || file->state == FILE_DELIVERED;
}

void delivery_touched(struct file *file)
{
    if (!is_sent(file))
        inspection_touched(file);
}

void delivery_vanished(struct file *file)
{
    struct backlog *backlog = file->backlog;
    if (is_sent(file))
        return;
    file_forget(file);
    delivery_advance(backlog);
}

/* --- Coming and going ------------------------------------------------------------------------- */

bool delivery_is_busy(const struct delivery *delivery)
{
    return delivery->backlogs.count[FILE_SENDING] > 0;
}

void delivery_suspend(struct delivery *delivery, bool suspended)
{
    delivery->suspended = suspended;
}

void delivery_forget_all(struct delivery *delivery)
{
    struct file *file, *next_file;
    struct backlog *backlog, *next_backlog;
    deadline_stop(&delivery->recheck);
    RB_FOREACH_SAFE (file, files_by_name, &delivery->backlogs.files, next_file)
        file_forget(file);
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &delivery->backlogs.by_host, next_backlog)
        end_backlog(backlog);
}

void delivery_forget_unlisted(struct delivery *delivery)
{
    struct file *file, *next_file;
    RB_FOREACH_SAFE (file, files_by_name, &delivery->backlogs.files, next_file)
        if (!is_sent(file) && !file->backlog->host->listed)
            file_forget(file);
    struct backlog *backlog, *next;
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &delivery->backlogs.by_host, next) {
        if (backlog->host->listed)
            continue;
        backlog_clear(backlog);
        if (backlog->file_count == 0)
            end_backlog(backlog);
    }
}

void delivery_init(struct delivery *delivery, struct hosts *hosts, struct folder *folder,
                   const struct delivery_events *events)
{
    struct core *core = hosts->core;
    const struct settings *settings = &core->settings;
    *delivery = (struct delivery){.events = events};
    backlogs_init(&delivery->backlogs, hosts, folder, on_due);
    completion_init(&delivery->completion, &delivery->backlogs);
    deadline_queue_add(&core->loop, &delivery->rechecking, &settings->deferred_retry, on_recheck);
    deadline_queue_add(&core->loop, &delivery->pausing, &settings->retry_delay, on_pause_over);
    deadline_queue_add(&core->loop, &delivery->pacing, &settings->deferred_pace, on_pause_over);
}

void delivery_end(struct delivery *delivery)
{
    deadline_stop(&delivery->recheck);
    deadline_queue_remove(&delivery->rechecking);
    deadline_queue_remove(&delivery->pausing);
    deadline_queue_remove(&delivery->pacing);
    backlogs_end(&delivery->backlogs);
}
