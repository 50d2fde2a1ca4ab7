/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Marks of transactions that lond has executed, but that could not be recorded or removed yet. They
 * are written outside the deferred folder, where its troubles do not reach, so that the next keeper
 * completes these transactions instead of sending them again. There are few of them, since nothing
 * more is sent while the cause lasts.
 */
#ifndef LONC_KEEPER_DEFERRED_MARKS_H
#define LONC_KEEPER_DEFERRED_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/attributes.h"
#include "keeper/deferred/delayed_read.h"

/* The most marks that are kept. With so many, nothing is sent until there are fewer. */
#define MARKS_MOST 1000

struct mark {
    ino_t folder, inode; /* of the deferred folder, and of the file */
    bool logged;         /* the S line is written; only the file is left to be removed */
    unsigned char digest[DELAYED_DIGEST_SIZE]; /* of the content */
    char name[256];
};

/*
 * Replaces the marks of the deferred folder with path `delayed`. They go to the first of the
 * `directories` (ended by NULL) that can be written, and disappear from those behind it; without
 * marks, from all. 0 or a negative errno.
 */
MUST_CHECK int marks_write(const char *const directories[], const char *delayed,
                           const struct mark *marks, size_t count);

/* Reads up to `most` marks and returns how many. What is unreadable or malformed is left out. */
size_t marks_read(const char *const directories[], const char *delayed, struct mark *marks,
                  size_t most);

#endif
