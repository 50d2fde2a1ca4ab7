/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SIGINT and SIGTERM for verbs that run until somebody ends them. The two signals let such a verb
 * return instead of killing it, so that it can restore the terminal and exit with 0.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_INTERRUPT_H
#define LONC_KEEPER_LONCCTL_CORE_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

/* Catches both signals and blocks them. Returns the mask for ppoll(), the only place where they are
 * delivered from now on: so none can come between interrupt_came() and the wait. */
sigset_t interrupt_catch(void);

/* Whether one of them has come. */
bool interrupt_came(void);

#endif
