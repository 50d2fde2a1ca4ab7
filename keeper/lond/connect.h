/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TCP to lond: tries a host's addresses one after the other, each within connect_timeout. Once one
 * has accepted, the others are not tried any more, whatever the handshake comes to.
 */
#ifndef LONC_KEEPER_LOND_CONNECT_H
#define LONC_KEEPER_LOND_CONNECT_H

#include "common/attributes.h"
#include "keeper/lond/lond.h"

/*
 * Starts on the first address that does not fail at once. lond->candidates becomes the
 * connection's. Returns 0; or a negative errno when all fail at once, which is the last one's; or
 * -ENOMEM.
 */
MUST_CHECK int connect_start(struct lond *lond, const struct addresses *addresses, uint16_t port);

/* The socket says that connecting has ended. Returns whether TCP is established; if not, the next
 * address is tried, or the connection has been lost and freed. */
bool connect_end(struct lond *lond);

/* connect_timeout has passed without an answer from this address. */
void connect_timed_out(struct lond *lond);

#endif
