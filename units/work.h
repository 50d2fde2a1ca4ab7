/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Makes the sockets there are equal to those there should be, and says each step on standard
 * output.
 */
#ifndef LONC_UNITS_WORK_H
#define LONC_UNITS_WORK_H

#include <stdbool.h>

#include "units/manager.h"
#include "units/sockets.h"

struct work {
    struct manager *manager;
    bool dry_run; /* only say */
    unsigned done, failed;
};

/* Returns when all jobs have ended, or the manager's patience has. */
void work_do(struct work *work, const struct hosts *hosts);

#endif
