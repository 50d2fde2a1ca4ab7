/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What loncctl can be told to do: one table, from which the command line, the help, bash completion
 * and the test of the manual page are derived.
 */
#ifndef LONC_KEEPER_LONCCTL_VERBS_H
#define LONC_KEEPER_LONCCTL_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/options.h"

struct verb {
    const char *name; /* one word or two; sent to the keeper as it is */
    /*
     * The arguments as the help shows them, separated by blanks. [X] is optional. X... is the rest
     * of the command line as it is, options and blanks included. Alternatives are separated by |:
     * what is in capitals is a kind of thing (HOST, FILE), except ALL; the rest is meant literally.
     */
    const char *arguments;
    bool changes;     /* only root and the keeper's user may use it */
    const char *help; /* in one line */
    const char *more; /* further lines for `loncctl VERB --help`, or NULL */
    /* Shows the keeper's answer to people. NULL: there is nothing to show but errors. */
    void (*view)(const json_t *answer);
    bool streams; /* the answer does not end; `view` is called for each of its lines */

    /* A verb that does its work itself has these instead. `run` parses the options, after the verb
     * in argv[0], and returns the exit code; on LONCCTL_USAGE the caller prints the usage. */
    int (*run)(const char *socket, int argc, char **argv);
    const struct command_line *options; /* those that `run` parses, for the help */
    bool json;                          /* it knows --json */
};

/* Finds the verb with the longest name that `words` begin with, and stores how many words its name
 * has. Returns NULL if there is none. */
const struct verb *verbs_find(char *const *words, size_t count, size_t *name_words);

/* Whether the verb's last argument is the rest of the command line as it is. */
bool verbs_take_rest(const struct verb *verb);

/* Whether the verb may have this many arguments. */
bool verbs_accept(const struct verb *verb, size_t arguments);

/* Print the usage lines, or the long help, of all verbs whose name is `name` or begins with it:
 * "queue" means "queue hold" as well. Return false if there is none. */
bool verbs_usage(FILE *out, const char *name);
bool verbs_help(const char *name);

/* Prints one line for each verb that changes something, or for each that does not. */
void verbs_summary(FILE *out, bool changes);

/* Prints all verbs for programs: name, tab, arguments. */
void verbs_list(FILE *out);

#endif
