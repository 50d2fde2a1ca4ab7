/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue as it lies on the disk (lonc-protocol(7) section 5): counted for people to
 * look at, and its files moved between the folders that are its states (keeper/deferred/delayed.h).
 * It asks nobody: what the keeper has answered is given to it. A file's content is never read, it
 * may be a secret.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_QUEUE_H
#define LONC_KEEPER_LONCCTL_CORE_QUEUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Files of one host that are named, the oldest: more is for `find`. */
#define QUEUE_LISTED 10000

/*
 * Where the queue lies: as the keeper's `status` says, or, where that is NULL, as keeper.conf at
 * `config` (NULL: the usual place) and loncapa.conf say; what is wrong with those goes to standard
 * error. The caller frees it. NULL when it is not known.
 */
char *queue_folder(const json_t *status, const char *config);

/*
 * The queue of all hosts, or with `host`, a lonHostID or a DNS name, of that one. `hosts` is the
 * keeper's answer to `hosts`, by which a name's lonHostID is told where it has dots; NULL without a
 * keeper, and then it is what follows the last dot.
 *
 *     {"hosts": [{"host", "files", "oldest", "held", "rejected", "corrupt", "ages": [n...]}...],
 *      "bounds": [seconds...], "strange": n}
 *
 * sorted by lonHostID. "files" wait for delivery, "oldest" is an age in seconds or null, "ages"
 * counts those that wait by age: under the first bound, under the second, ..., and over the last.
 * "strange" are files that are none of the queue's. An age is counted from the epoch in the name:
 * no file is looked at. With `host` there is one row, also where nothing waits, and
 *
 *     "list": [{"name", "age", "size", "state": "waiting|held|rejected|corrupt"}...]
 *
 * with its files, the oldest first, QUEUE_LISTED at most; names of files that are no UTF-8 have '?'
 * for what is not. On failure {"ok": false, "errors": [sentence]}. The caller owns it. Without
 * memory the program ends (ask.h).
 */
json_t *queue_read(const char *folder, const json_t *hosts, const char *host);

/* The actions; NULL where the word is none. */
const struct queue_action *queue_action(const char *word);

/*
 * Does it to the files of a host, to one file, or to "ALL", as the user it runs as; whose a file is
 * never changes, and none is replaced:
 *
 *     hold     what waits goes to held/
 *     release  what is in held/ waits again
 *     requeue  what is in rejected/ and corrupt/ waits again, under the name it had; the reply of
 *              lond that lay beside it goes
 *     delete   what waits, or is held, is removed, if `confirm` (NULL: yes) says so of so many
 * files
 *
 * What is delivered meanwhile is left out, and what comes meanwhile may be. Returns {"ok": bool,
 * "files": how many, "errors": [sentence...]}, errors only where there are any, and the caller owns
 * it.
 */
json_t *queue_do(const struct queue_action *action, const char *folder, const json_t *hosts,
                 const char *what, bool (*confirm)(size_t files));

#endif
