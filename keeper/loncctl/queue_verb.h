/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `queue`. Unlike the others, it does its work itself, on disk: it works without a keeper,
 * and the keeper's loop must not wait for a million files. Before it changes something, it asks the
 * keeper, which checks who is there and logs it.
 */
#ifndef LONC_KEEPER_LONCCTL_QUEUE_VERB_H
#define LONC_KEEPER_LONCCTL_QUEUE_VERB_H

#include "common/options.h"

/* The verb's own options. */
extern const struct command_line queue_command_line;

/* Carries the verb out; argv[0] is "queue". Returns loncctl's exit code; LONCCTL_USAGE means that
 * the number of words is wrong, and nothing has been printed. */
int queue_verb(const char *socket, int argc, char **argv);

#endif
