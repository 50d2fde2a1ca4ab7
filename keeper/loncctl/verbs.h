/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What loncctl can be told to do: one table, from which the command line, the help, the completion
 * and the manual page's test come.
 */
#ifndef LONC_KEEPER_LONCCTL_VERBS_H
#define LONC_KEEPER_LONCCTL_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct verb {
    const char *name; /* one word or two; sent to the keeper as it is */
    /*
     * As the help shows them, with blanks between: [X] may be missing, X... is the rest of the
     * command line as it stands, options and blanks included. Alternatives stand with | between:
     * what is in capitals is a kind of thing (HOST, FILE), except ALL, and the rest is meant as it
     * stands.
     */
    const char *arguments;
    bool changes;     /* for root and the service's user only */
    const char *help; /* in one line */
    const char *more; /* what else there is to know, for `loncctl VERB --help` */
    /* Shows the keeper's answer to people; NULL when there is nothing to show but mistakes. */
    void (*view)(const json_t *answer);
    bool streams; /* `view` is called for each line of an answer that does not end */
    /* In the place of all that: does it by itself, options included, argv[0] being the verb.
     * Returns the exit code. */
    int (*run)(const char *socket, int argc, char **argv);
    bool json; /* and it knows --json */
};

/* The verb that the words start with, the longest name first, and how many words its name has; NULL
 * when there is none. */
const struct verb *verbs_find(char *const *words, size_t count, size_t *name_words);

/* Whether the last argument is the rest of the command line as it stands. */
bool verbs_take_rest(const struct verb *verb);

/* Whether so many arguments are right for the verb. */
bool verbs_accept(const struct verb *verb, size_t arguments);

/* The usage lines, or the long help, of the verb of that name and of those whose names start with
 * it: "queue" is "queue hold" as well. False when there is none. */
bool verbs_usage(FILE *out, const char *name);
bool verbs_help(const char *name);

/* All verbs, a line each: those that look, or those that change. */
void verbs_summary(FILE *out, bool changes);

/* All verbs for programs: name, tab, arguments. */
void verbs_list(FILE *out);

#endif
