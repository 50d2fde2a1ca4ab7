/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opens connections to londs, and has what they share (struct londs). What becomes of a connection
 * is told through struct lond_events.
 */
#ifndef LONC_KEEPER_LOND_LONDS_H
#define LONC_KEEPER_LOND_LONDS_H

#include "common/attributes.h"
#include "keeper/lond/credentials.h"
#include "keeper/lond/lond.h"

/*
 * Sets up what connections share; once, before the first londs_connect. `events` must stay. Returns
 * 0 or -ENOMEM; londs_close is right in either case.
 */
MUST_CHECK int londs_open(struct londs *londs, struct core *core, const struct lond_events *events);

/* Frees what connections share, credentials included. No connection may be left. */
void londs_close(struct londs *londs);

/* Puts credentials into force and owns them; the old ones are freed. Connections that exist are not
 * affected; handshakes under way go on with the new ones. */
void londs_use_credentials(struct londs *londs, struct credentials *credentials);

/* Whom to connect to. */
struct lond_target {
    const struct addresses *addresses; /* tried in this order, one at least; copied */
    uint16_t port;
    const struct handshake_identity *identity; /* must outlive the connection */
};

/* Why an attempt failed at once. */
struct lond_failure {
    enum reason reason;
    const char *detail; /* static, or NULL */
};

/*
 * Starts to connect to the first of the addresses. Where that fails the next is tried, each within
 * connect_timeout; what is told in the end is how the last one failed. Returns the connection,
 * which is its own owner: it frees itself after `lost`, or by lond_close. Returns NULL, with no
 * event told, when all addresses fail at once or there is nothing to authenticate with; *failure
 * then says why.
 */
struct lond *londs_connect(struct londs *londs, const struct lond_target *target,
                           struct lond_failure *failure);

#endif
