/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncctl's way to the keeper: one line there, one JSON value back. What goes wrong ends the
 * program with a sentence and the exit code for it.
 */
#ifndef LONC_LONCCTL_ASK_H
#define LONC_LONCCTL_ASK_H

#include <jansson.h>

enum loncctl_exit { LONCCTL_DONE = 0, LONCCTL_NO = 1, LONCCTL_USAGE = 2, LONCCTL_UNREACHABLE = 3 };

/* Says "loncctl: WHAT: WHY" on standard error and ends. */
_Noreturn void fail(enum loncctl_exit code, const char *what, const char *why);

/* Sends the line, LF included, to the control socket at `path`, and reads the value, which the
 * caller owns. */
json_t *ask(const char *path, const char *line);

#endif
