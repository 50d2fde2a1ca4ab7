/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SIGINT and SIGTERM for verbs that run until somebody has seen enough: they end them cleanly.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_INTERRUPT_H
#define LONC_KEEPER_LONCCTL_CORE_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* From here on the two come only during a ppoll with the mask that is returned. */
sigset_t interrupt_catch(void);

/* Whether one has come. */
bool interrupt_came(void);

#endif
