/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Creating files in the deferred folder, and the folder itself.
 */
#ifndef LONC_KEEPER_DEFERRED_DELAYED_CREATE_H
#define LONC_KEEPER_DEFERRED_DELAYED_CREATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"

/* Opens the folder, which is created if it is missing. A descriptor, or a negative errno. */
MUST_CHECK int delayed_open(const char *path);

/* Creates one of the folders below (delayed_name.h) unless it is there. 0 or a negative errno. */
MUST_CHECK int delayed_make_below(int folder, const char *name);

/*
 * Creates a file, which must not be there yet, and writes `bytes` to it. Returns a descriptor that
 * the caller owns, or a negative errno with no file left behind.
 */
MUST_CHECK int delayed_write_new(int folder, const char *path, const char *bytes, size_t length);

/* A transaction that is being stored. */
struct delayed_file {
    int fd;             /* -1: not open */
    char temporary[64]; /* its path until it is complete */
    char name[512];     /* its name afterwards */
};

/*
 * Writes `line` (LF included) to a new file in "storing" below. The caller then makes it durable,
 * and delayed_publish moves it into the folder; delayed_abandon removes it at any point before
 * that. 0 or a negative errno, with nothing left behind.
 */
MUST_CHECK int delayed_create(int folder, const char *host, uint64_t epoch, const char *line,
                              size_t length, struct delayed_file *file);
MUST_CHECK int delayed_publish(int folder, struct delayed_file *file);
void delayed_abandon(int folder, struct delayed_file *file);

/*
 * Tidies up after a keeper that was killed. What it was storing is removed, since no client was
 * told that it is stored; what it was removing is put back, since that may have been another file.
 */
void delayed_sweep(int folder);

#endif
