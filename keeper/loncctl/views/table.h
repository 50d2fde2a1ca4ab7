/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables of text with aligned columns, never wider than the terminal. If a table does not fit, the
 * columns that matter least are left out and named below it; then the widest cells are cut.
 *
 * Not done with libsmartcols, which was tried: it has no least width of a column, no order in which
 * to leave columns out and no mark for a cut cell, so all of the fitting remained (224 lines
 * instead of 249). It also colors the padding of a cell and prints no heading above an empty table.
 */
#ifndef LONC_KEEPER_LONCCTL_VIEWS_TABLE_H
#define LONC_KEEPER_LONCCTL_VIEWS_TABLE_H

#include <stddef.h>

#include "keeper/loncctl/core/terminal.h"

struct column {
    const char *title;
    bool right;        /* aligned to the right, for numbers */
    unsigned least;    /* cells may be cut to this many characters; 0: they are never cut */
    unsigned dispense; /* the higher, the earlier it is left out for lack of room; 0: never */
};

struct table;

/* Returns a table without rows, which the caller frees with table_free(). The columns and their
 * titles are copied. */
struct table *table_new(const struct column *columns, size_t count);

/* Appends the next cell, row after row. The text is cleaned (display_clean()) and copied; NULL is
 * shown as "-". */
void table_cell(struct table *table, enum style style, const char *text);
void table_printf(struct table *table, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether the table fits with all its columns, cut where they may be cut. */
bool table_fits(const struct table *table);

/* Prints the heading and all rows to standard output. */
void table_print(struct table *table);

void table_free(struct table *table);

#endif
