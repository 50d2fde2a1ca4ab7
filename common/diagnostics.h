/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong with a file that an administrator has written, in the same form everywhere:
 *
 *     /etc/lonc/keeper.conf:12: connect_timeout: "3 parsecs": expected a time from 100ms to 60s
 *
 * A parser reports a mistake and goes on, so that one run of `lonc-keeper --check` finds all of
 * them. Whether the result may be used, its caller learns from `count`.
 */
#ifndef LONC_COMMON_DIAGNOSTICS_H
#define LONC_COMMON_DIAGNOSTICS_H

/* With more mistakes, the file is something else; the rest are counted, but not reported. */
#define DIAGNOSTICS_REPORTED 20

/* For those who have room for one diagnostic only: the first, cut to this size. */
#define DIAGNOSTIC_FIRST_SIZE 512

struct diagnostics {
    unsigned count;                                /* including those not reported */
    void (*say)(void *argument, const char *text); /* text: one line, without LF */
    void *argument;
    char first[DIAGNOSTIC_FIRST_SIZE]; /* empty if there is none */
};

/*
 * How a diagnostic quotes a value. A long one is cut, to leave room for what was expected.
 *
 *     diagnostics_add(to, file, line, "port: " DIAGNOSTIC_QUOTED ": expected 1 to 65535", value);
 */
#define DIAGNOSTIC_QUOTED "\"%.100s\""

/*
 * Adds one diagnostic. `line` counts from 1; 0 means the file as a whole ("cannot be read"). Bytes
 * that are not printable ASCII appear as '?', so that no file can control a terminal.
 */
__attribute__((format(printf, 4, 5))) void diagnostics_add(struct diagnostics *to, const char *file,
                                                           unsigned line, const char *format, ...);

#endif
