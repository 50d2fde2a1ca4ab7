/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of the deferred queue, `<lonSockDir>/delayed` (lonc-protocol(7) section 5): a file is a
 * transaction, a folder a state, a step a rename. Nothing is ever removed but a delivered file;
 * what cannot be delivered is set aside. When and in which order files are taken is deferred.c's.
 */
#ifndef LONC_KEEPER_DEFERRED_SPOOL_H
#define LONC_KEEPER_DEFERRED_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/buffer.h"
#include "keeper/deferred/spoolname.h"

/* Opens the folder, making it where it is missing. A descriptor, or a negative errno. */
int spool_open(const char *path);

/*
 * Which file it is and in which state: another one in its place, or the same with another content,
 * differs in one of these.
 */
struct spool_identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

/* Whether nothing at all has happened to the file in between. */
bool spool_is_same(const struct spool_identity *one, const struct spool_identity *other);

/* What looking at a file, or reading it, came to. */
enum spool_result {
    SPOOL_READ,    /* the buffer holds its one line, LF included */
    SPOOL_EMPTY,   /* there is nothing in it: perhaps it is about to be written */
    SPOOL_OPEN,    /* somebody has it open for writing, or has written it meanwhile */
    SPOOL_GONE,    /* somebody else removed it */
    SPOOL_NOT_NOW, /* an error of the moment, which says nothing about the file: see `error` */
    SPOOL_CORRUPT, /* it will never be a request: see `why` */
};

/* What was found. */
struct spool_found {
    struct spool_identity is;
    bool writer_unknown; /* the kernel does not tell whether somebody writes it: not our file, or a
                            file system without leases */
    int error;           /* NOT_NOW: a negative errno */
    const char *why;     /* CORRUPT: the end of a sentence for the log, as "has several lines" */
};

/* Looks at a file without opening it. READ: it may be read; EMPTY, OPEN are never told here. */
enum spool_result spool_look(int folder, const char *name, struct spool_found *found);

/*
 * Reads a file of the folder without following a link or waiting for a FIFO. An unterminated line
 * is whole, since lonnet may omit the LF. With READ, nobody had it open for writing while it was
 * read, as far as the kernel tells that (fcntl(2), leases); SIGIO must be ignored.
 */
enum spool_result spool_read(int folder, const char *name, uint64_t line_limit,
                             struct buffer *buffer, struct spool_found *found);

/*
 * Whether files could be taken out of the folder: 0, or the negative errno of what is in the way (a
 * read-only file system, permissions, chattr +i or +a). Changes nothing.
 */
int spool_is_writable(int folder);

/* Whether this file could be, in a folder that is writable: see the sticky bit and chattr +i. */
int spool_may_take(int folder, const char *name);

/* SHA-256. */
#define SPOOL_DIGEST_SIZE 32

/* The digest of a content as spool_read gives it. */
void spool_digest(const char *content, size_t length, unsigned char digest[SPOOL_DIGEST_SIZE]);

/*
 * A file that was sent: what it was when it was read, and its content, or else the digest of that.
 * With neither, a file that anything has happened to is another one.
 */
struct spool_sent {
    struct spool_identity is;
    const char *content;         /* as spool_read gave it, or NULL */
    const unsigned char *digest; /* or NULL */
    size_t length;
};

/* What became of a file that was to be removed or set aside. */
enum spool_taken {
    SPOOL_TAKEN,
    SPOOL_TAKEN_HELD, /* it lay in held/, where an administrator had moved it meanwhile */
    SPOOL_NOT_THERE,  /* somebody has removed it, or it is another: that one is left alone */
};

/*
 * Removes a delivered file, also from held/: released, it would be delivered once more. Only what
 * was sent goes: a file that was replaced, rewritten or appended to is SPOOL_NOT_THERE and stays.
 * Returns an enum spool_taken or a negative errno, with the file where it was.
 */
int spool_remove(int folder, const char *name, const struct spool_sent *sent);

/*
 * Moves a file into the folder `where` (SPOOL_REJECTED_FOLDER, SPOOL_CORRUPT_FOLDER) below, which
 * is made when missing; nothing there is replaced: a name that is taken gets a number. With
 * `reply`, it is put beside it as `<name>.reply` first. Of what `sent` says as in spool_remove;
 * NULL: whatever is there. Returns SPOOL_TAKEN, SPOOL_NOT_THERE or a negative errno; the file is
 * then where it was.
 */
int spool_set_aside(int folder, const char *name, const char *where, const struct spool_sent *sent,
                    const char *reply, size_t reply_length);

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

/*
 * Tidies up behind a keeper that was killed: what it was storing is removed, since nobody was told
 * that it is stored; what it was removing is put back, since that may have been another file.
 */
void spool_sweep(int folder);

#endif
