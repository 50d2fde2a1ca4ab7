/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The deferred queue counted by host and age, for people to look at.
 */
#ifndef LONC_KEEPER_LONCCTL_QUEUE_QUEUE_COUNT_H
#define LONC_KEEPER_LONCCTL_QUEUE_QUEUE_COUNT_H

#include <jansson.h>

#include "common/attributes.h"

/* Files of one host that are listed, the oldest first; for more there is find(1). */
#define QUEUE_LISTED 10000

/*
 * Reads the queue in `folder`: of all hosts, or, if `host` is not NULL, of the one with that
 * lonHostID or DNS name. `hosts` is the keeper's answer to `hosts`, or NULL without a keeper; it
 * says where the lonHostID in a file's name begins (queue_parse_name()).
 *
 *     {"hosts": [{"host", "files", "oldest", "held", "rejected", "corrupt", "ages": [n...]}...],
 *      "bounds": [seconds...], "strange": n}
 *
 * The rows are sorted by lonHostID. "files" are those that wait for delivery, "oldest" is the age
 * of the oldest in seconds, or null. "ages" counts the waiting files by age: those under the first
 * bound, then those under the second, and so on; the last number is of those over the last bound.
 * "strange" counts files that are not the queue's. Ages are counted from the time in the file's
 * name.
 *
 * With `host` there is exactly one row, even if nothing waits, and
 *
 *     "list": [{"name", "age", "size", "state": "waiting|held|rejected|corrupt"}...]
 *
 * names its files, the oldest first, QUEUE_LISTED at most (queue_text() for names that are not
 * UTF-8).
 *
 * The caller owns the answer. It is a failure, {"ok": false, "errors": [sentence]}, if the folder
 * cannot be read or the host does not exist.
 */
MUST_CHECK json_t *queue_count(const char *folder, const json_t *hosts, const char *host);

#endif
