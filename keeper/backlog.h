/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of the deferred queue: the files that are known, by host and in order, and their
 * delivery. deferred.h is the outside.
 */
#ifndef LONC_KEEPER_BACKLOG_H
#define LONC_KEEPER_BACKLOG_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "keeper/host.h"
#include "keeper/service.h"
#include "keeper/shelf.h"
#include "keeper/spool.h"
#include "keeper/sync.h"

/* Where a file that is known stands. */
enum file_state {
    FILE_LOOSE,     /* in no list: on its way from one to another */
    FILE_ARRIVED,   /* in its first seconds */
    FILE_SETTLED,   /* those are over, while the folder is being read */
    FILE_READY,     /* in its backlog's order */
    FILE_EMPTY,     /* nothing in it yet */
    FILE_POSTPONED, /* something is wrong with it: tried again later */
    FILE_SENDING,   /* with its lond */
};

struct file {
    RB_ENTRY(file) by_order; /* in its backlog, while READY */
    RB_ENTRY(file) by_name;  /* among all that are known */
    RB_ENTRY(file) by_age;   /* among all of its backlog */
    struct backlogs *all;
    struct backlog *backlog; /* NULL while new: ARRIVED or SETTLED */
    enum file_state state;
    struct spool_order order;
    uint64_t epoch;    /* of its name, which its order may no longer have */
    ino_t inode;       /* once it has been read */
    unsigned scan;     /* the last that met it */
    unsigned found;    /* the one that found it, or 0 */
    unsigned attempts; /* in a row that cost its connection */
    bool was_empty;    /* for all the time it may be */
    bool delivered;    /* only the S line, or the removal, is left to do */
    bool logged;       /* the S line is written */
    char *command;     /* for the S line that could not be written; or NULL */
    size_t command_length;
    bool said; /* what is wrong with it has been logged */
    struct deadline deadline;
    TAILQ_ENTRY(file) by_arrival; /* while SETTLED */
    const char *host;             /* in `name` */
    char name[];
};

RB_HEAD(files_by_order, file);
RB_HEAD(files_by_name, file);
RB_HEAD(files_by_age, file);

/* Files that are on disk only, and where the first of them stands: none behind it may go before. */
struct unknown {
    bool any;
    struct spool_order first;
};

/* What waits for one host. */
struct backlog {
    RB_ENTRY(backlog) by_host;
    struct background background; /* what the host asks for the next file */
    struct backlogs *all;
    struct host *host; /* held */
    struct files_by_order ready;
    struct files_by_age aged; /* all that point here, in whatever state */
    size_t ready_count;
    struct shelf shelf;     /* names whose turn is later */
    size_t known;           /* files that point here, in whatever state */
    size_t count;           /* on disk, as far as is known */
    size_t counted;         /* by the scan that goes on */
    struct unknown unknown; /* which are not known by name */
    struct unknown found;   /* the same, as the scan that goes on finds them */
    struct file *sending;
    struct buffer content;
    struct transaction transaction;
    struct deadline pause; /* after a failure, or to let clients go first */
    uint64_t requests;     /* of all clients, when the last file was delivered */
};

RB_HEAD(backlogs_by_host, backlog);

/* What all backlogs share. */
struct backlogs {
    struct service *service;
    struct sync *sync;
    char *folder_path, *permlog_path;
    int folder; /* -1: there is none */
    struct files_by_name files;
    struct backlogs_by_host by_host;
    TAILQ_HEAD(, file) settled;
    size_t arrived, sending;   /* files in these states; SETTLED is ARRIVED */
    size_t waiting;            /* files of all backlogs, as far as is known */
    size_t shelved;            /* bytes of all shelves */
    bool holding;              /* after a start all files are new: none goes before this ends */
    bool scanning;             /* the folder is being read: what has been found is not all */
    bool lost_track;           /* files have arrived of which nothing is known: a scan will tell */
    unsigned scan;             /* the number of this scan, or of the last one */
    size_t removals;           /* by the keeper itself, of which inotify has not told yet */
    bool scan_found;           /* this scan, or the last one, has admitted a file */
    bool syncing, sync_wanted; /* the folder has changed since the sync under way began */
    struct deadline_queue emptying, postponing, pausing, pacing;
    void (*refill)(struct backlogs *all); /* a backlog runs low, and more is on disk */
    void (*quiet)(void *argument);        /* when no file is with its lond, or NULL */
    void *quiet_argument;
};

RB_PROTOTYPE(files_by_order, file, by_order, compare_files)
RB_PROTOTYPE(files_by_name, file, by_name, compare_names)
RB_PROTOTYPE(files_by_age, file, by_age, compare_ages)
RB_PROTOTYPE(backlogs_by_host, backlog, by_host, compare_backlogs)

/* Whether a file of this order is behind one that is not known by name. */
bool backlog_is_behind(const struct unknown *unknown, const struct spool_order *order);

/* One more file is on disk only. */
void backlog_note_unknown(struct unknown *unknown, const struct spool_order *order);

/* Empty, and without a folder. */
void backlogs_setup(struct backlogs *all, struct service *service,
                    void (*refill)(struct backlogs *all));

/* The file known by this name, or NULL. */
struct file *backlog_find_file(struct backlogs *all, const char *name);

/*
 * A file, LOOSE, whose name is not known yet; `id` is the host in that name. NULL without memory.
 */
struct file *backlog_new_file(struct backlogs *all, const char *name, const char *id);

/* Takes a file out of wherever it stands: it is LOOSE then. */
void backlog_detach(struct file *file);

/* Puts a loose file of a backlog into its order. */
void backlog_make_ready(struct file *file);

/* A file is known no longer, and freed; whether it lies on disk is another matter. */
void backlog_forget(struct file *file);

/*
 * Somebody has removed the file, or moved it away: it is forgotten, and so may its backlog be. One
 * that is with its lond stays until the reply, so that it gets its S line, and one that has none
 * yet until that is written.
 */
void backlog_lose(struct file *file);

/* The backlog of the host of this lonHostID; NULL when there is no such host, or no memory. */
struct backlog *backlog_need(struct backlogs *all, const char *id);

/* The same, or NULL where nothing is known to wait for the host. */
struct backlog *backlog_find(const struct backlogs *all, const struct host *host);

/* When its oldest file was deferred, in seconds of the epoch; 0 where that is not known. */
uint64_t backlog_oldest(const struct backlog *backlog);

/* What is postponed, or pauses, is ready now; the backlog may be gone afterwards. */
void backlog_flush(struct backlog *backlog);

/* Sets how many files it has on disk. */
void backlog_count(struct backlog *backlog, size_t count);

/* Frees a backlog whose files have been forgotten. */
void backlog_free(struct backlog *backlog);

/* The lonHostID in a name: the shortest end of it that is a known host. NULL for none. */
const char *backlog_host_in(struct backlogs *all, const char *name);

/* Whether a file of this order is among those that are next; else its name is enough for now. */
bool backlog_is_next(const struct backlog *backlog, const struct spool_order *order);

/*
 * Keeps a name for later, of a file that is not known. Past deferred_memory, those that are
 * farthest off stay on disk only.
 */
void backlog_shelve(struct backlog *backlog, const char *name, const struct spool_order *order);

/*
 * Adds a loose file that is old enough to its host's backlog; where there are enough, it, or the
 * one it is before, goes on as a name.
 */
void backlog_admit(struct file *file);

/* Offers what there is to the host, sees to it that more is known, or frees what is over. */
void backlog_pump(struct backlog *backlog);

#endif
