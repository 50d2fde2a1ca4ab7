/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parsing a command line and printing its help, from one table.
 */
#include <assert.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"

/* Help fits into a terminal of the usual size. */
#define COLUMNS 80

/* Explanations begin here at the latest; behind a longer option they start on the next line. */
#define EXPLANATION_COLUMN_MAX 32

/* --- Parsing ---------------------------------------------------------------------------------- */

static void start(struct options *options, const struct command_line *line, int argc, char **argv)
{
    assert(line->row_count <= OPTION_ROWS_MAX);
    *options = (struct options){.line = line, .argc = argc, .argv = argv};
    optind = 0; /* makes getopt_long forget an earlier command line */
}

void options_start(struct options *options, const struct command_line *line, int argc, char **argv)
{
    start(options, line, argc, argv);
}

void options_start_before_words(struct options *options, const struct command_line *line, int argc,
                                char **argv)
{
    start(options, line, argc, argv);
    options->before_words = true;
}

/* getopt_long reports misuse itself, with argv[0] before it; that shall be the program's name. */
static int next_option(struct options *options)
{
    const struct command_line *line = options->line;
    struct option known[OPTION_ROWS_MAX + 1] = {{NULL, 0, NULL, 0}};
    for (size_t i = 0; i < line->row_count; i++)
        known[i] = (struct option){
            .name = line->rows[i].name,
            .has_arg = line->rows[i].argument != NULL ? required_argument : no_argument,
            .val = line->rows[i].letter,
        };
    char *first = options->argv[0];
    options->argv[0] = (char *)line->program; /* only read */
    int option =
        getopt_long(options->argc, options->argv, options->before_words ? "+" : "", known, NULL);
    options->argv[0] = first;
    return option;
}

int options_next(struct options *options)
{
    const struct command_line *line = options->line;
    int option = next_option(options);
    options->value = optarg;
    switch (option) {
    case OPTION_END:
        options->words = options->argv + optind;
        options->word_count = (size_t)(options->argc - optind);
        break;
    case OPTION_HELP:
        options_print_help(line, stdout);
        exit(EXIT_SUCCESS);
    case OPTION_VERSION:
        printf("%s " LONC_VERSION "\n", line->program);
        exit(EXIT_SUCCESS);
    case '?':
        exit(line->misuse);
    }
    return option;
}

_Noreturn void options_misuse(const struct command_line *line, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s%s%s\n", line->program, what, value != NULL ? ": " : "",
            value != NULL ? value : "");
    exit(line->misuse);
}

void options_expect_no_words(const struct options *options)
{
    if (options->word_count > 0)
        options_misuse(options->line, "unexpected argument", options->words[0]);
}

/* --- Help ------------------------------------------------------------------------------------- */

/* A paragraph being printed; lines after the first are indented. */
struct paragraph {
    FILE *out;
    size_t column, indent;
};

/* Prints a piece that is not broken, on the next line if this one has no room for it. */
static void put_piece(struct paragraph *to, const char *piece, size_t length)
{
    bool first = to->column <= to->indent;
    if (!first && to->column + 1 + length > COLUMNS) {
        fprintf(to->out, "\n%*s", (int)to->indent, "");
        to->column = to->indent;
        first = true;
    }
    fprintf(to->out, "%s%.*s", first ? "" : " ", (int)length, piece);
    to->column += length + !first;
}

static void put_words(struct paragraph *to, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        put_piece(to, text, length);
        text += length;
        text += strspn(text, " ");
    }
}

/* How an option is written in the usage line and in the list: "--config FILE". */
static void write_option(char *text, size_t size, const struct option_row *row)
{
    snprintf(text, size, "--%s%s%s", row->name, row->argument != NULL ? " " : "",
             row->argument != NULL ? row->argument : "");
}

static void print_usage(const struct command_line *line, FILE *out)
{
    char option[100], piece[104];
    struct paragraph usage = {.out = out};
    usage.column = usage.indent = (size_t)fprintf(out, "usage: %s ", line->program);
    for (size_t i = 0; i < line->row_count; i++) {
        const struct option_row *row = &line->rows[i];
        if (row->help == NULL || row->letter == OPTION_HELP || row->letter == OPTION_VERSION)
            continue;
        write_option(option, sizeof(option), row);
        snprintf(piece, sizeof(piece), "[%s]", option);
        put_piece(&usage, piece, strlen(piece));
    }
    if (line->usage != NULL)
        put_words(&usage, line->usage);
    fputc('\n', out);
}

/* Where explanations begin: two blanks behind the longest name. */
static size_t explanation_column(const struct command_line *line)
{
    size_t widest = 0;
    char option[100];
    for (size_t i = 0; i < line->row_count; i++) {
        write_option(option, sizeof(option), &line->rows[i]);
        size_t width = line->rows[i].help != NULL ? strlen(option) : 0;
        widest = width > widest ? width : widest;
    }
    for (size_t i = 0; i < line->word_count; i++)
        if (strlen(line->words[i].word) > widest)
            widest = strlen(line->words[i].word);
    size_t column = 2 + widest + 2;
    return column < EXPLANATION_COLUMN_MAX ? column : EXPLANATION_COLUMN_MAX;
}

static void print_row(FILE *out, size_t column, const char *name, const char *help)
{
    struct paragraph explanation = {.out = out, .column = column, .indent = column};
    fprintf(out, "  %-*s", (int)column - 2, name);
    if (strlen(name) + 4 > column)
        fprintf(out, "\n%*s", (int)column, "");
    put_words(&explanation, help);
    fputc('\n', out);
}

void options_print_list(const struct command_line *line, FILE *out)
{
    char option[100];
    size_t column = explanation_column(line);
    for (size_t i = 0; i < line->word_count; i++)
        print_row(out, column, line->words[i].word, line->words[i].help);
    if (line->word_count > 0)
        fputc('\n', out);
    for (size_t i = 0; i < line->row_count; i++) {
        if (line->rows[i].help == NULL)
            continue;
        write_option(option, sizeof(option), &line->rows[i]);
        print_row(out, column, option, line->rows[i].help);
    }
}

void options_print_help(const struct command_line *line, FILE *out)
{
    struct paragraph purpose = {.out = out};
    put_words(&purpose, line->purpose);
    fputs("\n\n", out);
    print_usage(line, out);
    fputc('\n', out);
    options_print_list(line, out);
    for (const char *const *note = line->notes; note != NULL && *note != NULL; note++) {
        struct paragraph paragraph = {.out = out};
        fputc('\n', out);
        put_words(&paragraph, *note);
        fputc('\n', out);
    }
}
