/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of the deferred queue, `<lonSockDir>/delayed` (PROTOCOL.md section 5): a file is a
 * transaction, a folder a state, a step a rename. Nothing is ever removed but a delivered file;
 * what cannot be delivered is set aside. When and in which order files are taken is deferred.c's.
 */
#ifndef LONC_KEEPER_SPOOL_H
#define LONC_KEEPER_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buffer.h"

/* The folders below it, each a state; SPOOL_HELD_FOLDER is an administrator's (loncctl queue hold).
 */
#define SPOOL_HELD_FOLDER     "held"
#define SPOOL_REJECTED_FOLDER "rejected"
#define SPOOL_CORRUPT_FOLDER  "corrupt"

/* Where a file stands among those of its host. */
struct spool_order {
    uint64_t epoch, count;
};

/* Below, at or above zero, as one stands before, beside or behind the other. */
int spool_compare(const struct spool_order *one, const struct spool_order *other);

/*
 * Takes a name `<epoch>.<count>.<pid>.<command letters>.<lonHostID>` apart. Returns the host, a
 * pointer into `name`, or NULL when this is no name of a deferred file: two numbers and a valid
 * host behind the last dot are asked for, and nothing of what lies between.
 */
const char *spool_parse_name(const char *name, struct spool_order *order);

/*
 * A lonHostID may have dots in it. The host of the same name with one component more on its left,
 * or NULL where that would be no part of the host: epoch and count are never.
 */
const char *spool_longer_host(const char *name, const char *host);

/* Opens the folder, making it where it is missing. A descriptor, or a negative errno. */
int spool_open(const char *path);

/* What reading a file came to. */
enum spool_result {
    SPOOL_READ,    /* the buffer holds its one line, LF included */
    SPOOL_EMPTY,   /* there is nothing in it: perhaps it is about to be written */
    SPOOL_GONE,    /* somebody else removed it */
    SPOOL_NOT_NOW, /* there is no memory, or somebody is writing it still */
    SPOOL_CORRUPT, /* it will never be a request: see `why` */
};

/*
 * Reads a file of the folder without following a link or waiting for a FIFO. An unterminated line
 * is whole, since lonnet may omit the LF. `why` gets a sentence for the log when the result is
 * CORRUPT, `inode` the file's number when it is READ.
 */
enum spool_result spool_read(int folder, const char *name, uint64_t line_limit,
                             struct buffer *buffer, ino_t *inode, const char **why);

/*
 * Removes a delivered file, also where an administrator has moved it to held/ while it was with its
 * lond: released, it would be delivered once more. `inode` is what spool_read told, so that no
 * other file of that name goes. Returns whether it lay in the folder itself (that it is gone
 * already is false, too), or a negative errno.
 */
int spool_remove(int folder, const char *name, ino_t inode);

/*
 * Moves a file into the folder `where` (SPOOL_REJECTED_FOLDER, SPOOL_CORRUPT_FOLDER) below, which
 * is made when missing; nothing there is replaced: a name that is taken gets a number. With
 * `reply`, it is put beside it as
 * `<name>.reply` first. 0 or a negative errno; the file is then where it was.
 */
int spool_set_aside(int folder, const char *name, const char *where, const char *reply,
                    size_t reply_length);

/* A file being stored: see spool_create. */
struct spool_file {
    int fd;
    char temporary[64]; /* where it is until it is whole */
    char name[512];     /* and then */
};

/*
 * Writes `line` (LF included) to a new file in the folder "storing" below. Then the caller makes it
 * durable, and spool_publish moves it to its place; spool_abandon removes it at any point before. 0
 * or a negative errno, with nothing left behind.
 */
int spool_create(int folder, const char *host, uint64_t epoch, const char *line, size_t length,
                 struct spool_file *file);
int spool_publish(int folder, struct spool_file *file);
void spool_abandon(int folder, struct spool_file *file);

/* Removes what spool_create of a keeper that was killed has left: nobody was told that it is
 * stored. */
void spool_sweep(int folder);

/* Whether this is the name of one of the folders below: no file, and nothing strange. */
bool spool_is_own(const char *name);

#endif
