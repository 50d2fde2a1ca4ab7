/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `queue`: the only one that does its work itself, on the disk, because moving a million
 * files is nothing for the keeper's loop. The keeper is asked whether it may be, and has it logged.
 */
#ifndef LONC_KEEPER_LONCCTL_QUEUE_VERB_H
#define LONC_KEEPER_LONCCTL_QUEUE_VERB_H

#include "keeper/loncctl/core/ask.h"

/* The verb; argv[0] is "queue", options included. Looking works without a keeper too. Returns
 * loncctl's exit code. */
int queue_verb(const char *socket, int argc, char **argv);

#endif
