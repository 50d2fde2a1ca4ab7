/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Serving: takes clients from where they come and hands them over, until there is nothing left to
 * do. One engine serves both ways of being started (shim/README.md, "Two ways to be started"): a
 * connection is a client that is already there; listeners bring clients as they come.
 */
#ifndef LONC_SHIM_SERVER_H
#define LONC_SHIM_SERVER_H

#include "shim/exit.h"
#include "shim/options.h"

/* Hands over one client, whose descriptor is taken over. Returns how that ended. */
enum shim_exit server_serve_connection(const struct shim_options *options, int fd);

/*
 * Hands over the clients of `count` listeners from descriptor `first` on, until none has come for
 * options->linger, or until SIGTERM. Exits if they cannot be served at all.
 */
enum shim_exit server_serve_listeners(const struct shim_options *options, int first,
                                      unsigned count);

#endif
