/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes from the keeper to lond: the lines of the handshake, and requests. What is long goes in
 * portions, each of which queues behind everything short (struct bulk); an `encrypt:` request is
 * enciphered piece by piece on its way.
 */
#ifndef LONC_KEEPER_LOND_SEND_H
#define LONC_KEEPER_LOND_SEND_H

#include "common/attributes.h"
#include "keeper/lond/lond.h"

/*
 * Sends a transaction's request on an idle connection. The request must stay where it is until the
 * transaction ends. Returns 0 when it is under way. -ENOBUFS or -ENOMEM: there is no room to
 * encipher a piece of it, and the connection is still idle. Any other negative errno: the peer is
 * gone and the kernel took no byte, so the request may be sent elsewhere; the caller closes the
 * connection with lond_close.
 */
MUST_CHECK int send_request(struct lond *lond, struct transaction *transaction);

/*
 * Sends a line of the handshake, LF included, which is copied. What the kernel does not take now
 * goes when it has room. 0 or a negative errno.
 */
MUST_CHECK int send_line(struct lond *lond, const char *line, size_t length);

/* Whether something is left to be sent. */
bool send_is_unfinished(const struct lond *lond);

/* Whatever is left is not sent any more. */
void send_abandon(struct lond *lond);

/* The kernel has room again. */
void send_stop_waiting(struct lond *lond);

/*
 * Sends another portion. Returns 0, or a negative errno after which the connection is lost: then
 * the caller has to tell so, with lond_lose.
 */
MUST_CHECK int send_more(struct lond *lond);

#endif
