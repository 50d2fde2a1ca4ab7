/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes a client's answer: what the socket takes goes at once, the rest is kept and goes in
 * portions. A reply of lond is not copied for that, its buffer is taken over.
 */
#ifndef LONC_KEEPER_CLIENT_ANSWER_WRITER_H
#define LONC_KEEPER_CLIENT_ANSWER_WRITER_H

#include <stddef.h>

#include "common/attributes.h"
#include "common/buffer.h"
#include "keeper/core/loop.h"

struct answer_writer {
    struct loop *loop;
    int fd;            /* the client's, which closes it */
    struct buffer out; /* what is still to be written */
};

/* Begins to write to `fd`, which is borrowed. */
void answer_writer_begin(struct answer_writer *writer, struct loop *loop, int fd);

/*
 * Sends an answer. `reply` is the buffer it lies in, which may be taken away by swapping it; NULL
 * if it lies elsewhere. Returns 0 when all is sent; 1 when a rest is kept, for which
 * answer_writer_continue is to be called; or a negative errno: the client is lost.
 */
MUST_CHECK int answer_writer_start(struct answer_writer *writer, const char *bytes, size_t length,
                                   struct buffer *reply);

/*
 * Sends a portion of the rest. The same results, and -EAGAIN when the socket takes nothing now.
 */
MUST_CHECK int answer_writer_continue(struct answer_writer *writer);

/* Frees the rest. */
void answer_writer_end(struct answer_writer *writer);

#endif
