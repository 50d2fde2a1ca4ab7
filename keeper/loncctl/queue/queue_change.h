/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Moving files of the deferred queue between the folders that are their states, and deleting them.
 * Done here and not by the keeper, whose loop must not wait for a million files to move; the keeper
 * is asked for permission before (queue_verb.h).
 */
#ifndef LONC_KEEPER_LONCCTL_QUEUE_QUEUE_CHANGE_H
#define LONC_KEEPER_LONCCTL_QUEUE_QUEUE_CHANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/attributes.h"

/*
 *     hold     moves waiting files to held/
 *     release  moves files in held/ back, to wait again
 *     requeue  moves files in rejected/ and corrupt/ back, under the names they had; the reply of
 *              lond beside a rejected file is removed
 *     delete   removes waiting and held files
 */
struct queue_action;

/* Returns the action of that name, or NULL. */
const struct queue_action *queue_find_action(const char *word);

/*
 * Carries out the action on the queue in `folder`: on the files of a host (a lonHostID or DNS
 * name), on the one file of that name, or on the files of all hosts ("ALL"). `hosts` is the
 * keeper's answer to `hosts`. Before files are deleted, `confirm`, unless NULL, is asked with their
 * number, and may refuse.
 *
 * The keeper goes on working meanwhile: files that it delivers are left out, and files that arrive
 * may or may not be included. A file's owner does not change, and no file is replaced. When it
 * returns, the changes have reached the disk.
 *
 * Returns {"ok": bool, "files": how many were changed, "errors": [sentence...]}, with "errors" only
 * if there are any. The caller owns it.
 */
MUST_CHECK json_t *queue_change(const struct queue_action *action, const char *folder,
                                const json_t *hosts, const char *what,
                                bool (*confirm)(size_t files));

#endif
