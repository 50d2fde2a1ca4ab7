/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue in memory: files, their states, and the backlog of each host.
 *
 * The model. A transaction is a file in the folder, and the files for one host are its backlog.
 * Most of them are known by name only; the names are kept in a sorted set. The memory for names is
 * bounded. Of the files past the bound, the keeper knows only how many there are and at which order
 * they begin (the horizon). A scan of the folder rebuilds the sets, and nothing is sent meanwhile.
 *
 * A name leaves its set and becomes a `struct file` when there is more to know about it: it has
 * just arrived, its turn has come, or it cannot be sent yet. So a file is known either as a name in
 * a set or as a struct file, never as both. The next file to be sent is the first, in order, of the
 * set and of the files that are FILE_READY. file_enter is the only function that changes a state:
 *
 *     arrives -> NEW -> (the set) -> READY -> SENDING -> recorded, removed: gone
 *                                     |         |--> rejected: set aside
 *                                     |         |--> con_lost: READY, after a pause
 *                                     |         \--> DELIVERED: not recorded or removed yet
 *                                     |--> changed a moment ago: NEW
 *                                     |--> empty, or being written: WAITING
 *                                     |--> an error that may pass: POSTPONED
 *                                     \--> not a transaction: set aside
 *
 * Calls between the files of this folder go down only:
 *
 *     deferred         the queue as others see it; which folder is open
 *     discovery        how files become known: inotify, scans
 *     delivery         which file is next; sending it; what the reply means
 *     inspection       whether a file can be sent: its age, its content, who has it open
 *     completion       after a delivery: S line, removal, marks
 *     disposal         taking files out of the folder
 *     backlog          this file
 *     enqueue          storing a transaction for a client; beside discovery and all below it
 *     folder           the open folder and its syncs
 *     delayed_*, permlog, marks, name_set, async_fsync, mounts    know nothing of backlogs
 */
#ifndef LONC_KEEPER_DEFERRED_BACKLOG_H
#define LONC_KEEPER_DEFERRED_BACKLOG_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/attributes.h"
#include "keeper/core/core.h"
#include "keeper/deferred/delayed_read.h"
#include "keeper/deferred/folder.h"
#include "keeper/deferred/name_set.h"
#include "keeper/host/host.h"

enum file_state {
    FILE_NEW,       /* changed less than deferred_hold ago; later files wait, to keep the order */
    FILE_WAITING,   /* empty, or being written: looked at now and then */
    FILE_POSTPONED, /* something is wrong with it: tried again after deferred_retry */
    FILE_READY,     /* may be sent when it is first */
    FILE_SENDING,   /* its request is with lond */
    FILE_DELIVERED, /* executed by lond, but its S line or its removal has failed so far */
    FILE_STATES
};

/* For how long a file has kept the keeper waiting, and for what; inspection.c writes it. */
struct file_wait {
    uint64_t since;             /* loop.now when `reason` began; 0: it waits for nothing */
    enum delayed_result reason; /* READ: for deferred_hold or deferred_still to be over */
    uint64_t seen_at;           /* loop.now since when the file has been `seen`; 0: never seen */
    struct delayed_identity seen;
};

/* What was sent, from FILE_SENDING on; completion.c writes it. */
struct file_sent {
    struct delayed_identity is;
    size_t length;
    /* In FILE_DELIVERED: */
    bool logged;   /* the S line is written */
    char *command; /* its beginning, for the S line; NULL without memory */
    unsigned char digest[DELAYED_DIGEST_SIZE];
};

struct file {
    RB_ENTRY(file) by_name;  /* among all files */
    RB_ENTRY(file) by_order; /* in its backlog's `fresh` (NEW) or `ready` (READY) */
    LIST_ENTRY(file) of_backlog;
    TAILQ_ENTRY(file) by_trouble; /* while `error` is set */
    struct backlog *backlog;
    enum file_state state;
    struct deadline deadline;   /* of its state */
    struct delayed_order order; /* of its name, until file_lose_order */
    uint64_t born;              /* loop.now when it became known as a file, or was replaced */
    unsigned attempts;          /* in a row that cost their connection; delivery.c writes it */
    bool reported;              /* the log has said what is wrong with it */
    int error;                  /* an errno that makes it one of the keeper's troubles, or 0 */
    const char *what;           /* what failed with `error` */
    struct file_wait wait;
    struct file_sent sent;
    const char *host; /* in `name` */
    char name[];
};

RB_HEAD(files_by_order, file);
RB_HEAD(files_by_name, file);

/* The sending side of a backlog; delivery.c alone reads and writes it. */
struct sender {
    struct background background; /* what the host calls for the next file */
    struct transaction transaction;
    struct buffer content; /* of the file being sent */
    struct deadline pause; /* after a failure, or to let clients go first */
    uint64_t requests;     /* of all clients, when the last file was delivered */
};

/* What is deferred for one host. */
struct backlog {
    RB_ENTRY(backlog) by_host;
    struct backlogs *all;
    struct host *host;            /* held */
    struct name_set names;        /* of files on disk that are no struct file */
    size_t unnamed;               /* files past the bound of memory, of which only this is known */
    struct delayed_order horizon; /* they are at or behind it; valid while there are such files */
    LIST_HEAD(, file) files;
    size_t file_count;
    struct files_by_order fresh, ready;
    struct file *sending; /* the file in FILE_SENDING, or NULL */
    size_t count;         /* on disk, as far as is known; during a scan, as it was before */
    struct sender sender;
};

RB_HEAD(backlogs_by_host, backlog);

/* All backlogs. Only backlog.c writes these members. */
struct backlogs {
    struct core *core;
    struct hosts *hosts;
    struct folder *folder;
    struct files_by_name files;
    struct backlogs_by_host by_host;
    TAILQ_HEAD(, file) troubled;
    size_t count[FILE_STATES]; /* files in each state */
    size_t waiting;            /* the sum of `count` of all backlogs */
    size_t name_bytes;         /* memory of all sets of names */
    size_t names_taken;        /* names that have become files since the last scan began */
    bool scanning;             /* the folder is being read */
    struct deadline_queue settling, postponing;
    void (*due)(struct file *file); /* the time that its state lasts is over */
};

RB_PROTOTYPE(files_by_order, file, by_order, compare_orders)
RB_PROTOTYPE(files_by_name, file, by_name, compare_file_names)
RB_PROTOTYPE(backlogs_by_host, backlog, by_host, compare_backlogs)

/*
 * No backlogs yet. `due` is called in the loop for a file that is NEW, WAITING, POSTPONED or
 * DELIVERED when it is time to look at it again; it moves the file to another state, or forgets it.
 */
void backlogs_init(struct backlogs *all, struct hosts *hosts, struct folder *folder,
                   void (*due)(struct file *file));

/* To be called before its memory is freed, when no file is left. */
void backlogs_end(struct backlogs *all);

/* --- Files ------------------------------------------------------------------------------------ */

/* The file known by this name, or NULL. */
struct file *backlogs_find_file(struct backlogs *all, const char *name);

/*
 * Makes a file of this name, which must not be one yet, and enters `state`: NEW or READY. `id` is
 * the host's part of `name`, a pointer into it. NULL without memory.
 */
struct file *file_new(struct backlog *backlog, const char *name, const char *id,
                      enum file_state state);

/* Takes the file out of its state and into another, and starts the deadline of that. */
void file_enter(struct file *file, enum file_state state);

/* The files behind it go first from now on. Only for a file that is SENDING, and so in no order. */
void file_lose_order(struct file *file);

/* Forgets all that is known of the file: another one has taken its name. It becomes NEW. */
void file_renew(struct file *file);

/* Frees the file. Whether it still lies on disk is up to the caller. */
void file_forget(struct file *file);

/* Turns the file into a name in its backlog's set again, and frees it. */
void file_put_back(struct file *file);

/*
 * Logs what is wrong with the file, unless that has been logged before. `what` goes on after the
 * file's name, as "cannot be read"; `error` is an errno, or 0.
 */
void file_report(struct file *file, const char *what, int error);

/* Lists the file among the keeper's troubles until file_recovered, or until it is forgotten. */
void file_trouble(struct file *file, const char *what, int error);
void file_recovered(struct file *file);

/* Reports the file and tries it again after deferred_retry; with an error, it is a trouble too. */
void file_postpone(struct file *file, const char *what, int error);

/* --- Backlogs --------------------------------------------------------------------------------- */

/*
 * The backlog of the host with this lonHostID, which is made if there is none. NULL if there is no
 * such host, or no memory.
 */
struct backlog *backlogs_obtain(struct backlogs *all, const char *id);

/* The same, or NULL if nothing is known to wait for the host. */
struct backlog *backlogs_find(const struct backlogs *all, const struct host *host);

/* The lonHostID in a name: its shortest end that is a known host, a pointer into it. Or NULL. */
const char *backlogs_host_in(struct backlogs *all, const char *name);

/* Frees a backlog. Its files must have been forgotten, and its sender be at rest. */
void backlog_free(struct backlog *backlog);

/* Whether nothing is left of it, neither known nor unknown. */
bool backlog_is_over(const struct backlog *backlog);

/*
 * Adds the name of a file on disk that is neither in the set nor a struct file. When that takes
 * more than deferred_memory, each backlog forgets its names farthest from their turn.
 */
void backlog_put(struct backlog *backlog, const char *name);

/*
 * Makes a struct file of the first name, which must be there; the file becomes READY. NULL if it is
 * a file already, if its host has gone, or without memory; the name has left the set in any case.
 */
struct file *backlog_take_first(struct backlog *backlog);

/* Forgets all names, and the number of unnamed files. */
void backlog_clear(struct backlog *backlog);

/* The epoch in the name of its oldest file, in seconds; 0 if that is not known. */
uint64_t backlog_oldest(const struct backlog *backlog);

/*
 * A scan begins: the names are forgotten, and backlog_put is called for each file until it ends.
 * Until then the counts stay as they were before.
 */
void backlogs_begin_scan(struct backlogs *all);
void backlogs_end_scan(struct backlogs *all);

#endif
