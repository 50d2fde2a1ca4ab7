/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stream whose text stays in memory. What open_memstream gives does not tell when there was no
 * memory: the text lacks a piece then, and nobody knows. Here the program ends
 * (ask.h) when it is closed.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_TEXTSTREAM_H
#define LONC_KEEPER_LONCCTL_CORE_TEXTSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct textstream {
    FILE *out; /* to write to */
    char *text;
    size_t length, size;
    bool failed; /* there was no memory for a piece */
};

/* Begins; `stream` stays where it is until it is closed. */
void textstream_open(struct textstream *stream);

/* Ends, and returns the text, which the caller owns; `stream->length` tells how long it is. */
char *textstream_close(struct textstream *stream);

#endif
