/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Looking at files of the deferred folder and reading them (lonc-protocol(7) section 5). Nothing is
 * changed on disk; when and in which order files are read is decided in delivery.c.
 */
#ifndef LONC_KEEPER_DEFERRED_DELAYED_READ_H
#define LONC_KEEPER_DEFERRED_DELAYED_READ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "common/attributes.h"
#include "common/buffer.h"
#include "keeper/deferred/delayed_name.h"

/*
 * Which file it is, and in which state. Another file in its place, or the same file with another
 * content, differs in one of these.
 */
struct delayed_identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct delayed_identity delayed_identity_of(const struct stat *status);

/* Whether nothing at all has happened to the file in between. */
bool delayed_is_same(const struct delayed_identity *one, const struct delayed_identity *other);

/* The same, except that its permissions, links or name may have changed. */
bool delayed_is_same_content(const struct delayed_identity *one,
                             const struct delayed_identity *other);

/* The result of looking at a file, or of reading it. */
enum delayed_result {
    DELAYED_READ,    /* the buffer holds its one line, LF included */
    DELAYED_EMPTY,   /* there is nothing in it: perhaps it is about to be written */
    DELAYED_OPEN,    /* somebody has it open for writing, or has written to it meanwhile */
    DELAYED_GONE,    /* somebody else has removed it */
    DELAYED_NOT_NOW, /* an error that may pass, and says nothing about the file: see `error` */
    DELAYED_CORRUPT, /* it will never be a request: see `why` */
};

struct delayed_found {
    struct delayed_identity is;
    bool writer_unknown; /* the kernel does not tell whether somebody writes to it: the file is not
                            ours, or its file system has no leases */
    int error;           /* NOT_NOW: a negative errno */
    const char *why;     /* CORRUPT: the end of a sentence for the log, as "has several lines" */
};

/* Looks at a file without opening it. READ means that it may be read; never EMPTY or OPEN. */
MUST_CHECK enum delayed_result delayed_look(int folder, const char *name,
                                            struct delayed_found *found);

/*
 * Reads a file into the buffer, without following a link or waiting for a FIFO. An unterminated
 * line gets its LF, since lonnet may omit it. READ also means that nobody had the file open for
 * writing while it was read, as far as the kernel tells (fcntl(2), leases; SIGIO must be ignored).
 */
MUST_CHECK enum delayed_result delayed_read(int folder, const char *name, uint64_t line_limit,
                                            struct buffer *buffer, struct delayed_found *found);

/* SHA-256. */
#define DELAYED_DIGEST_SIZE 32

/* The digest of a content as delayed_read returns it. */
void delayed_digest(const char *content, size_t length, unsigned char digest[DELAYED_DIGEST_SIZE]);

#endif
