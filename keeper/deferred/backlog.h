/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of the deferred queue; deferred.h is the outside.
 *
 * The model. A transaction is a file in the folder. For each host (its backlog) the names of its
 * files are kept sorted, within a bound of memory; of what is past the bound only the number is
 * known, and the order where it begins (`horizon`). Reading the folder (a scan) makes these sets
 * anew, and nothing is sent meanwhile. A name leaves its set to become a `struct file`: when it has
 * arrived (FILE_NEW, until deferred_hold is over), when its turn has come, or when it cannot go
 * yet. So a name is in its set or a file, not both, and next is the first of the set or of the
 * files that are FILE_READY. file_enter is the one door from state to state:
 *
 *     arrives -> NEW -> (its set) -> READY -> SENDING -> recorded, removed, gone
 *                                     |         |  \-> rejected: set aside
 *                                     |         |---> con_lost: READY, after a pause
 *                                     |         \---> DELIVERED: not recorded or removed yet
 *                                     |---> too young: NEW; empty, or being written: WAITING
 *                                     |---> an error of the moment: POSTPONED
 *                                     \---> no transaction: set aside
 *
 * backlog.c keeps files and sets, delivery.c sends, deferred.c knows the folder, enqueue.c adds to
 * it.
 */
#ifndef LONC_KEEPER_DEFERRED_BACKLOG_H
#define LONC_KEEPER_DEFERRED_BACKLOG_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "keeper/core/core.h"
#include "keeper/deferred/async_fsync.h"
#include "keeper/deferred/delayed.h"
#include "keeper/deferred/name_set.h"
#include "keeper/host/host.h"

enum file_state {
    FILE_LOOSE,     /* on its way from one state to another */
    FILE_NEW,       /* in its first seconds; those behind it wait as well, so that order is kept */
    FILE_SETTLED,   /* those are over, but the folder is being read: it waits for the end of that */
    FILE_WAITING,   /* empty, or being written: looked at again and again */
    FILE_POSTPONED, /* something is wrong with it: tried again after deferred_retry */
    FILE_READY,     /* in its backlog's order */
    FILE_SENDING,   /* with its lond */
    FILE_DELIVERED, /* only its S line, or its removal, is left to do, and failed */
};

struct file {
    RB_ENTRY(file) by_order; /* in its backlog's fresh (NEW, SETTLED) or ready (READY) */
    RB_ENTRY(file) by_name;  /* among all files */
    LIST_ENTRY(file) of_backlog;
    TAILQ_ENTRY(file) by_settling; /* while SETTLED */
    TAILQ_ENTRY(file) by_trouble;  /* while `error` is set */
    struct backlog *backlog;
    enum file_state state;
    struct deadline deadline;
    struct delayed_order order;
    uint64_t epoch; /* of its name, which its order may no longer have */
    uint64_t born;  /* loop.now when it became a file */

    /* What it waits for, and since when; 0: nothing so far. */
    enum delayed_result waits_for;
    uint64_t waits_since;
    struct delayed_identity seen; /* as it was at `seen_at` and ever since; 0: not looked at */
    uint64_t seen_at;

    unsigned attempts; /* in a row that cost its connection */
    bool said;         /* what is wrong with it has been logged */
    int error;         /* an errno that is one of the keeper's troubles, or 0 */
    const char *what;  /* what failed with it */

    struct delayed_identity sent; /* what was sent, from SENDING on */
    size_t sent_length;
    bool logged;   /* DELIVERED: its S line is written */
    char *command; /* DELIVERED: the beginning, for the S line; NULL without memory */
    size_t command_length;
    unsigned char digest[DELAYED_DIGEST_SIZE]; /* DELIVERED: of its content */

    const char *host; /* in `name` */
    char name[];
};

RB_HEAD(files_by_order, file);
RB_HEAD(files_by_name, file);

/* What waits for one host. */
struct backlog {
    RB_ENTRY(backlog) by_host;
    struct background background; /* what the host asks for the next file */
    struct backlogs *all;
    struct host *host;     /* held */
    struct name_set names; /* sorted; whose files are there and are no struct file */
    bool cut;              /* there are more, at or behind the horizon */
    struct delayed_order horizon;
    size_t beyond; /* how many */
    LIST_HEAD(, file) files;
    size_t file_count;
    struct files_by_order fresh, ready;
    size_t count; /* on disk, as far as is known; while scanning, what it was before */

    struct file *sending;
    struct buffer content;
    struct transaction transaction;
    struct deadline pause; /* after a failure, or to let clients go first */
    uint64_t requests;     /* of all clients, when the last file was delivered */
};

RB_HEAD(backlogs_by_host, backlog);

/* What all backlogs share. */
struct backlogs {
    struct core *core;
    struct async_fsync *fsyncs;
    char *folder_path, *permlog_path;
    int folder; /* -1: there is none */
    struct files_by_name files;
    struct backlogs_by_host by_host;
    TAILQ_HEAD(, file) settled, troubled;
    size_t fresh;     /* files NEW or SETTLED */
    size_t sending;   /* files with their lond */
    size_t delivered; /* files DELIVERED */
    size_t waiting;   /* files of all backlogs, as far as is known */
    size_t shelved;   /* bytes of all names */
    size_t taken;     /* names that have become files since the last scan: it would find others */
    size_t removals;  /* by the keeper itself, of which inotify has not told yet */
    bool scanning;    /* the folder is being read */
    bool closed;      /* what is delivered could not be recorded or removed: nothing is sent */
    bool was_open;    /* it could be, at some time since the start */
    bool switching;   /* the path leads to another folder: nothing more is sent from this one */
    bool unmarked;    /* marks could not be written */
    bool syncing, sync_wanted; /* the folder has changed since the sync under way began */
    struct deadline gate;      /* runs while closed */
    struct deadline_queue settling, postponing, pausing, pacing, gating;
    void (*refill)(struct backlogs *all); /* a backlog has no names left, and more is on disk */
    void (*idle)(struct backlogs *all);   /* no file is with its lond any more */
    void (*shut)(struct backlogs *all, const char *path, int error); /* `closed` has begun, or
                                                                        goes on */
};

RB_PROTOTYPE(files_by_order, file, by_order, compare_orders)
RB_PROTOTYPE(files_by_name, file, by_name, compare_names)
RB_PROTOTYPE(backlogs_by_host, backlog, by_host, compare_backlogs)

/* --- backlog.c: files and names ----------------------------------------------------------------
 */

/* Empty, and without a folder; the caller sets the functions, and delivery_setup the deadlines. */
void backlogs_setup(struct backlogs *all, struct core *core);

/* The file known by this name, or NULL. */
struct file *backlog_find_file(struct backlogs *all, const char *name);

/*
 * A new file, LOOSE, of this name, which is no file yet; `id` is the host in that name. NULL
 * without memory.
 */
struct file *file_new(struct backlog *backlog, const char *name, const char *id);

/* The one door: takes the file out of the state that it is in, and into this one. */
void file_enter(struct file *file, enum file_state state);

/* The file is known no longer, and freed; whether it lies on disk is another matter. */
void file_forget(struct file *file);

/* Says once what is wrong with a file; `error` is an errno, or 0. */
void file_say(struct file *file, const char *what, int error);

/* An error of the moment is one of the keeper's troubles until the file is well, or gone. */
void file_trouble(struct file *file, const char *what, int error);
void file_well(struct file *file);

/* The backlog of the host of this lonHostID; NULL when there is no such host, or no memory. */
struct backlog *backlog_need(struct backlogs *all, const char *id);

/* The same, or NULL where nothing is known to wait for the host. */
struct backlog *backlog_find(const struct backlogs *all, const struct host *host);

/* Frees a backlog whose files have been forgotten. */
void backlog_free(struct backlog *backlog);

/* Nothing is left of it, known or unknown. */
bool backlog_is_over(const struct backlog *backlog);

/* The lonHostID in a name: the shortest end of it that is a known host. NULL for none. */
const char *backlog_host_in(struct backlogs *all, const char *name);

/*
 * Adds a name that is neither in its set nor a file. Past deferred_memory, those farthest off are
 * no longer known by name.
 */
void backlog_put(struct backlog *backlog, const char *name, const struct delayed_order *order);

/* The file is a name in its set from now on, and freed. */
void backlog_put_back(struct file *file);

/* Forgets all names, before a scan. */
void backlog_clear(struct backlog *backlog);

/* Counts again how many wait; not while scanning, when only a part is known. */
void backlog_recount(struct backlog *backlog);

/* When its oldest file was deferred, in seconds of the epoch; 0 where that is not known. */
uint64_t backlog_oldest(const struct backlog *backlog);

/* --- delivery.c --------------------------------------------------------------------------------
 */

/* The deadlines of files and backlogs; once. */
void delivery_setup(struct backlogs *all);

/* What a host asks for the next file, and what it answers with. */
void delivery_attach(struct backlog *backlog);

/* Offers what there is to the host, sees to it that more is known, or frees what is over. */
void backlog_pump(struct backlog *backlog);
void backlogs_pump(struct backlogs *all);

/* What is postponed, or pauses, is tried now; the backlog may be gone afterwards. */
void backlog_flush(struct backlog *backlog);

/*
 * Something has happened to a file that is known: it is left alone again for a while. One that is
 * with its lond is looked at when the reply is there.
 */
void file_touched(struct file *file);

/*
 * Somebody has removed the file, or moved it away: it is forgotten, and so may its backlog be. One
 * that is with its lond, or was, stays until it has its S line.
 */
void file_vanished(struct file *file);

/*
 * Looks whether what is delivered could be recorded and removed, and goes on sending or stops that;
 * both are listed as troubles.
 */
void delivery_check(struct backlogs *all);

/* Finishes what an earlier keeper has delivered, but not recorded or removed (marks.h). */
void delivery_resume(struct backlogs *all);

#endif
