/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Storing a transaction durably; deferred_enqueue in deferred.h says what that means.
 */
#ifndef LONC_KEEPER_DEFERRED_ENQUEUE_H
#define LONC_KEEPER_DEFERRED_ENQUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "keeper/deferred/backlog.h"
#include "keeper/deferred/permlog.h"

void enqueue_start(struct backlogs *all, const char *host, const char *line, size_t length,
                   void (*done)(void *argument, bool stored), void *argument);

/* Writes a line to lonnet.perm.log; a failure is logged. `command` is without LF. */
void enqueue_log(struct backlogs *all, enum permlog_kind kind, const char *host,
                 const char *command, size_t length);

#endif
