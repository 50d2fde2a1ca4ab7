/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Accepts HTTP clients on a listening socket and gives each a process of its own, which answers one
 * request (http.h).
 *
 * Anybody who may connect may also connect many times and stay silent. So the number of processes
 * is bounded, and a new client takes the place of the one that has had it the longest. An honest
 * request takes milliseconds and is never that one.
 */
#ifndef LONC_KEEPER_LONCCTL_METRICS_HTTPD_H
#define LONC_KEEPER_LONCCTL_METRICS_HTTPD_H

#include <stdbool.h>

#include "common/attributes.h"

/* Whether descriptor 0 is a listening socket. */
bool httpd_is_listener(void);

/*
 * Accepts clients from descriptor 0. Returns true in a child process, where descriptor 0 is now the
 * client's connection: the caller answers it and exits. Returns false in the parent, after `linger`
 * seconds without a client or a process, or on SIGTERM; all children have ended then.
 */
MUST_CHECK bool httpd_serve(unsigned linger);

#endif
