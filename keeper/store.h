/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Storing a transaction durably; deferred_store in deferred.h says what that means.
 */
#ifndef LONC_KEEPER_STORE_H
#define LONC_KEEPER_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "keeper/backlog.h"

void store_start(struct backlogs *all, const char *host, const char *line, size_t length,
                 void (*done)(void *argument, bool stored), void *argument);

#endif
