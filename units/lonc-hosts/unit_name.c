/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See unit_name.h.
 */
#include <stdio.h>
#include <string.h>

#include "units/lonc-hosts/unit_name.h"

static const char *const prefix_of[] = {
    [ACTIVATION_PER_CONNECTION] = "lonc-host-",
    [ACTIVATION_SHARED] = "lonc-shared@",
};
_Static_assert(sizeof(prefix_of) / sizeof(*prefix_of) == ACTIVATIONS, "one for each activation");

void unit_name_make(char name[UNIT_SIZE], const char *id, enum activation kind, const char *suffix)
{
    snprintf(name, UNIT_SIZE, "%s%s%s", prefix_of[kind], id, suffix);
}

bool unit_name_is_of(char id[UNIT_SIZE], const char *name, enum activation kind, const char *suffix)
{
    const char *prefix = prefix_of[kind];
    size_t all = strlen(name), before = strlen(prefix), after = strlen(suffix);
    if (all <= before + after || all >= UNIT_SIZE || strncmp(name, prefix, before) != 0 ||
        strcmp(name + all - after, suffix) != 0)
        return false;
    snprintf(id, UNIT_SIZE, "%.*s", (int)(all - before - after), name + before);
    return true;
}
