/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stream that collects its text in memory, instead of open_memstream(), which does not report a
 * lack of memory: the text would silently lack a piece. Here the program fails (failure.h) when the
 * stream is closed.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_TEXTSTREAM_H
#define LONC_KEEPER_LONCCTL_CORE_TEXTSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct textstream {
    FILE *out; /* to print to */
    char *text;
    size_t length, size;
    bool failed; /* a piece found no memory */
};

/* Opens the stream. The struct must not move until it is closed. */
void textstream_open(struct textstream *stream);

/* Closes the stream and returns the text, which the caller frees; its length is in
 * `stream->length`. */
char *textstream_close(struct textstream *stream);

#endif
