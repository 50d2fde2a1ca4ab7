/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of the deferred queue, `<lonSockDir>/delayed` (lonc-protocol(7) section 5): a file is a
 * transaction, a folder a state, a step a rename. Nothing is ever removed but a delivered file;
 * what cannot be delivered is set aside. When and in which order files are taken is deferred.c's.
 */
#ifndef LONC_KEEPER_DEFERRED_DELAYED_H
#define LONC_KEEPER_DEFERRED_DELAYED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/buffer.h"
#include "keeper/deferred/delayed_name.h"

/* Opens the folder, making it where it is missing. A descriptor, or a negative errno. */
int delayed_open(const char *path);

/*
 * Which file it is and in which state: another one in its place, or the same with another content,
 * differs in one of these.
 */
struct delayed_identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

/* Whether nothing at all has happened to the file in between. */
bool delayed_is_same(const struct delayed_identity *one, const struct delayed_identity *other);

/* What looking at a file, or reading it, came to. */
enum delayed_result {
    DELAYED_READ,    /* the buffer holds its one line, LF included */
    DELAYED_EMPTY,   /* there is nothing in it: perhaps it is about to be written */
    DELAYED_OPEN,    /* somebody has it open for writing, or has written it meanwhile */
    DELAYED_GONE,    /* somebody else removed it */
    DELAYED_NOT_NOW, /* an error of the moment, which says nothing about the file: see `error` */
    DELAYED_CORRUPT, /* it will never be a request: see `why` */
};

/* What was found. */
struct delayed_found {
    struct delayed_identity is;
    bool writer_unknown; /* the kernel does not tell whether somebody writes it: not our file, or a
                            file system without leases */
    int error;           /* NOT_NOW: a negative errno */
    const char *why;     /* CORRUPT: the end of a sentence for the log, as "has several lines" */
};

/* Looks at a file without opening it. READ: it may be read; EMPTY, OPEN are never told here. */
enum delayed_result delayed_look(int folder, const char *name, struct delayed_found *found);

/*
 * Reads a file of the folder without following a link or waiting for a FIFO. An unterminated line
 * is whole, since lonnet may omit the LF. With READ, nobody had it open for writing while it was
 * read, as far as the kernel tells that (fcntl(2), leases); SIGIO must be ignored.
 */
enum delayed_result delayed_read(int folder, const char *name, uint64_t line_limit,
                                 struct buffer *buffer, struct delayed_found *found);

/*
 * Whether files could be taken out of the folder: 0, or the negative errno of what is in the way (a
 * read-only file system, permissions, chattr +i or +a). Changes nothing.
 */
int delayed_is_writable(int folder);

/* Whether this file could be, in a folder that is writable: see the sticky bit and chattr +i. */
int delayed_may_take(int folder, const char *name);

/* SHA-256. */
#define DELAYED_DIGEST_SIZE 32

/* The digest of a content as delayed_read gives it. */
void delayed_digest(const char *content, size_t length, unsigned char digest[DELAYED_DIGEST_SIZE]);

/*
 * A file that was sent: what it was when it was read, and its content, or else the digest of that.
 * With neither, a file that anything has happened to is another one.
 */
struct delayed_sent {
    struct delayed_identity is;
    const char *content;         /* as delayed_read gave it, or NULL */
    const unsigned char *digest; /* or NULL */
    size_t length;
};

/* What became of a file that was to be removed or set aside. */
enum delayed_taken {
    DELAYED_TAKEN,
    DELAYED_TAKEN_HELD, /* it lay in held/, where an administrator had moved it meanwhile */
    DELAYED_NOT_THERE,  /* somebody has removed it, or it is another: that one is left alone */
};

/*
 * Removes a delivered file, also from held/: released, it would be delivered once more. Only what
 * was sent goes: a file that was replaced, rewritten or appended to is DELAYED_NOT_THERE and stays.
 * Returns an enum delayed_taken or a negative errno, with the file where it was.
 */
int delayed_remove(int folder, const char *name, const struct delayed_sent *sent);

/*
 * Moves a file into the folder `where` (DELAYED_REJECTED_FOLDER, DELAYED_CORRUPT_FOLDER) below,
 * which is made when missing; nothing there is replaced: a name that is taken gets a number. With
 * `reply`, it is put beside it as `<name>.reply` first. Of what `sent` says as in delayed_remove;
 * NULL: whatever is there. Returns DELAYED_TAKEN, DELAYED_NOT_THERE or a negative errno; the file
 * is then where it was.
 */
int delayed_set_aside(int folder, const char *name, const char *where,
                      const struct delayed_sent *sent, const char *reply, size_t reply_length);

/* A file being stored: see delayed_create. */
struct delayed_file {
    int fd;
    char temporary[64]; /* where it is until it is whole */
    char name[512];     /* and then */
};

/*
 * Writes `line` (LF included) to a new file in the folder "storing" below. Then the caller makes it
 * durable, and delayed_publish moves it to its place; delayed_abandon removes it at any point
 * before. 0 or a negative errno, with nothing left behind.
 */
int delayed_create(int folder, const char *host, uint64_t epoch, const char *line, size_t length,
                   struct delayed_file *file);
int delayed_publish(int folder, struct delayed_file *file);
void delayed_abandon(int folder, struct delayed_file *file);

/*
 * Tidies up behind a keeper that was killed: what it was storing is removed, since nobody was told
 * that it is stored; what it was removing is put back, since that may have been another file.
 */
void delayed_sweep(int folder);

#endif
