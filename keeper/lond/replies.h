/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replies from lond: where one ends, which are deciphered, and which do not fit. A long one is read
 * in portions, each of which queues behind everything short (struct bulk).
 */
#ifndef LONC_KEEPER_LOND_REPLIES_H
#define LONC_KEEPER_LOND_REPLIES_H

#include "keeper/lond/lond.h"

/*
 * The socket of a busy connection has something to read. May tell `answered`, `overflowed` or
 * `lost`, so the connection may be gone afterwards.
 */
void replies_arrive(struct lond *lond);

/* The next portion of a reply that queues: more is read, or deciphered. As replies_arrive. */
void replies_go_on(struct lond *lond);

/* A reply that has waited for memory may grow now. */
void replies_may_grow(struct grower *grower);

#endif
