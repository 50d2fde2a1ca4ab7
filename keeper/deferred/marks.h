/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Marks of transactions that lond has executed and whose files could not be recorded or removed
 * yet. They are written where the folder's own troubles do not reach, so that the next keeper
 * finishes them instead of sending them again. There are few: nothing more is sent while the cause
 * lasts.
 */
#ifndef LONC_KEEPER_DEFERRED_MARKS_H
#define LONC_KEEPER_DEFERRED_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "keeper/deferred/delayed.h"

/* As many as are kept; where there are more, nothing is sent any more until there are fewer. */
#define MARKS_MOST 1000

struct mark {
    ino_t folder, inode;
    bool logged; /* its S line is written: only the file is left */
    unsigned char digest[DELAYED_DIGEST_SIZE];
    char name[256];
};

/*
 * Writes the marks of this folder of deferred files in the place of those before; without any,
 * there is no file of them. `directories` (ended by NULL) are tried in turn. 0 or a negative errno.
 */
int marks_write(const char *const directories[], const char *delayed, const struct mark *marks,
                size_t count);

/*
 * Reads them: up to `most`, the number is returned. What cannot be read, or is malformed, is not
 * there.
 */
size_t marks_read(const char *const directories[], const char *delayed, struct mark *marks,
                  size_t most);

#endif
