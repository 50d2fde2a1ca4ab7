/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cells are collected first, since a column's width depends on all of them. Widths are counted in
 * columns of the terminal: a character may take two.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/views/table.h"

/* Blanks between columns. */
#define GAP 2

struct cell {
    char *text; /* from display_clean() */
    unsigned width;
    enum style style;
};

struct shape {
    struct column column;
    unsigned natural; /* width of the widest cell, the title included */
    unsigned width;   /* width it is given */
    bool shown;
};

struct table {
    struct shape *shapes;
    size_t columns;
    struct cell *cells; /* row by row */
    size_t count, size;
};

struct table *table_new(const struct column *columns, size_t count)
{
    struct table *table = must(calloc(1, sizeof(*table)));
    table->shapes = must(calloc(count, sizeof(*table->shapes)));
    table->columns = count;
    for (size_t i = 0; i < count; i++) {
        struct shape *shape = &table->shapes[i];
        *shape = (struct shape){.column = columns[i], .shown = true};
        shape->column.title = must(strdup(columns[i].title));
        shape->natural = display_width(columns[i].title);
    }
    return table;
}

void table_cell(struct table *table, enum style style, const char *text)
{
    if (text == NULL)
        text = "-";
    if (table->count == table->size) {
        table->size = table->size == 0 ? 64 * table->columns : 2 * table->size;
        table->cells = must(reallocarray(table->cells, table->size, sizeof(*table->cells)));
    }
    struct cell *cell = &table->cells[table->count];
    struct shape *shape = &table->shapes[table->count++ % table->columns];
    *cell = (struct cell){.text = display_clean(text, strlen(text)), .style = style};
    cell->width = display_width(cell->text);
    if (cell->width > shape->natural)
        shape->natural = cell->width;
}

void table_printf(struct table *table, enum style style, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    table_cell(table, style, must(text));
    free(text);
}

/* --- Fitting ---------------------------------------------------------------------------------- */

static unsigned narrowest(const struct shape *shape)
{
    unsigned least = shape->column.least;
    return least > 0 && least < shape->natural ? least : shape->natural;
}

/* The width of the whole table if each shown column is as wide as `width` says. */
static unsigned total_width(const struct table *table, unsigned (*width)(const struct shape *shape))
{
    unsigned total = 0;
    for (size_t i = 0; i < table->columns; i++)
        if (table->shapes[i].shown)
            total += width(&table->shapes[i]) + GAP;
    return total > 0 ? total - GAP : 0;
}

static unsigned given_width(const struct shape *shape)
{
    return shape->width;
}

/* Returns false if no more columns may be left out. */
static bool leave_out_one_column(struct table *table)
{
    struct shape *found = NULL;
    for (size_t i = 0; i < table->columns; i++) {
        struct shape *shape = &table->shapes[i];
        if (shape->shown && shape->column.dispense > 0 &&
            (found == NULL || shape->column.dispense > found->column.dispense))
            found = shape;
    }
    if (found != NULL)
        found->shown = false;
    return found != NULL;
}

/* Takes one character from the widest column that may be cut. Returns false if none may. */
static bool narrow_widest_column(struct table *table)
{
    struct shape *found = NULL;
    for (size_t i = 0; i < table->columns; i++) {
        struct shape *shape = &table->shapes[i];
        if (shape->shown && shape->width > narrowest(shape) &&
            (found == NULL || shape->width > found->width))
            found = shape;
    }
    if (found != NULL)
        found->width--;
    return found != NULL;
}

bool table_fits(const struct table *table)
{
    return terminal.width == 0 || total_width(table, narrowest) <= terminal.width;
}

static void fit_into_terminal(struct table *table)
{
    for (size_t i = 0; i < table->columns; i++)
        table->shapes[i].width = table->shapes[i].natural;
    if (terminal.width == 0)
        return;
    while (!table_fits(table) && leave_out_one_column(table))
        ;
    while (total_width(table, given_width) > terminal.width && narrow_widest_column(table))
        ;
}

/* --- Printing --------------------------------------------------------------------------------- */

static void print_blanks(unsigned count)
{
    printf("%*s", (int)count, "");
}

/* Prints the text, cut if it is wider than `room`. Returns the width printed. */
static unsigned print_cut(const char *text, unsigned width, unsigned room)
{
    unsigned mark = display_width(display_ellipsis());
    if (width <= room) {
        fputs(text, stdout);
        return width;
    }
    if (room <= mark)
        mark = 0;
    size_t fits = display_fit(text, room - mark);
    fwrite(text, 1, fits, stdout);
    if (mark > 0)
        fputs(display_ellipsis(), stdout);
    return width - display_width(text + fits) + mark;
}

/* If even the narrowest table is wider than the terminal, the line ends at the edge. Blanks are
 * printed only in front of a cell, so no line ends with them. */
static void print_row(const struct table *table, const struct cell *cells)
{
    unsigned at = 0, pending = 0;
    for (size_t i = 0; i < table->columns; i++) {
        const struct shape *shape = &table->shapes[i];
        const struct cell *cell = &cells[i];
        if (!shape->shown)
            continue;
        unsigned shown = cell->width < shape->width ? cell->width : shape->width;
        if (shape->column.right)
            pending += shape->width - shown;
        if (terminal.width > 0 && at + pending + shown > terminal.width) {
            if (at + pending >= terminal.width)
                break;
            shown = terminal.width - at - pending;
        }
        print_blanks(pending);
        fputs(terminal_start(cell->style), stdout);
        at += pending + print_cut(cell->text, cell->width, shown);
        fputs(terminal_stop(cell->style), stdout);
        pending = GAP + (shape->column.right ? 0 : shape->width - shown);
    }
    putchar('\n');
}

static void print_heading(const struct table *table)
{
    struct cell *cells = must(calloc(table->columns, sizeof(*cells)));
    for (size_t i = 0; i < table->columns; i++) {
        const char *title = table->shapes[i].column.title;
        cells[i] = (struct cell){(char *)(uintptr_t)title, display_width(title), STYLE_HEADING};
    }
    print_row(table, cells);
    free(cells);
}

static void print_left_out_columns(const struct table *table)
{
    char names[256] = "left out for lack of room:";
    bool any = false;
    for (size_t i = 0; i < table->columns; i++) {
        const struct shape *shape = &table->shapes[i];
        size_t length = strlen(names);
        if (!shape->shown)
            snprintf(names + length, sizeof(names) - length, "%s %s", any ? "," : "",
                     shape->column.title);
        any = any || !shape->shown;
    }
    if (!any)
        return;
    fputs(terminal_start(STYLE_FAINT), stdout);
    display_wrapped(0, names);
    fputs(terminal_stop(STYLE_FAINT), stdout);
}

void table_print(struct table *table)
{
    fit_into_terminal(table);
    print_heading(table);
    for (size_t i = 0; i + table->columns <= table->count; i += table->columns)
        print_row(table, &table->cells[i]);
    print_left_out_columns(table);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    for (size_t i = 0; i < table->columns; i++)
        free((char *)(uintptr_t)table->shapes[i].column.title);
    free(table->cells);
    free(table->shapes);
    free(table);
}
