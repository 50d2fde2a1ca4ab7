/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Brings requests and idle connections together. Requests go in the order in which they came, on
 * the connection used last; the background goes when no client waits.
 */
#ifndef LONC_KEEPER_HOST_SERVE_H
#define LONC_KEEPER_HOST_SERVE_H

#include "common/attributes.h"
#include "keeper/host/host_state.h"

/*
 * Gives the request to an idle connection. One that turns out to be gone is closed, and the next is
 * tried. Returns false when none is left; after true the request is under way, or has been answered
 * because there was no memory to encipher it.
 */
MUST_CHECK bool serve_request(struct host *host, struct transaction *transaction);

/* To be called when a connection has become idle, or something else has changed that requests wait
 * for: sends what can be sent, and opens the connections that are still needed. */
void serve_waiting(struct host *host);

#endif
