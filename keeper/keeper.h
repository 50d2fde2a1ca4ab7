/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper as a whole: it puts the parts together, hears signals, reloads, and leaves in order.
 */
#ifndef LONC_KEEPER_KEEPER_H
#define LONC_KEEPER_KEEPER_H

#include "common/config.h"

/*
 * Runs until it is told to stop. `config`, which becomes the keeper's, may be invalid for the
 * reason `diagnostic`: then all are answered con_lost until the files are valid, which are read
 * again by themselves. `config_path` is what a reload reads (config_load). Returns 0, or a negative
 * errno when it could not start.
 */
int keeper_run(struct config *config, const char *config_path, const char *diagnostic);

/* A diagnostic about a configuration, as the log has it; for struct diagnostics. */
void keeper_say_in_log(void *argument, const char *text);

#endif
