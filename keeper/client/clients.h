/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All clients of the keeper. intake.c hands them over, each has its conversation (client.h), and
 * here they are counted, listed, and ended when the keeper stops.
 */
#ifndef LONC_KEEPER_CLIENT_CLIENTS_H
#define LONC_KEEPER_CLIENT_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attributes.h"
#include "keeper/client/create.h"
#include "keeper/core/core.h"
#include "keeper/core/json_writer.h"
#include "keeper/deferred/deferred.h"

struct clients;

/* One for the keeper. NULL for lack of memory. */
struct clients *clients_new(struct hosts *hosts, struct deferred *deferred);

/* Ends all conversations. NULL is allowed. */
void clients_free(struct clients *clients);

/*
 * Reserves memory for `count` clients. A shim's message is acknowledged only after that, because a
 * client that was acknowledged is the keeper's to answer. 0, or -ENOMEM.
 */
MUST_CHECK int clients_reserve(struct clients *clients, size_t count);

/*
 * Starts the conversation with one client for which memory was reserved, and serves what it has
 * already written. Takes the descriptor over; this cannot fail.
 */
void clients_start(struct clients *clients, int fd);

/*
 * {"total": N, "clients": [...]}, with CLIENTS_SHOWN of them at most, so that the answer to one
 * question stays small.
 */
#define CLIENTS_SHOWN 1000
void clients_write(const struct clients *clients, struct json_writer *writer);

size_t clients_count(const struct clients *clients);

/* The lines for lonSockCreate so far, by their answer. */
struct create_counts clients_create_counts(const struct clients *clients);

/* `missing` is called when a client asks for a socket at which nobody listens (create.h). */
void clients_on_missing_socket(struct clients *clients, void (*missing)(void *argument),
                               void *argument);

/*
 * Descriptors are short, or are so no longer. While they are, a client that has been silent for
 * `client_idle_scarce` is closed, the longest silent first.
 */
void clients_set_scarce(struct clients *clients, bool scarce);

/*
 * The keeper stops: each client may finish what it has begun. One that has had an answer may send
 * no more; one that has had none yet gets `drain_line_timeout` for its line. `gone` is called when
 * no client is left, which may be before this returns.
 */
void clients_drain(struct clients *clients, void (*gone)(void *argument), void *argument);

#endif
