/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program's command line, described by one table that serves both to parse the options and to
 * print the help, so that neither can name an option that the other does not have.
 *
 * Only long options exist; getopt_long(3) parses them, so `--option=value`, unambiguous
 * abbreviations and `--` work as everywhere. Depends on the C library alone: lonc-shim, which is
 * linked statically, uses it too.
 *
 *     static const struct option_row rows[] = {
 *         {"config", 'c', "FILE", "settings, by default " CONFIG_PATH},
 *         {"help", OPTION_HELP, NULL, "print this help"},
 *     };
 *     static const struct command_line line = {"lonc-tool", OPTION_ROWS(rows), .misuse = 2, ...};
 *     struct options options;
 *     int option;
 *     options_start(&options, &line, argc, argv);
 *     while ((option = options_next(&options)) != OPTION_END)
 *         switch (option) {
 *         case 'c':
 *             config = options.value;
 *         }
 *     options_expect_no_words(&options);
 */
#ifndef LONC_COMMON_OPTIONS_H
#define LONC_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/attributes.h"

/* What options_next() returns besides the rows' own letters. */
enum {
    OPTION_END = -1,
    OPTION_HELP = 256, /* options_next() prints the help and exits with 0 */
    OPTION_VERSION,    /* options_next() prints program and version and exits with 0 */
};

struct option_row {
    const char *name;     /* without the dashes */
    int letter;           /* what options_next() returns for it; it is no short option */
    const char *argument; /* the argument's name in the help, or NULL if the option takes none */
    const char *help;     /* says what it does, wrapped as needed; NULL hides the option */
};

/* A word that the command line may contain, listed in the help above the options. */
struct option_word {
    const char *word, *help;
};

struct command_line {
    const char *program;
    const struct option_row *rows;
    size_t row_count;
    int misuse;          /* exit code for a wrong command line */
    const char *purpose; /* the first sentence of the help */
    const char *usage; /* what follows the options in the usage line ("VERB [WORD...]"), or NULL */
    const struct option_word *words;
    size_t word_count;
    const char *const *notes; /* paragraphs below the options, ended by NULL; or NULL */
};

/* Initializes .rows and .row_count of a command_line from an array. */
#define OPTION_ROWS(table) .rows = (table), .row_count = sizeof(table) / sizeof(*(table))

/* The same for .words and .word_count. */
#define OPTION_WORDS(table) .words = (table), .word_count = sizeof(table) / sizeof(*(table))

/* A table has no more rows than this. */
#define OPTION_ROWS_MAX 15

/* A command line being parsed. Only `value`, `words` and `word_count` are for the caller. */
struct options {
    const struct command_line *line;
    int argc;
    char **argv;
    bool before_words;
    const char *value; /* the argument of the option that options_next() returned, else NULL */
    char **words;      /* after OPTION_END: what is no option, part of argv */
    size_t word_count;
};

/*
 * Begins with argv[1]; argv[0] is ignored. Options and words may be mixed, which moves the words to
 * the end of argv. options_start_before_words() leaves argv as it is and ends at the first word.
 * A second command line may be parsed once the first one is finished.
 */
void options_start(struct options *options, const struct command_line *line, int argc, char **argv);
void options_start_before_words(struct options *options, const struct command_line *line, int argc,
                                char **argv);

/*
 * Returns the letter of the next option, or OPTION_END. An unknown or ambiguous option and an
 * argument that is missing or not allowed are reported on standard error, and the program exits
 * with the code for misuse.
 */
MUST_CHECK int options_next(struct options *options);

/* Reports misuse of the command line on standard error: "PROGRAM: WHAT" or "PROGRAM: WHAT: VALUE"
 * where value is not NULL; then exits. */
_Noreturn void options_misuse(const struct command_line *line, const char *what, const char *value);

/* After OPTION_END, for a program that takes options alone: a word is misuse. */
void options_expect_no_words(const struct options *options);

/* The whole help, in lines of at most 80 columns: purpose, usage line, words, options, notes. */
void options_print_help(const struct command_line *line, FILE *out);

/* The list of options alone, for a program that has more to say before it. */
void options_print_list(const struct command_line *line, FILE *out);

#endif
