/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Signals that ask the program to end.
 */
#include "keeper/loncctl/core/interrupt.h"

static volatile sig_atomic_t came;

static void on_signal(int number)
{
    (void)number;
    came = 1;
}

sigset_t interrupt_catch(void)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return before;
}

bool interrupt_came(void)
{
    /* ppoll() delivers no signal if a descriptor is ready each time, so look for a pending one too.
     */
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    return came != 0 || sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1;
}
