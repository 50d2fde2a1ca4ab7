/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The units in which settings are bounded, for the two files that need them: sizes are stored in
 * bytes, times in microseconds.
 */
#ifndef LONC_COMMON_SETTING_UNITS_H
#define LONC_COMMON_SETTING_UNITS_H

#include <stdint.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define MS   UINT64_C(1000)
#define S    (1000 * MS)
#define MIN  (60 * S)
#define HOUR (60 * MIN)

#endif
