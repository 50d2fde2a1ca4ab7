/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Many HTTP requests, each answered by a process of its own (http.h). Whoever may connect may also
 * connect and say nothing, or read nothing, as often as they like: so the newest always finds a
 * place, and the one that has had its place the longest loses it. A request takes some
 * milliseconds, so that it is never that.
 */
#ifndef LONC_KEEPER_LONCCTL_METRICS_HTTPD_H
#define LONC_KEEPER_LONCCTL_METRICS_HTTPD_H

#include <stdbool.h>

/* Whether descriptor 0 is a listening socket. */
bool httpd_is_listener(void);

/*
 * Accepts from descriptor 0. Returns true in a child, whose descriptor 0 is a connection then, and
 * which ends when it has answered; false when nobody has come for `linger` seconds, or on SIGTERM.
 */
bool httpd_serve(unsigned linger);

#endif
