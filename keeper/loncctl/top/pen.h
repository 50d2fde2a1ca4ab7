/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Printing the pieces of a line on top's screen, from left to right. No piece reaches beyond its
 * column or the edge of the screen, so nothing ever wraps; all text from outside is cleaned
 * (display_clean()).
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_PEN_H
#define LONC_KEEPER_LONCCTL_TOP_PEN_H

#include <jansson.h>
#include <ncurses.h>

#include "keeper/loncctl/core/terminal.h"
#include "keeper/loncctl/top/graph.h"

/* Where the next piece goes. Each piece moves the pen behind itself. */
struct pen {
    int line, column;
    attr_t base; /* attributes of the whole line */
};

/* Prints the text as it comes. */
void pen_put(struct pen *pen, enum style style, const char *text);

/* Print the text in a column of `width` characters, on its left or right side, and move the pen
 * behind the column and one blank. What is too long loses its end. Text on the right is a number or
 * a heading of ours: it must be printable ASCII. */
void pen_put_left(struct pen *pen, enum style style, const char *text, unsigned width);
void pen_put_right(struct pen *pen, enum style style, const char *text, unsigned width);

/* Prints a number in such a column, on the right; in thousands ("1234k") if it is too long. */
void pen_put_integer(struct pen *pen, enum style style, json_int_t number, unsigned width);

/* Draws the last `width` values in such a column (graph_draw()); nothing if the width is 0. */
void pen_put_graph(struct pen *pen, const struct series *series, unsigned width, double least);

#endif
