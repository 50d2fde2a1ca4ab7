/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue's order of events. What happens to a file in the folder is spool.c's; here is
 * which one is next.
 *
 * A file's way: it arrives (inotify), waits out its first seconds, is admitted to its host's
 * backlog, is sent, and goes. Where a backlog knows as many names as it may, the rest stays on
 * disk, and the folder is scanned again when the known ones run out. A scan takes a slice a turn of
 * the loop.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bsd/sys/tree.h>

#include "common/log.h"
#include "keeper/deferred.h"
#include "keeper/hosts.h"
#include "keeper/permlog.h"
#include "keeper/spool.h"
#include "keeper/sync.h"

/* Entries of the folder looked at in one turn: some 50 microseconds. */
#define SCAN_SLICE 128

/* Files that turn out to be none are set aside one after another; past this, others get a turn. */
#define BAD_FILES_PER_TURN 16

/* Names that are no deferred files, or of unknown hosts, are logged; this many for each scan. */
#define STRANGERS_SAID 20

/* Where a file that is known stands. */
enum file_state {
    FILE_LOOSE,     /* in no list: on its way from one to another */
    FILE_ARRIVED,   /* in its first seconds */
    FILE_READY,     /* in its backlog's order */
    FILE_EMPTY,     /* nothing in it yet */
    FILE_POSTPONED, /* something is wrong with it: tried again later */
    FILE_SENDING,   /* with its lond */
};

struct file {
    RB_ENTRY(file) by_order; /* in its backlog, while READY */
    RB_ENTRY(file) by_name;  /* among all that are known */
    struct deferred *deferred;
    struct backlog *backlog; /* NULL while ARRIVED */
    enum file_state state;
    struct spool_order order;
    unsigned attempts; /* in a row that cost its connection */
    bool was_empty;    /* for all the time it may be */
    bool delivered;    /* only the S line, or the removal, is left to do */
    bool logged;       /* the S line is written */
    bool said;         /* what is wrong with it has been logged */
    struct deadline deadline;
    const char *host; /* in `name` */
    char name[];
};

RB_HEAD(files_by_order, file);
RB_HEAD(files_by_name, file);

/* What waits for one host. */
struct backlog {
    RB_ENTRY(backlog) by_host;
    struct background background; /* what the host asks for the next file */
    struct deferred *deferred;
    struct host *host; /* held */
    struct files_by_order ready;
    size_t ready_count;
    size_t known;   /* files that point here, in whatever state */
    size_t count;   /* on disk, as far as is known */
    size_t counted; /* by the scan that goes on */
    bool more;      /* there are files on disk that are not known by name */
    bool scan_more;
    bool limited; /* while a scan goes on: only files before `limit` may go */
    struct spool_order limit;
    struct file *sending;
    struct buffer content;
    struct transaction transaction;
    struct deadline pause; /* after a failure */
};

RB_HEAD(backlogs_by_host, backlog);

/* A request being stored for a client. */
struct store {
    struct deferred *deferred;
    struct spool_file file;
    char *host, *command;
    size_t length;
    void (*done)(void *argument, bool stored);
    void *argument;
};

struct deferred {
    struct service *service;
    struct sync *sync;
    char *folder_path, *permlog_path;
    int folder; /* -1: there is none */
    sd_event_source *inotify, *scanner;
    DIR *scan;                 /* NULL: none goes on */
    bool scan_again;           /* something was missed while one went on */
    bool scan_found;           /* it has admitted a file */
    bool said;                 /* that the folder cannot be watched */
    unsigned strangers;        /* said in this scan */
    bool holding;              /* after a start all files are new: none goes before this ends */
    bool syncing, sync_wanted; /* the folder has changed since the sync under way began */
    size_t arrived, sending;
    struct deadline hold, rescan;
    struct deadline_queue arriving, starting, rescanning, emptying, postponing, pausing;
    struct files_by_name files;
    struct backlogs_by_host backlogs;
    void (*quiet)(void *argument);
    void *quiet_argument;
};

static int compare_orders(const struct spool_order *one, const struct spool_order *other)
{
    if (one->epoch != other->epoch)
        return one->epoch < other->epoch ? -1 : 1;
    if (one->count != other->count)
        return one->count < other->count ? -1 : 1;
    return 0;
}

static int compare_files(struct file *one, struct file *other)
{
    int order = compare_orders(&one->order, &other->order);
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

RB_PROTOTYPE(files_by_order, file, by_order, compare_files)
RB_PROTOTYPE(files_by_name, file, by_name, compare_names)
RB_PROTOTYPE(backlogs_by_host, backlog, by_host, compare_backlogs)
RB_GENERATE(files_by_order, file, by_order, compare_files)
RB_GENERATE(files_by_name, file, by_name, compare_names)
RB_GENERATE(backlogs_by_host, backlog, by_host, compare_backlogs)

static void pump(struct backlog *backlog);
static void refill(struct deferred *deferred);

/* --- Files ---------------------------------------------------------------------------------------
 */

static struct file *find_file(struct deferred *deferred, const char *name)
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
    return RB_FIND(files_by_name, &deferred->files, &key.file);
}

static struct file *new_file(struct deferred *deferred, const char *name)
{
    size_t size = strlen(name) + 1;
    struct file *file = calloc(1, sizeof(*file) + size);
    if (file == NULL)
        return NULL;
    memcpy(file->name, name, size);
    file->deferred = deferred;
    file->host = spool_parse_name(file->name, &file->order);
    RB_INSERT(files_by_name, &deferred->files, file);
    return file;
}

/* Takes a file out of wherever it stands. */
static void detach(struct file *file)
{
    deadline_stop(&file->deadline);
    if (file->state == FILE_READY) {
        RB_REMOVE(files_by_order, &file->backlog->ready, file);
        file->backlog->ready_count--;
    }
    if (file->state == FILE_ARRIVED)
        file->deferred->arrived--;
    file->state = FILE_LOOSE;
}

/* It is known no longer; whether it still lies on disk is another matter. */
static void forget(struct file *file)
{
    detach(file);
    if (file->backlog != NULL)
        file->backlog->known--;
    RB_REMOVE(files_by_name, &file->deferred->files, file);
    free(file);
}

static void make_ready(struct file *file)
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

/* Those behind it go on; this one is tried again later. */
static void postpone(struct file *file)
{
    file->state = FILE_POSTPONED;
    file->attempts = 0;
    deadline_start(&file->deferred->postponing, &file->deadline);
}

/* --- Backlogs ------------------------------------------------------------------------------------
 */

static struct transaction *next_transaction(struct background *background);
static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length);

static struct backlog *find_backlog(struct deferred *deferred, const struct host *host)
{
    struct backlog key = {.host = (struct host *)(uintptr_t)host};
    return RB_FIND(backlogs_by_host, &deferred->backlogs, &key);
}

/* The backlog of the host of this lonHostID; NULL when there is no such host, or no memory. */
static struct backlog *need_backlog(struct deferred *deferred, const char *id)
{
    struct host *host = hosts_hold(deferred->service->hosts, id);
    if (host == NULL)
        return NULL;
    struct backlog *backlog = find_backlog(deferred, host);
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
    backlog->deferred = deferred;
    backlog->limited = deferred->scan != NULL;
    backlog->background.next = next_transaction;
    backlog->transaction.done = on_done;
    backlog->transaction.background = true;
    RB_INIT(&backlog->ready);
    RB_INSERT(backlogs_by_host, &deferred->backlogs, backlog);
    return backlog;
}

static void free_backlog(struct backlog *backlog)
{
    deadline_stop(&backlog->pause);
    host_withdraw_offer(backlog->host);
    hosts_release(backlog->host);
    buffer_free(&backlog->content);
    RB_REMOVE(backlogs_by_host, &backlog->deferred->backlogs, backlog);
    free(backlog);
}

/* Nothing is left, known or unknown. */
static bool is_over(const struct backlog *backlog)
{
    return backlog->known == 0 && !backlog->more && backlog->deferred->scan == NULL;
}

/* Adds a file that is old enough to its host's backlog, or only counts it where there is no room.
 */
static void admit(struct file *file)
{
    struct deferred *deferred = file->deferred;
    struct backlog *backlog = need_backlog(deferred, file->host);
    if (backlog == NULL) {
        forget(file);
        return;
    }
    file->backlog = backlog;
    backlog->known++;
    make_ready(file);
    deferred->scan_found = true;
    if (backlog->ready_count > deferred->service->settings.deferred_names) {
        backlog->more = backlog->scan_more = true;
        forget(RB_MAX(files_by_order, &backlog->ready));
    }
}

/* --- After a delivery ----------------------------------------------------------------------------
 */

static void on_synced(void *argument, int result)
{
    struct deferred *deferred = argument;
    if (result < 0)
        log_write(LOG_ERR, NULL, "cannot sync %s: %s", deferred->folder_path, strerror(-result));
    deferred->syncing = false;
    if (deferred->sync_wanted && deferred->folder >= 0) {
        deferred->sync_wanted = false;
        deferred->syncing = true;
        sync_start(deferred->sync, deferred->folder, on_synced, deferred);
    }
}

/* One sync is under way at a time: it stands for all removals before it. */
static void sync_folder(struct deferred *deferred)
{
    deferred->sync_wanted = true;
    if (!deferred->syncing)
        on_synced(deferred, 0);
}

static void gone(struct file *file)
{
    if (file->backlog->count > 0)
        file->backlog->count--;
    forget(file);
}

/*
 * Delivered: the S line first, then the file goes. Killed between the two, the next keeper delivers
 * it once more, which is what at least once means. `command` is NULL when the line is written.
 */
static void complete(struct file *file, const char *command, size_t length)
{
    struct deferred *deferred = file->deferred;
    file->delivered = true;
    if (!file->logged) {
        int r = permlog_append(deferred->permlog_path, PERMLOG_DELIVERED, file->host, command,
                               length, time(NULL));
        if (r < 0) {
            say_once(file, "is delivered, but its S line cannot be written", -r);
            postpone(file);
            return;
        }
        file->logged = true;
    }
    if (unlinkat(deferred->folder, file->name, 0) < 0 && errno != ENOENT) {
        say_once(file, "is delivered, but cannot be removed", errno);
        postpone(file);
        return;
    }
    sync_folder(deferred);
    gone(file);
}

static void set_aside(struct file *file, const char *where, const char *why, const char *reply,
                      size_t length)
{
    int r = spool_set_aside(file->deferred->folder, file->name, where, reply, length);
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
    sync_folder(file->deferred);
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

/* --- Delivering ----------------------------------------------------------------------------------
 */

/* It stays, and is next again after a pause, unless it has cost too many connections already. */
static void try_again(struct backlog *backlog, struct file *file, bool its_fault)
{
    struct deferred *deferred = backlog->deferred;
    if (its_fault && ++file->attempts >= deferred->service->settings.deferred_attempts) {
        say_once(file, "has cost several connections in a row; those behind it go first", 0);
        postpone(file);
    } else {
        make_ready(file);
    }
    deadline_start(&deferred->pausing, &backlog->pause);
}

static void on_done(struct transaction *transaction, enum reason reason, struct buffer *reply,
                    size_t length)
{
    struct backlog *backlog = CONTAINER_OF(transaction, struct backlog, transaction);
    struct deferred *deferred = backlog->deferred;
    struct file *file = backlog->sending;
    backlog->sending = NULL;
    deferred->sending--;
    bool answered = reason == REASON_NONE;
    const char *text = answered ? reply->data + reply->start : "";
    size_t text_length = answered ? length - 1 : 0;
    enum verdict verdict = answered ? judge(text, text_length) : VERDICT_LOST;

    if (verdict == VERDICT_DELIVERED)
        complete(file, backlog->content.data + backlog->content.start, transaction->length - 1);
    else if (verdict == VERDICT_REJECTED)
        set_aside(file, "rejected", "was rejected", text, length);
    else
        try_again(backlog, file,
                  answered || reason == REASON_LOST || reason == REASON_REPLY_TIMEOUT ||
                      reason == REASON_REQUEST_TIMEOUT || reason == REASON_TOO_LARGE ||
                      reason == REASON_BAD_REPLY);
    buffer_consume(&backlog->content, buffer_length(&backlog->content));
    pump(backlog);
    if (deferred->sending == 0 && deferred->quiet != NULL)
        deferred->quiet(deferred->quiet_argument);
}

/* The first file that may go now, or NULL. */
static struct file *first_ready(struct backlog *backlog)
{
    struct file *first = RB_MIN(files_by_order, &backlog->ready);
    if (first == NULL || backlog->deferred->holding || backlog->pause.queue != NULL)
        return NULL;
    /* What a scan has yet to find may stand before it. */
    if (backlog->limited && compare_orders(&first->order, &backlog->limit) >= 0)
        return NULL;
    return first;
}

/* Reads a file. True when it is ready to be sent; else it has been put where it belongs. */
static bool load(struct backlog *backlog, struct file *file)
{
    struct deferred *deferred = backlog->deferred;
    const char *why = "";
    detach(file);
    if (file->delivered) {
        complete(file, NULL, 0);
        return false;
    }
    enum spool_result result =
        spool_read(deferred->folder, file->name, deferred->service->settings.line_limit,
                   &backlog->content, &why);
    if (result == SPOOL_READ)
        return true;
    buffer_consume(&backlog->content, buffer_length(&backlog->content));
    if (result == SPOOL_GONE) {
        gone(file);
    } else if (result == SPOOL_NO_ROOM) {
        try_again(backlog, file, false);
    } else if (result == SPOOL_CORRUPT) {
        set_aside(file, "corrupt", why, NULL, 0);
    } else if (file->was_empty) {
        set_aside(file, "corrupt", "stayed empty", NULL, 0);
    } else {
        file->state = FILE_EMPTY;
        deadline_start(&deferred->emptying, &file->deadline);
    }
    return false;
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
        backlog->deferred->sending++;
        backlog->transaction.request = backlog->content.data + backlog->content.start;
        backlog->transaction.length = buffer_length(&backlog->content);
        return &backlog->transaction;
    }
    /* To go on with more such files, or to see that there is nothing left. */
    if (first_ready(backlog) != NULL || backlog->known == 0)
        deadline_start(&backlog->deferred->pausing, &backlog->pause);
    return NULL;
}

/* Offers what there is to the host, sees to it that more is known, or ends. */
static void pump(struct backlog *backlog)
{
    struct deferred *deferred = backlog->deferred;
    size_t low = (size_t)deferred->service->settings.deferred_names / 4;
    if (backlog->more && backlog->ready_count <= low)
        refill(deferred);
    if (backlog->sending != NULL)
        return;
    if (is_over(backlog))
        free_backlog(backlog);
    else if (first_ready(backlog) != NULL)
        host_offer(backlog->host, &backlog->background);
}

static void on_pause_over(struct deadline *deadline)
{
    pump(CONTAINER_OF(deadline, struct backlog, pause));
}

/* An empty or postponed file has waited long enough. */
static void on_file_waited(struct deadline *deadline)
{
    struct file *file = CONTAINER_OF(deadline, struct file, deadline);
    if (file->state == FILE_EMPTY)
        file->was_empty = true;
    make_ready(file);
    pump(file->backlog);
}

/* --- Arrivals ------------------------------------------------------------------------------------
 */

static void say_stranger(struct deferred *deferred, const char *name, const char *what)
{
    if (deferred->strangers++ < STRANGERS_SAID)
        log_write(LOG_WARNING, &(struct log_about){.event = LOG_EVENT_DEFERRED},
                  "deferred file %s %s; it is left where it is", name, what);
}

/* Whether this name is to be delivered one day; says so where it is not. */
static bool is_deliverable(struct deferred *deferred, const char *name)
{
    struct spool_order order;
    if (name[0] == '.' || spool_is_own(name))
        return false;
    const char *id = spool_parse_name(name, &order);
    struct host *host = id != NULL ? hosts_hold(deferred->service->hosts, id) : NULL;
    if (host == NULL) {
        say_stranger(deferred, name, id == NULL ? "has no name of one" : "is for no known host");
        return false;
    }
    hosts_release(host);
    return true;
}

/* A file was made, written or moved here: its first seconds begin. */
static void arrive(struct deferred *deferred, const char *name)
{
    struct file *file = find_file(deferred, name);
    if (file != NULL && (file->state == FILE_SENDING || file->delivered))
        return;
    if (file == NULL) {
        if (!is_deliverable(deferred, name))
            return;
        if (deferred->arrived >= deferred->service->settings.deferred_arrivals ||
            (file = new_file(deferred, name)) == NULL) {
            /* Too many to know: all are looked for when the last of them is old enough. */
            deadline_start(&deferred->rescanning, &deferred->rescan);
            return;
        }
    } else {
        detach(file);
    }
    file->state = FILE_ARRIVED;
    file->was_empty = false;
    deferred->arrived++;
    deadline_start(&deferred->arriving, &file->deadline);
}

static void on_settled(struct deadline *deadline)
{
    struct file *file = CONTAINER_OF(deadline, struct file, deadline);
    struct backlog *backlog = file->backlog;
    detach(file);
    if (backlog != NULL) { /* it was known before it was written again */
        make_ready(file);
    } else {
        backlog = need_backlog(file->deferred, file->host);
        if (backlog != NULL)
            backlog->count++;
        admit(file);
    }
    if (backlog != NULL)
        pump(backlog);
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *argument)
{
    struct deferred *deferred = argument;
    (void)source;
    deferred->service->loop.now = loop_clock();
    if (event->mask & (IN_Q_OVERFLOW | IN_IGNORED))
        deadline_start(&deferred->rescanning, &deferred->rescan);
    else if (event->len > 0)
        arrive(deferred, event->name);
    return 0;
}

/* --- Scanning ------------------------------------------------------------------------------------
 */

static void scan_entry(struct deferred *deferred, const char *name)
{
    struct file *file = find_file(deferred, name);
    if (file != NULL) {
        if (file->backlog != NULL)
            file->backlog->counted++;
        return;
    }
    struct spool_order order;
    if (!is_deliverable(deferred, name))
        return;
    struct backlog *backlog = need_backlog(deferred, spool_parse_name(name, &order));
    if (backlog == NULL)
        return;
    backlog->counted++;
    bool full = backlog->ready_count >= deferred->service->settings.deferred_names;
    if (full && compare_orders(&order, &RB_MAX(files_by_order, &backlog->ready)->order) >= 0)
        backlog->scan_more = true;
    else if ((file = new_file(deferred, name)) != NULL)
        admit(file);
    else
        backlog->scan_more = true;
}

static void end_scan(struct deferred *deferred)
{
    struct backlog *backlog, *next;
    closedir(deferred->scan);
    deferred->scan = NULL;
    if (deferred->scan_again)
        deadline_start(&deferred->rescanning, &deferred->rescan);
    deferred->scan_again = false;
    sd_event_source_set_enabled(deferred->scanner, SD_EVENT_OFF);
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->backlogs, next) {
        backlog->count = backlog->counted;
        backlog->more = backlog->scan_more;
        backlog->limited = false;
        pump(backlog);
    }
}

static int on_scan(sd_event_source *source, void *argument)
{
    struct deferred *deferred = argument;
    (void)source;
    deferred->service->loop.now = loop_clock();
    for (int i = 0; i < SCAN_SLICE; i++) {
        struct dirent *entry = readdir(deferred->scan);
        if (entry == NULL) {
            end_scan(deferred);
            return 0;
        }
        scan_entry(deferred, entry->d_name);
    }
    return 0;
}

/*
 * Begins to read the folder. What is known and stands before all that is unknown may go meanwhile.
 * A scan that found nothing new is not begun again at once.
 */
static void start_scan(struct deferred *deferred)
{
    struct backlog *backlog;
    if (deferred->scan != NULL || deferred->folder < 0)
        return;
    int fd = openat(deferred->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    deferred->scan = fd >= 0 ? fdopendir(fd) : NULL;
    if (deferred->scan == NULL) {
        if (fd >= 0)
            close(fd);
        deadline_start(&deferred->rescanning, &deferred->rescan);
        return;
    }
    deferred->strangers = 0;
    deferred->scan_found = false;
    RB_FOREACH (backlog, backlogs_by_host, &deferred->backlogs) {
        struct file *last = RB_MAX(files_by_order, &backlog->ready);
        backlog->counted = 0;
        backlog->scan_more = false;
        backlog->limited = backlog->more;
        backlog->limit = last != NULL ? last->order : (struct spool_order){.epoch = 0};
    }
    sd_event_source_set_enabled(deferred->scanner, SD_EVENT_ON);
}

/* A backlog runs low. After a scan that brought nothing new, the next one waits a little. */
static void refill(struct deferred *deferred)
{
    if (deferred->scan_found)
        start_scan(deferred);
    else if (deferred->scan == NULL && deferred->rescan.queue == NULL)
        deadline_start(&deferred->rescanning, &deferred->rescan);
}

/* --- The folder ----------------------------------------------------------------------------------
 */

static void close_folder(struct deferred *deferred)
{
    deferred->inotify = sd_event_source_disable_unref(deferred->inotify);
    if (deferred->scan != NULL)
        closedir(deferred->scan);
    deferred->scan = NULL;
    sd_event_source_set_enabled(deferred->scanner, SD_EVENT_OFF);
    if (deferred->folder >= 0)
        close(deferred->folder);
    deferred->folder = -1;
}

/* Opens, watches and scans the folder; tries again later where it cannot be. */
static void open_folder(struct deferred *deferred)
{
    const uint32_t wanted = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR;
    deferred->folder = spool_open(deferred->folder_path);
    int r = deferred->folder;
    if (r >= 0)
        r = sd_event_add_inotify(deferred->service->loop.event, &deferred->inotify,
                                 deferred->folder_path, wanted, on_inotify, deferred);
    if (r < 0) {
        if (!deferred->said)
            log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED},
                      "cannot watch %s: %s; nothing deferred is delivered", deferred->folder_path,
                      strerror(-r));
        deferred->said = true;
        close_folder(deferred);
        deadline_start(&deferred->rescanning, &deferred->rescan);
        return;
    }
    deferred->said = false;
    /* What happened is heard before a scan goes on, so that no new file is taken for an old one. */
    sd_event_source_set_priority(deferred->inotify, SD_EVENT_PRIORITY_IMPORTANT);
    spool_sweep(deferred->folder);
    deferred->holding = true;
    deadline_start(&deferred->starting, &deferred->hold);
    start_scan(deferred);
}

static void on_hold_over(struct deadline *deadline)
{
    struct deferred *deferred = CONTAINER_OF(deadline, struct deferred, hold);
    struct backlog *backlog, *next;
    deferred->holding = false;
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->backlogs, next)
        pump(backlog);
}

/* The folder may have been replaced, which its descriptor would not show. */
static bool is_same_folder(const struct deferred *deferred)
{
    struct stat held, there;
    return deferred->folder >= 0 && fstat(deferred->folder, &held) == 0 &&
           stat(deferred->folder_path, &there) == 0 && held.st_dev == there.st_dev &&
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

/* --- Storing -------------------------------------------------------------------------------------
 */

static void write_permlog(struct store *store, enum permlog_kind kind)
{
    const char *path = store->deferred->permlog_path;
    int r = path == NULL ? -ENOENT
                         : permlog_append(path, kind, store->host, store->command, store->length,
                                          time(NULL));
    if (r < 0)
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = store->host},
                  "cannot write the %c line to lonnet.perm.log: %s", (char)kind, strerror(-r));
}

static void end_store(struct store *store, int result)
{
    struct deferred *deferred = store->deferred;
    if (result < 0) {
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = store->host},
                  "cannot store a transaction: %s", strerror(-result));
        spool_abandon(deferred->folder, &store->file);
    }
    write_permlog(store, result < 0 ? PERMLOG_FAILED : PERMLOG_DEFERRED);
    store->done(store->argument, result >= 0);
    free(store->host);
    free(store->command);
    free(store);
}

static void on_name_durable(void *argument, int result)
{
    struct store *store = argument;
    /* It is whole and has its name; on a disk that cannot say so, that is not known to last. */
    if (result < 0)
        unlinkat(store->deferred->folder, store->file.name, 0);
    end_store(store, result);
}

static void on_content_durable(void *argument, int result)
{
    struct store *store = argument;
    struct deferred *deferred = store->deferred;
    if (result >= 0)
        result = spool_publish(deferred->folder, &store->file);
    if (result < 0)
        end_store(store, result);
    else
        sync_start(deferred->sync, deferred->folder, on_name_durable, store);
}

void deferred_store(struct deferred *deferred, const char *host, const char *line, size_t length,
                    void (*done)(void *argument, bool stored), void *argument)
{
    struct store *store = calloc(1, sizeof(*store));
    char *id = strdup(host);
    /* As much of the command as the perm log takes. */
    size_t kept = length - 1 < PERMLOG_COMMAND_MAX ? length - 1 : PERMLOG_COMMAND_MAX;
    char *command = strndup(line, kept);
    if (store == NULL || id == NULL || command == NULL) {
        free(store);
        free(id);
        free(command);
        done(argument, false);
        return;
    }
    *store = (struct store){
        .deferred = deferred,
        .file = {.fd = -1},
        .host = id,
        .command = command,
        .length = kept,
        .done = done,
        .argument = argument,
    };
    int r = deferred->folder < 0 ? -ENOENT
                                 : spool_create(deferred->folder, host, (uint64_t)time(NULL), line,
                                                length, &store->file);
    if (r < 0)
        end_store(store, r);
    else
        sync_start(deferred->sync, store->file.fd, on_content_durable, store);
}

/* --- Coming and going ----------------------------------------------------------------------------
 */

struct deferred *deferred_new(struct service *service)
{
    struct deferred *deferred = calloc(1, sizeof(*deferred));
    if (deferred == NULL)
        return NULL;
    const struct settings *settings = &service->settings;
    struct loop *loop = &service->loop;
    deferred->service = service;
    deferred->folder = -1;
    RB_INIT(&deferred->files);
    RB_INIT(&deferred->backlogs);
    deadline_queue_add(loop, &deferred->arriving, &settings->deferred_hold, on_settled);
    deadline_queue_add(loop, &deferred->starting, &settings->deferred_hold, on_hold_over);
    deadline_queue_add(loop, &deferred->rescanning, &settings->deferred_hold, on_rescan);
    deadline_queue_add(loop, &deferred->emptying, &settings->deferred_empty_timeout,
                       on_file_waited);
    deadline_queue_add(loop, &deferred->postponing, &settings->deferred_retry, on_file_waited);
    deadline_queue_add(loop, &deferred->pausing, &settings->retry_delay, on_pause_over);
    deferred->sync = sync_new(loop->event);
    if (deferred->sync == NULL ||
        sd_event_add_defer(loop->event, &deferred->scanner, on_scan, deferred) < 0 ||
        sd_event_source_set_enabled(deferred->scanner, SD_EVENT_OFF) < 0) {
        deferred_free(deferred);
        return NULL;
    }
    return deferred;
}

/* Forgets the files of hosts that are in the table no longer; on disk they stay. */
static void forget_retired(struct deferred *deferred)
{
    struct file *file, *next_file;
    RB_FOREACH_SAFE (file, files_by_name, &deferred->files, next_file)
        if (file->state != FILE_SENDING && file->backlog != NULL && !file->backlog->host->listed)
            forget(file);
    struct backlog *backlog, *next;
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->backlogs, next) {
        if (backlog->host->listed)
            continue;
        backlog->more = false;
        if (backlog->sending == NULL)
            free_backlog(backlog);
    }
}

static bool replace_path(char **path, const char *folder, const char *name)
{
    char *made;
    if (asprintf(&made, "%s/%s", folder, name) < 0)
        return false;
    bool changed = *path == NULL || strcmp(*path, made) != 0;
    free(*path);
    *path = made;
    return changed;
}

void deferred_reload(struct deferred *deferred)
{
    const struct loncapa *loncapa = &deferred->service->config->loncapa;
    replace_path(&deferred->permlog_path, loncapa->daemons, "logs/lonnet.perm.log");
    bool moved = replace_path(&deferred->folder_path, loncapa->sock_dir, "delayed");
    forget_retired(deferred);
    if (moved || deferred->folder < 0) {
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
    size_t count = 0;
    struct backlog *backlog;
    RB_FOREACH (backlog, backlogs_by_host, &((struct deferred *)(uintptr_t)deferred)->backlogs)
        count += backlog->count;
    return count;
}

void deferred_drain(struct deferred *deferred, void (*quiet)(void *argument), void *argument)
{
    deferred->quiet = quiet;
    deferred->quiet_argument = argument;
    if (deferred->sending == 0)
        quiet(argument);
}

void deferred_free(struct deferred *deferred)
{
    struct file *file, *next_file;
    struct backlog *backlog, *next_backlog;
    if (deferred == NULL)
        return;
    sync_free(deferred->sync); /* which ends all stores */
    close_folder(deferred);
    RB_FOREACH_SAFE (file, files_by_name, &deferred->files, next_file)
        forget(file);
    RB_FOREACH_SAFE (backlog, backlogs_by_host, &deferred->backlogs, next_backlog)
        free_backlog(backlog);
    sd_event_source_disable_unref(deferred->scanner);
    free(deferred->folder_path);
    free(deferred->permlog_path);
    free(deferred);
}
