/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Storing a transaction durably for a client, as deferred_enqueue in deferred.h promises.
 */
#ifndef LONC_KEEPER_DEFERRED_ENQUEUE_H
#define LONC_KEEPER_DEFERRED_ENQUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "keeper/deferred/folder.h"
#include "keeper/deferred/permlog.h"

/* See deferred_enqueue. */
void enqueue_start(struct folder *folder, const char *host, const char *line, size_t length,
                   void (*done)(void *argument, bool stored), void *argument);

/* Writes a line to lonnet.perm.log; a failure is logged. `command` is without LF. */
void enqueue_record(const struct folder *folder, enum permlog_kind kind, const char *host,
                    const char *command, size_t length);

#endif
