/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Storing a transaction durably; deferred_store in deferred.h says what that means.
 */
#ifndef LONC_KEEPER_STORE_H
#define LONC_KEEPER_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "keeper/backlog.h"
#include "keeper/permlog.h"

/* `line` stays until `done`: a long one is written in portions. */
void store_start(struct backlogs *all, const char *host, const char *line, size_t length,
                 void (*done)(void *argument, bool stored), void *argument);

/* What is still to be written is written now: there will be no more turns of the loop. */
void stores_write_out(struct backlogs *all);

/* Writes a line to lonnet.perm.log; a failure is logged. `command` is without LF. */
void store_log(struct backlogs *all, enum permlog_kind kind, const char *host, const char *command,
               size_t length);

#endif
