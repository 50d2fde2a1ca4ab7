/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation with a client: one line, one answer, as often as the client likes
 * (lonc-protocol(7) section 1). Clients are handed over by shims; which host one means, the kernel
 * says. One that came by lonSockCreate asks for sockets (create.h).
 */
#ifndef LONC_KEEPER_CLIENT_CLIENT_H
#define LONC_KEEPER_CLIENT_CLIENT_H

#include <jansson.h>

#include "keeper/client/create.h"
#include "keeper/core/core.h"
#include "keeper/deferred/deferred.h"

/* All clients, and what they share; once, before the first client_start. */
struct clients *clients_new(struct core *core, struct deferred *deferred);
void clients_free(struct clients *clients); /* ends all; NULL is allowed */

/*
 * Memory for so many more, before they are taken from a shim: later it would be too late. 0, or
 * -ENOMEM, where client_start may not be called.
 */
int clients_reserve(struct clients *clients, size_t count);

/* One that was reserved. Takes the descriptor over, whatever becomes of it, and reads what is
 * already there. */
void client_start(struct clients *clients, int fd);

/* {"total", "clients": [..]}, at most CLIENTS_SHOWN of them, for the caller; NULL without memory.
 */
#define CLIENTS_SHOWN 1000
json_t *clients_json(const struct clients *clients);

/*
 * Descriptors are short, or are so no longer. While they are, a client may be silent for
 * `client_idle_scarce` and no longer; the one that has been so the longest goes first.
 */
void clients_scarce(struct clients *clients, bool scarce);

size_t clients_count(const struct clients *clients);

/* The lines for lonSockCreate so far, by their answer. */
struct create_counts clients_create_counts(const struct clients *clients);

/* `missing` is called when a client asks for a socket at which nobody listens (create.h). */
void clients_on_missing_socket(struct clients *clients, void (*missing)(void *argument),
                               void *argument);

/*
 * The keeper stops: each client may finish what it has begun. One that has had an answer may send
 * no more; one that has had none yet gets `drain_line_timeout` for its line. `gone` is called when
 * the last one has left, perhaps at once.
 */
void clients_drain(struct clients *clients, void (*gone)(void *argument), void *argument);

#endif
