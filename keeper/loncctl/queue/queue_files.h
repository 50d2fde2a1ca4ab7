/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of the deferred queue on disk (lonc-protocol(7) section 5): which folders they may lie
 * in, which host each belongs to, and walking through a folder. A file's content is never read,
 * because it may hold a secret; all there is to know is in its name.
 *
 * There may be a million files, so a folder is passed through name by name and never kept.
 */
#ifndef LONC_KEEPER_LONCCTL_QUEUE_QUEUE_FILES_H
#define LONC_KEEPER_LONCCTL_QUEUE_QUEUE_FILES_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "common/attributes.h"
#include "keeper/deferred/delayed_name.h"

/* The folder that a file lies in is its state (keeper/deferred/delayed_name.h). */
enum queue_place { QUEUE_WAITING, QUEUE_HELD, QUEUE_REJECTED, QUEUE_CORRUPT, QUEUE_PLACES };

struct queue_place_names {
    const char *folder; /* below the queue's folder; "." for the queue's folder itself */
    const char *key;    /* the member of a row that counts its files (queue_count.h) */
    const char *state;  /* the word for a file in it */
};

extern const struct queue_place_names queue_place_names[QUEUE_PLACES];

/*
 * Returns the path of the queue's folder, which the caller frees: from the keeper's answer to
 * `status`, or, if that is NULL, from the keeper.conf at `config` (configured_paths.h). NULL
 * if it is not known.
 */
char *queue_folder(const json_t *status, const char *config);

/* Returns the failure {"ok": false, "errors": ["WHAT: WHY"]}, which the caller owns. */
json_t *queue_failure(const char *what, const char *why);

/* Returns the text as a JSON string, which the caller owns. Of a text that is not UTF-8, each byte
 * that is not ASCII becomes '?'. */
json_t *queue_text(const char *text);

/* --- Hosts ------------------------------------------------------------------------------------ */

/*
 * Returns an object with a member for each lonHostID in the keeper's answer to `hosts`; its value
 * is the host's DNS name. The caller owns it. NULL for NULL: without a keeper, no hosts are known.
 */
json_t *queue_known_hosts(const json_t *hosts);

/*
 * Returns the lonHostID that `word` means: itself, or that of the known host with this DNS name. If
 * several hosts share the name, returns NULL rather than guess, and stores a failure that the
 * caller owns. The id points into `known` or is `word`.
 */
const char *queue_find_host(const json_t *known, const char *word, json_t **failure);

/* --- Files ------------------------------------------------------------------------------------ */

struct queue_file {
    struct delayed_order order;
    const char *host;        /* its lonHostID, which points into `name` */
    char name[NAME_MAX + 1]; /* without a number that setting it aside has appended */
};

/*
 * Takes the name of a file in that place apart. A lonHostID may contain dots, so the host is the
 * shortest end of the name that is a known host, as the keeper decides it; without one, it is what
 * follows the last dot. Returns false if this is not a file of the queue.
 */
bool queue_parse_name(const json_t *known, const char *name, enum queue_place place,
                      struct queue_file *file);

/*
 * Opens the folder of a place below the descriptor `folder`. Returns a descriptor or a negative
 * errno. Symbolic links are not followed, so that root is not led to another folder.
 */
MUST_CHECK int queue_open_place(int folder, enum queue_place place);

/*
 * Passes each name in that place to `each` until that returns false. A file that appears or
 * disappears meanwhile may or may not be passed. Returns 0, also if the place does not exist, or a
 * negative errno.
 */
MUST_CHECK int queue_walk(int folder, enum queue_place place,
                          bool (*each)(void *argument, const char *name), void *argument);

#endif
