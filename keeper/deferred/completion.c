/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recording deliveries, removing what was delivered, and marks for what could not be.
 */
#include <bsd/string.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "keeper/deferred/completion.h"
#include "keeper/deferred/disposal.h"
#include "keeper/deferred/marks.h"
#include "keeper/deferred/permlog.h"

/* --- Whether deliveries can be completed ------------------------------------------------------ */

int completion_check(struct completion *completion, const char **obstacle)
{
    struct backlogs *all = completion->backlogs;
    const struct folder *folder = all->folder;
    *obstacle = folder->permlog_path;
    int r = permlog_probe(folder->permlog_path);
    if (r < 0) {
        trouble_begin(all->core, TROUBLE_PERM_LOG, "%s: %s", *obstacle, strerror(-r));
        return r;
    }
    trouble_end(all->core, TROUBLE_PERM_LOG);
    *obstacle = folder->path;
    r = delayed_is_writable(folder->fd);
    if (r < 0) {
        trouble_begin(all->core, TROUBLE_FOLDER, "%s: %s", *obstacle, strerror(-r));
        return r;
    }
    trouble_end(all->core, TROUBLE_FOLDER);
    *obstacle = NULL;
    return completion->unmarked || all->count[FILE_DELIVERED] >= MARKS_MOST ? -EBUSY : 0;
}

/* --- Marks ------------------------------------------------------------------------------------ */

static void mark_places(const struct backlogs *all, const char *places[3])
{
    places[0] = all->core->settings.state_dir;
    places[1] = all->core->settings.runtime_dir;
    places[2] = NULL;
}

static size_t collect_marks(struct backlogs *all, struct mark *marks)
{
    struct file *file;
    ino_t folder = folder_inode(all->folder);
    size_t count = 0;
    RB_FOREACH (file, files_by_name, &all->files) {
        if (file->state != FILE_DELIVERED || count == MARKS_MOST)
            continue;
        struct mark *mark = &marks[count++];
        *mark = (struct mark){
            .folder = folder, .inode = file->sent.is.inode, .logged = file->sent.logged};
        memcpy(mark->digest, file->sent.digest, sizeof(mark->digest));
        strlcpy(mark->name, file->name, sizeof(mark->name));
    }
    return count;
}

/*
 * Marks the files that are DELIVERED, and no others of this folder. Marks of another folder that
 * the same path led to are kept, as that folder may come back.
 */
static void save_marks(struct completion *completion)
{
    struct backlogs *all = completion->backlogs;
    const char *places[3];
    struct mark *marks = calloc((size_t)2 * MARKS_MOST, sizeof(*marks));
    int r = -ENOMEM;
    mark_places(all, places);
    if (marks != NULL) {
        size_t count = collect_marks(all, marks), end = count;
        size_t before = marks_read(places, all->folder->path, marks + count, MARKS_MOST);
        for (size_t i = count; i < count + before && end < MARKS_MOST; i++)
            if (marks[i].folder != folder_inode(all->folder))
                marks[end++] = marks[i];
        r = marks_write(places, all->folder->path, marks, end);
    }
    free(marks);
    completion->unmarked = r < 0;
    if (r < 0)
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED},
                  "cannot note in %s which transactions are executed: %s", places[0], strerror(-r));
}

void completion_retry_marks(struct completion *completion)
{
    if (completion->unmarked)
        save_marks(completion);
}

/* --- After a delivery ------------------------------------------------------------------------- */

void completion_expect(struct file *file, const struct delayed_found *found, size_t length)
{
    file->sent.is = found->is;
    file->sent.length = length;
}

/* For an S line that is to be written later. */
static void keep_command(struct file *file, const char *content)
{
    permlog_drop(file->sent.command, file->sent.length - 1);
    file->sent.command = permlog_keep(content, file->sent.length - 1);
}

/* The transaction is executed, yet something is left to do: this keeper or the next tries again. */
static void keep_delivered(struct completion *completion, struct file *file, const char *content,
                           const char *what, int error)
{
    bool logged = file->sent.logged;
    if (content != NULL) {
        delayed_digest(content, file->sent.length, file->sent.digest);
        keep_command(file, content);
    }
    file_trouble(file, what, error);
    file_report(file, what, error);
    file_enter(file, FILE_DELIVERED);
    if (content != NULL || logged)
        save_marks(completion);
}

static int write_delivered_line(const struct file *file, const char *command)
{
    return permlog_append(file->backlog->all->folder->permlog_path, PERMLOG_DELIVERED, file->host,
                          command != NULL ? command : "",
                          command != NULL ? file->sent.length - 1 : 0, time(NULL));
}

/*
 * The S line is written before the file is removed. If the keeper is killed between the two, the
 * next one delivers the file again, which "at least once" allows; the other order could lose the
 * record.
 */
void completion_finish(struct completion *completion, struct file *file, const char *content)
{
    bool marked = content == NULL;
    const struct delayed_sent sent = {.is = file->sent.is,
                                      .content = content,
                                      .digest = file->sent.digest,
                                      .length = file->sent.length};
    if (!file->sent.logged) {
        int r = write_delivered_line(file, content != NULL ? content : file->sent.command);
        if (r < 0) {
            keep_delivered(completion, file, content,
                           "is delivered, but its S line cannot be written", -r);
            return;
        }
        file->sent.logged = true;
    }
    int r = disposal_remove(file, &sent);
    if (r < 0)
        keep_delivered(completion, file, content, "is delivered, but cannot be removed", -r);
    else if (marked)
        save_marks(completion);
}

/* --- What an earlier keeper has left ---------------------------------------------------------- */

/* Whether the file of this name is the one that was marked; its content is then in `content`. */
static bool is_marked(const struct backlogs *all, const struct mark *mark, struct buffer *content,
                      struct delayed_found *found)
{
    unsigned char digest[DELAYED_DIGEST_SIZE];
    if (delayed_read(all->folder->fd, mark->name, all->core->settings.line_limit, content, found) !=
            DELAYED_READ ||
        found->is.inode != mark->inode)
        return false;
    delayed_digest(content->data + content->start, buffer_length(content), digest);
    return memcmp(digest, mark->digest, sizeof(digest)) == 0;
}

static void resume_mark(struct backlogs *all, const struct mark *mark)
{
    struct buffer content = {0};
    struct delayed_found found;
    const char *id = backlogs_host_in(all, mark->name);
    struct backlog *backlog = id != NULL ? backlogs_obtain(all, id) : NULL;
    struct file *file = NULL;
    if (backlog != NULL && backlogs_find_file(all, mark->name) == NULL &&
        is_marked(all, mark, &content, &found))
        file = file_new(backlog, mark->name, id, FILE_READY);
    if (file != NULL) {
        completion_expect(file, &found, buffer_length(&content));
        file->sent.logged = mark->logged;
        memcpy(file->sent.digest, mark->digest, sizeof(file->sent.digest));
        keep_command(file, content.data + content.start);
        file_enter(file, FILE_DELIVERED);
    }
    buffer_free(&content);
}

void completion_resume(struct completion *completion)
{
    struct backlogs *all = completion->backlogs;
    const char *places[3];
    struct mark *marks = calloc(MARKS_MOST, sizeof(*marks));
    if (marks == NULL)
        return;
    mark_places(all, places);
    size_t count = marks_read(places, all->folder->path, marks, MARKS_MOST);
    ino_t folder = folder_inode(all->folder);
    for (size_t i = 0; i < count; i++)
        if (marks[i].folder == folder)
            resume_mark(all, &marks[i]);
    free(marks);
    struct file *file, *next;
    RB_FOREACH_SAFE (file, files_by_name, &all->files, next)
        if (file->state == FILE_DELIVERED)
            completion_finish(completion, file, NULL);
    if (count > 0)
        save_marks(completion);
}

void completion_init(struct completion *completion, struct backlogs *backlogs)
{
    *completion = (struct completion){.backlogs = backlogs};
}
