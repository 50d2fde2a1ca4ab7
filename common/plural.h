/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages with numbers in them: "1 host", "2 hosts".
 */
#ifndef LONC_COMMON_PLURAL_H
#define LONC_COMMON_PLURAL_H

#include <stdint.h>

/* What follows a noun after this number: printf("%zu host%s", count, plural(count)). */
static inline const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

#endif
