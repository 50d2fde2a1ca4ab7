/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Small graphs of text: one character a value, the newest on the right. Pure.
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_GRAPH_H
#define LONC_KEEPER_LONCCTL_TOP_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

/* The last values of something; more than the widest graph shows are forgotten. */
#define SERIES_LENGTH 32

struct series {
    float values[SERIES_LENGTH]; /* NAN: nothing was known */
    unsigned count;              /* that there have ever been */
};

void series_add(struct series *series, double value);

/* Bytes of the widest graph, its NUL included. */
#define GRAPH_SIZE (3 * SERIES_LENGTH + 1)

/*
 * Draws the last `width` values, SERIES_LENGTH at most, in so many characters, with blanks where
 * there is none. The highest of them is as high as it gets, but nothing below `least` is: what is
 * next to nothing must not look like a mountain range. ASCII unless `utf8`.
 */
void graph_draw(char text[GRAPH_SIZE], const struct series *series, unsigned width, double least,
                bool utf8);

#endif
