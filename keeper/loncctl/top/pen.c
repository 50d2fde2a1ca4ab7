/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pieces of a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/top/pen.h"

static attr_t attributes(enum style style)
{
    switch (style) {
    case STYLE_BAD:
        return A_BOLD | (attr_t)COLOR_PAIR(STYLE_BAD);
    case STYLE_WARNING:
    case STYLE_NOTE:
        return (attr_t)COLOR_PAIR(style);
    case STYLE_HEADING:
        return A_BOLD;
    case STYLE_FAINT:
        return A_DIM;
    case STYLE_PLAIN:
        break;
    }
    return A_NORMAL;
}

/* Prints a clean text, cut to `width` columns and at the edge of the screen. */
static void put_clean(struct pen *pen, enum style style, const char *clean, unsigned width)
{
    int room = COLS - pen->column;
    if (room <= 0)
        return;
    if (width > (unsigned)room)
        width = (unsigned)room;
    size_t fits = display_fit(clean, width);
    attr_t wanted = pen->base | attributes(style);
    attron(wanted);
    mvaddnstr(pen->line, pen->column, clean, (int)fits);
    attroff(wanted);
    unsigned all = display_width(clean);
    pen->column += (int)(all < width ? all : width);
}

void pen_put(struct pen *pen, enum style style, const char *text)
{
    char *clean = display_clean(text, strlen(text));
    put_clean(pen, style, clean, (unsigned)COLS);
    free(clean);
}

void pen_put_left(struct pen *pen, enum style style, const char *text, unsigned width)
{
    int next = pen->column + (int)width + 1;
    char *clean = display_clean(text, strlen(text));
    put_clean(pen, style, clean, width);
    free(clean);
    pen->column = next;
}

void pen_put_right(struct pen *pen, enum style style, const char *text, unsigned width)
{
    unsigned length = (unsigned)strlen(text);
    int next = pen->column + (int)width + 1;
    pen->column += length < width ? (int)(width - length) : 0;
    put_clean(pen, style, text, width);
    pen->column = next;
}

void pen_put_graph(struct pen *pen, const struct series *series, unsigned width, double least)
{
    char text[GRAPH_SIZE];
    if (width == 0)
        return;
    graph_draw(text, series, width, least, terminal.utf8);
    pen_put_left(pen, STYLE_NOTE, text, width);
}

void pen_put_integer(struct pen *pen, enum style style, json_int_t number, unsigned width)
{
    struct word word;
    int length = snprintf(word.text, sizeof(word.text), "%lld", (long long)number);
    if (length > (int)width)
        snprintf(word.text, sizeof(word.text), "%lldk", (long long)number / 1000);
    pen_put_right(pen, style, word.text, width);
}
