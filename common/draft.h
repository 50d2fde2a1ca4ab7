/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replacing a file as a whole: the new content is written to a draft beside the file, and the draft
 * then takes the file's place. A reader sees the old content or the new, never half of one, and a
 * failure leaves the old file as it was.
 *
 * The draft's name is of this process alone, so two programs that write the same file at once do
 * not write into each other's draft; it is created with O_EXCL, so a link that somebody has laid in
 * a folder of theirs is not followed. A symbolic link at the path itself is replaced, not followed.
 */
#ifndef LONC_COMMON_DRAFT_H
#define LONC_COMMON_DRAFT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/attributes.h"

struct draft {
    FILE *file; /* to write to; NULL while no draft is open */
    char path[PATH_MAX], name[PATH_MAX];
};

/*
 * Creates a draft for `path`, with exactly these permissions (the umask does not apply). The owner
 * is the process. 0, or a negative errno and then nothing is open.
 */
MUST_CHECK int draft_open(struct draft *draft, const char *path, mode_t mode);

/*
 * Puts the draft in the file's place. With `durable`, content and name have reached the disk when
 * the call returns, and a loss of power leaves the old file or the new one; this waits for the
 * disk, so never from an event loop. 0, or a negative errno: of any write before it, too (-EIO
 * where the cause is not known). Either way the draft is closed, and on failure removed; only a
 * folder that cannot be synced leaves the new file in place.
 */
MUST_CHECK int draft_install(struct draft *draft, bool durable);

/* Removes the draft and leaves the file as it is. Does nothing where no draft is open. */
void draft_discard(struct draft *draft);

/* All of it in one step. 0 or a negative errno. */
MUST_CHECK int draft_replace(const char *path, const void *bytes, size_t length, mode_t mode,
                             bool durable);

#endif
