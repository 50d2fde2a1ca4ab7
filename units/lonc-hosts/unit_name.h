/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of hosts' units.
 */
#ifndef LONC_UNITS_LONC_HOSTS_UNIT_NAME_H
#define LONC_UNITS_LONC_HOSTS_UNIT_NAME_H

#include <stdbool.h>

#include "common/settings.h"

/* The name of a unit has at most 255 bytes. */
#define UNIT_SIZE 256

/* How many values enum activation has. */
#define ACTIVATIONS 2

/* The name of the unit of the host with that id. `suffix` is ".socket", "@.service", ... */
void unit_name_make(char name[UNIT_SIZE], const char *id, enum activation kind, const char *suffix);

/* Whether `name` is one that unit_name_make makes for this kind and suffix. If so, copies the id
 * out of it. */
bool unit_name_is_of(char id[UNIT_SIZE], const char *name, enum activation kind,
                     const char *suffix);

#endif
