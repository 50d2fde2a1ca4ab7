/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `top`: all hosts, live, on the whole screen.
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_TOP_H
#define LONC_KEEPER_LONCCTL_TOP_TOP_H

#include "common/options.h"

/* The verb's own options: none. */
extern const struct command_line top_command_line;

/* Carries the verb out; argv[0] is "top". Runs until somebody quits, on SIGINT or SIGTERM, or until
 * the terminal goes away; it waits for a keeper that goes away. Returns loncctl's exit code. */
int loncctl_top(const char *socket, int argc, char **argv);

#endif
