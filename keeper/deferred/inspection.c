/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looking at files before they are sent.
 */
#include <errno.h>
#include <time.h>

#include "keeper/deferred/delayed_take.h"
#include "keeper/deferred/disposal.h"
#include "keeper/deferred/inspection.h"

/*
 * Whether nobody has written to the file for `span` microseconds. Normally its time of modification
 * tells, which permissions, links and renames leave alone. But the wall clock may have been set, so
 * it is also enough to have seen the same file that long ago.
 */
static bool is_still(const struct file *file, const struct delayed_found *found, uint64_t span)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age = (now.tv_sec - found->is.modified.tv_sec) * 1000000 +
                  (now.tv_nsec - found->is.modified.tv_nsec) / 1000;
    if (age >= 0 && (uint64_t)age >= span)
        return true;
    return file->wait.seen_at != 0 && delayed_is_same(&file->wait.seen, &found->is) &&
           file->backlog->all->core->loop.now - file->wait.seen_at >= span;
}

/* Notes why the file cannot be sent. Returns for how long that has been so, in microseconds. */
static uint64_t note_wait(struct file *file, const struct delayed_found *found,
                          enum delayed_result reason)
{
    uint64_t now = file->backlog->all->core->loop.now;
    struct file_wait *wait = &file->wait;
    if (wait->seen_at == 0 || !delayed_is_same(&wait->seen, &found->is)) {
        wait->seen = found->is;
        wait->seen_at = now;
    }
    if (wait->since == 0 || wait->reason != reason)
        wait->since = now;
    wait->reason = reason;
    return now - wait->since;
}

/* A file that changes again and again, since `since`, does not hold up those behind it for good. */
static void leave_alone(struct file *file, uint64_t since, uint64_t span)
{
    const struct core *core = file->backlog->all->core;
    bool lasts = core->loop.now - since > core->settings.deferred_still + span;
    file_enter(file, lasts ? FILE_WAITING : FILE_NEW);
}

void inspection_touched(struct file *file)
{
    leave_alone(file, file->born, file->backlog->all->core->settings.deferred_hold);
}

static void let_settle(struct file *file, const struct delayed_found *found, uint64_t span)
{
    uint64_t waited = note_wait(file, found, DELAYED_READ);
    leave_alone(file, file->backlog->all->core->loop.now - waited, span);
}

static void set_aside_corrupt(struct file *file, const char *why, const struct delayed_found *found)
{
    const struct delayed_sent sent = {.is = found->is};
    disposal_set_aside(file, &(struct aside){
                                 .where = DELAYED_CORRUPT_FOLDER,
                                 .why = why,
                                 /* A link, which open refused, has no identity here. */
                                 .sent = found->is.inode != 0 ? &sent : NULL,
                             });
}

static void wait_for_content(struct file *file, const struct delayed_found *found)
{
    uint64_t waited = note_wait(file, found, DELAYED_EMPTY);
    if (waited >= file->backlog->all->core->settings.deferred_empty_timeout)
        set_aside_corrupt(file, "stayed empty", found);
    else
        file_enter(file, FILE_WAITING);
}

static void wait_for_writer(struct file *file, const struct delayed_found *found)
{
    const struct settings *settings = &file->backlog->all->core->settings;
    uint64_t waited = note_wait(file, found, DELAYED_OPEN);
    if (waited >= settings->deferred_write_timeout) {
        set_aside_corrupt(file, "is still open for writing", found);
        return;
    }
    if (waited >= settings->deferred_retry) {
        file_trouble(file, "is open for writing and therefore not sent", ETXTBSY);
        file_report(file, "is open for writing and therefore not sent", 0);
    }
    file_enter(file, FILE_WAITING);
}

/* Nothing is sent that could not be removed afterwards. */
static bool may_be_removed(struct file *file)
{
    int r = delayed_may_take(file->backlog->all->folder->fd, file->name);
    if (r == 0 || r == -ENOENT)
        return true;
    file_postpone(file, "could not be removed after its delivery", -r);
    return false;
}

/* The file has entered another state, or is gone, unless `result` is READ. */
static void act_on(struct file *file, enum delayed_result result, const struct delayed_found *found)
{
    switch (result) {
    case DELAYED_READ:
        file_recovered(file);
        break;
    case DELAYED_EMPTY:
        wait_for_content(file, found);
        break;
    case DELAYED_OPEN:
        wait_for_writer(file, found);
        break;
    case DELAYED_GONE:
        file_forget(file);
        break;
    case DELAYED_NOT_NOW:
        file_postpone(file, "cannot be read", -found->error);
        break;
    case DELAYED_CORRUPT:
        set_aside_corrupt(file, found->why, found);
        break;
    }
}

bool inspection_may_send(struct file *file, struct buffer *content, struct delayed_found *found)
{
    const struct settings *settings = &file->backlog->all->core->settings;
    int folder = file->backlog->all->folder->fd;
    if (!may_be_removed(file))
        return false;
    enum delayed_result result = delayed_look(folder, file->name, found);
    if (result == DELAYED_READ && !is_still(file, found, settings->deferred_hold)) {
        let_settle(file, found, settings->deferred_hold);
        return false;
    }
    if (result == DELAYED_READ)
        result = delayed_read(folder, file->name, settings->line_limit, content, found);
    if (found->writer_unknown && !is_still(file, found, settings->deferred_still)) {
        let_settle(file, found, settings->deferred_still);
        return false;
    }
    act_on(file, result, found);
    return result == DELAYED_READ;
}
