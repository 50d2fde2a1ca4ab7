/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables of text: columns aligned, and on a terminal never wider than it is. What does not fit is
 * cut where a column may be cut, and after that columns are left out, and named below the table.
 */
#ifndef LONC_KEEPER_LONCCTL_VIEWS_TABLE_H
#define LONC_KEEPER_LONCCTL_VIEWS_TABLE_H

#include <stddef.h>

#include "keeper/loncctl/core/terminal.h"

struct column {
    const char *title;
    bool right;        /* numbers stand on the right */
    unsigned least;    /* may be cut to so many characters; 0: is never cut */
    unsigned dispense; /* left out where there is no room, the highest first; 0: never */
};

struct table;

/* A table without rows, which the caller frees. The columns are copied, with their titles. */
struct table *table_new(const struct column *columns, size_t count);

/* Adds the next cell, row by row; NULL is "-". The text is cleaned and copied. */
void table_cell(struct table *table, enum style style, const char *text);
void table_printf(struct table *table, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether all of it can be shown. */
bool table_fits(const struct table *table);

/* Prints the table with its heading. */
void table_print(struct table *table);
void table_free(struct table *table);

#endif
