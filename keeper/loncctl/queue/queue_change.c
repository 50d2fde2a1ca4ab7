/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing the deferred queue, file by file: each step is one rename or one unlink, so it can be
 * interrupted at any point.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/loncctl/queue/queue_change.h"
#include "keeper/loncctl/queue/queue_files.h"

struct queue_action {
    const char *word;
    enum queue_place from[2]; /* twice the same if there is one only */
    int to;                   /* enum queue_place, or NOWHERE to delete */
};

#define NOWHERE (-1)

static const struct queue_action actions[] = {
    {"hold", {QUEUE_WAITING, QUEUE_WAITING}, QUEUE_HELD},
    {"release", {QUEUE_HELD, QUEUE_HELD}, QUEUE_WAITING},
    {"requeue", {QUEUE_REJECTED, QUEUE_CORRUPT}, QUEUE_WAITING},
    {"delete", {QUEUE_WAITING, QUEUE_HELD}, NOWHERE},
};

/* Errors that are told; the rest is counted. */
#define ERRORS_TOLD 20

/* An action in progress. */
struct change {
    const struct queue_action *action;
    const json_t *known;
    const char *host;          /* whose files to change, or NULL for those of all */
    int folders[QUEUE_PLACES]; /* open descriptors; -1: the folder does not exist */
    enum queue_place place;    /* being walked through */
    size_t found, tried, done, error_count;
    json_t *errors;
};

const struct queue_action *queue_find_action(const char *word)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
        if (strcmp(actions[i].word, word) == 0)
            return &actions[i];
    return NULL;
}

static void add_error(struct change *change, const char *name, const char *why)
{
    char sentence[NAME_MAX + 256];
    if (++change->error_count > ERRORS_TOLD)
        return;
    snprintf(sentence, sizeof(sentence), "%s: %s", name, why);
    json_array_append_new(change->errors, queue_text(sentence));
}

/* --- One file --------------------------------------------------------------------------------- */

/* The reply of lond beside a rejected file belongs to the delivery that is to be forgotten. */
static void remove_reply(int folder, const char *name)
{
    char reply[NAME_MAX + sizeof(".reply")];
    snprintf(reply, sizeof(reply), "%s.reply", name);
    (void)unlinkat(folder, reply, 0); /* there need not be one */
}

/* Returns 0 or a negative errno: -ENOENT if the file does not exist, or no longer. */
static int move_or_delete(const struct change *change, const char *name,
                          const struct queue_file *file)
{
    int from = change->folders[change->place];
    if (from < 0)
        return -ENOENT;
    if (change->action->to == NOWHERE)
        return unlinkat(from, name, 0) < 0 ? -errno : 0;
    int to = change->folders[change->action->to];
    if (renameat2(from, name, to, file->name, RENAME_NOREPLACE) < 0)
        return -errno;
    if (change->place == QUEUE_REJECTED)
        remove_reply(from, name);
    return 0;
}

static void change_file(struct change *change, const char *name, const struct queue_file *file)
{
    int r = move_or_delete(change, name, file);
    if (r == 0)
        change->done++;
    else if (r == -EEXIST)
        add_error(change, name, "a file of this name exists already where it would go");
    else if (r != -ENOENT) /* it has been delivered meanwhile */
        add_error(change, name, strerror(-r));
}

/* --- All files of a host ---------------------------------------------------------------------- */

/* Whether the name is a file of the host, or of any host; if so, takes it apart. */
static bool is_wanted(const struct change *change, const char *name, struct queue_file *file)
{
    return queue_parse_name(change->known, name, change->place, file) &&
           (change->host == NULL || strcmp(change->host, file->host) == 0);
}

static bool count_if_wanted(void *argument, const char *name)
{
    struct change *change = argument;
    struct queue_file file;
    change->found += is_wanted(change, name, &file);
    return true;
}

/* Stops after as many files as were counted: a file that is requeued may be rejected anew and come
 * back, again and again. */
static bool change_if_wanted(void *argument, const char *name)
{
    struct change *change = argument;
    struct queue_file file;
    if (!is_wanted(change, name, &file))
        return true;
    change->tried++;
    change_file(change, name, &file);
    return change->tried < change->found;
}

static void walk_sources(struct change *change, bool (*each)(void *argument, const char *name))
{
    const enum queue_place *from = change->action->from;
    for (int i = 0; i < 2; i++) {
        if (i > 0 && from[i] == from[0])
            break;
        change->place = from[i];
        int r = queue_walk(change->folders[QUEUE_WAITING], from[i], each, change);
        if (r < 0)
            add_error(change, queue_place_names[from[i]].folder, strerror(-r));
    }
}

static void change_files_of_host(struct change *change, const char *what,
                                 bool (*confirm)(size_t files))
{
    walk_sources(change, count_if_wanted);
    if (change->found == 0) {
        if (change->host != NULL && change->known != NULL &&
            json_object_get(change->known, change->host) == NULL)
            add_error(change, what, "no such host in hosts.tab, and no such file");
        return;
    }
    if (change->action->to != NOWHERE || confirm == NULL || confirm(change->found))
        walk_sources(change, change_if_wanted);
}

static void change_file_by_name(struct change *change, const char *name,
                                bool (*confirm)(size_t files))
{
    struct queue_file file;
    if (change->action->to == NOWHERE && confirm != NULL && !confirm(1))
        return;
    for (int i = 0; i < 2 && change->done == 0 && change->error_count == 0; i++) {
        change->place = change->action->from[i];
        if (queue_parse_name(change->known, name, change->place, &file))
            change_file(change, name, &file);
    }
    if (change->done == 0 && change->error_count == 0)
        add_error(change, name, "there is no such file");
}

/* --- Folders ---------------------------------------------------------------------------------- */

/* Makes held/ with the owner and mode of the queue's folder, so that the same users may write to
 * it. */
static int make_place(int folder, enum queue_place place)
{
    struct stat status;
    if (mkdirat(folder, queue_place_names[place].folder, 0700) < 0)
        return errno == EEXIST ? 0 : -errno;
    int fd = queue_open_place(folder, place);
    if (fd < 0)
        return fd;
    int r = fstat(folder, &status);
    if (r == 0 && geteuid() == 0)
        r = fchown(fd, status.st_uid, status.st_gid);
    if (r == 0)
        r = fchmod(fd, status.st_mode & 07777);
    r = r < 0 ? -errno : 0;
    close(fd);
    if (r < 0)
        (void)unlinkat(folder, queue_place_names[place].folder, AT_REMOVEDIR);
    return r;
}

/* Opens the folders below the queue's, as far as they exist. Returns 0 or a negative errno. */
static int open_places(struct change *change)
{
    int folder = change->folders[QUEUE_WAITING];
    int r = change->action->to == QUEUE_HELD ? make_place(folder, QUEUE_HELD) : 0;
    for (int place = QUEUE_HELD; place < QUEUE_PLACES && r >= 0; place++) {
        int fd = queue_open_place(folder, (enum queue_place)place);
        change->folders[place] = fd < 0 ? -1 : fd;
        r = fd < 0 && fd != -ENOENT ? fd : 0;
    }
    return r;
}

static void sync_and_close_places(struct change *change)
{
    for (int place = 0; place < QUEUE_PLACES; place++) {
        if (change->folders[place] < 0)
            continue;
        if (change->done > 0 && fsync(change->folders[place]) < 0)
            add_error(change, queue_place_names[place].folder, strerror(errno));
        close(change->folders[place]);
    }
}

/* --- The whole -------------------------------------------------------------------------------- */

static json_t *result_as_json(struct change *change)
{
    json_t *answer =
        json_pack("{s:b, s:I}", "ok", change->error_count == 0, "files", (json_int_t)change->done);
    if (change->error_count > ERRORS_TOLD) {
        char more[64];
        snprintf(more, sizeof(more), "and %zu more", change->error_count - ERRORS_TOLD);
        json_array_append_new(change->errors, json_string(more));
    }
    if (change->error_count > 0)
        json_object_set(answer, "errors", change->errors);
    return answer;
}

/* Decides whether the word means all hosts, a file or a host. */
static void change_what_is_meant(struct change *change, const char *what,
                                 bool (*confirm)(size_t files))
{
    struct delayed_order order;
    json_t *failure = NULL;
    if (strcmp(what, "ALL") == 0) { /* NOLINT(bugprone-branch-clone): it comes before the others */
        change_files_of_host(change, what, confirm);
    } else if (json_object_get(change->known, what) == NULL &&
               delayed_parse_name(what, &order) != NULL) {
        change_file_by_name(change, what, confirm);
    } else if ((change->host = queue_find_host(change->known, what, &failure)) != NULL) {
        change_files_of_host(change, what, confirm);
    } else {
        change->error_count++;
        json_array_extend(change->errors, json_object_get(failure, "errors"));
    }
    json_decref(failure);
}

json_t *queue_change(const struct queue_action *action, const char *folder, const json_t *hosts,
                     const char *what, bool (*confirm)(size_t files))
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return queue_failure(folder, strerror(errno));
    json_t *known = queue_known_hosts(hosts);
    struct change change = {
        .action = action, .known = known, .folders = {fd, -1, -1, -1}, .errors = json_array()};
    int r = open_places(&change);
    if (r < 0)
        add_error(&change, folder, strerror(-r));
    else
        change_what_is_meant(&change, what, confirm);
    sync_and_close_places(&change);
    json_t *answer = result_as_json(&change);
    json_decref(change.errors);
    json_decref(known);
    return answer;
}
