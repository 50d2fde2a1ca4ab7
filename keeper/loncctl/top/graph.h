/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Small graphs made of text: one character for each value, the newest on the right.
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_GRAPH_H
#define LONC_KEEPER_LONCCTL_TOP_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

/* The last values of something, as many as the widest graph shows. */
#define SERIES_LENGTH 32

struct series {
    float values[SERIES_LENGTH]; /* a ring; NAN where nothing was known */
    unsigned count;              /* values ever added */
};

void series_add(struct series *series, double value);

/* Bytes of the widest graph, including the NUL: a block takes three in UTF-8. */
#define GRAPH_SIZE (3 * SERIES_LENGTH + 1)

/*
 * Draws the last `width` values, SERIES_LENGTH at most, as `width` characters; a blank where there
 * is no value. The highest value has full height, or `least` if that is higher, so that next to
 * nothing does not look like a mountain range. Without `utf8` it is drawn in ASCII.
 */
void graph_draw(char text[GRAPH_SIZE], const struct series *series, unsigned width, double least,
                bool utf8);

#endif
