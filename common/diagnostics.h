/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong with a file an administrator wrote, said in one form everywhere:
 *
 *     /etc/lonc/keeper.conf:12: connect_timeout: "3 parsecs": expected a time from 100ms to 60s
 *
 * A parser complains and goes on to the next line, so that one run of `lonc-keeper --check` names
 * every mistake; who called it looks at `count` to learn whether the result may be used.
 */
#ifndef LONC_COMMON_DIAGNOSTICS_H
#define LONC_COMMON_DIAGNOSTICS_H

/* Past this many a file is not what it was taken for; the rest is counted, not said. */
#define DIAGNOSTICS_REPORTED 20

/* Of the first diagnostic, for whoever has room for one only; a longer one is cut. */
#define DIAGNOSTIC_FIRST_SIZE 512

struct diagnostics {
    unsigned count;                                /* all, also those no longer said */
    void (*say)(void *argument, const char *text); /* text: one line, without LF */
    void *argument;
    char first[DIAGNOSTIC_FIRST_SIZE]; /* empty while there is none */
};

/*
 * How a diagnostic quotes a value: a long one is cut, so that what was expected is still said.
 *
 *     diagnostics_add(to, file, line, "port: " DIAGNOSTIC_QUOTED ": expected 1 to 65535", value);
 */
#define DIAGNOSTIC_QUOTED "\"%.100s\""

/*
 * Adds one diagnostic. `line` counts from 1; 0 means the file as a whole ("cannot be read"). Bytes
 * of the text that are not printable ASCII are shown as '?', so that a table cannot write to a
 * terminal.
 */
__attribute__((format(printf, 4, 5))) void diagnostics_add(struct diagnostics *to, const char *file,
                                                           unsigned line, const char *format, ...);

#endif
