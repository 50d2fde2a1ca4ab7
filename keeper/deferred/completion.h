/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What follows a delivery: lonnet.perm.log gets its S line, then the file is removed. If one of the
 * two fails, the file is FILE_DELIVERED and tried again, and a mark (marks.h) tells the next keeper
 * that it must not be sent once more. Nothing is sent while that could not be done
 * (keeper/README.md rule 2).
 */
#ifndef LONC_KEEPER_DEFERRED_COMPLETION_H
#define LONC_KEEPER_DEFERRED_COMPLETION_H

#include <stdbool.h>

#include "common/attributes.h"
#include "keeper/deferred/backlog.h"

struct completion {
    struct backlogs *backlogs;
    bool unmarked; /* the marks could not be written */
};

void completion_init(struct completion *completion, struct backlogs *backlogs);

/*
 * Whether a delivery could be recorded, its file removed, and a mark written should one of these
 * fail after all: 0 or a negative errno. `obstacle` is then the path that cannot be written, which
 * is listed as a trouble; NULL: the marks are the obstacle.
 */
MUST_CHECK int completion_check(struct completion *completion, const char **obstacle);

/* Tries again to write marks that could not be written. */
void completion_retry_marks(struct completion *completion);

/* This is about to be sent as the content of the file, whose length includes the LF. */
void completion_expect(struct file *file, const struct delayed_found *found, size_t length);

/*
 * A file was delivered: records and removes it. `content` is what was sent, or NULL for a file that
 * is FILE_DELIVERED and tried again. Afterwards the file is forgotten, NEW or DELIVERED.
 */
void completion_finish(struct completion *completion, struct file *file, const char *content);

/* The folder was opened: finishes what an earlier keeper has delivered and marked in it. */
void completion_resume(struct completion *completion);

#endif
