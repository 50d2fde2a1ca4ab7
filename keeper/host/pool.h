/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The connections of a host. Each is in exactly one of three lists, and only the functions here
 * move it: opening -> idle <-> busy.
 */
#ifndef LONC_KEEPER_HOST_POOL_H
#define LONC_KEEPER_HOST_POOL_H

#include "keeper/host/host_state.h"

/* How many connections there are, in whatever list. */
unsigned pool_total(const struct host *host);

/* Takes up a connection that londs_connect has made, as one that is opening. */
void pool_add_opening(struct host *host, struct lond *lond);

void pool_move(struct lond *lond, enum pool_list list);

/* Takes it out of its list, when it frees itself. */
void pool_remove(struct lond *lond);

/* Takes it out of its list, closes and frees it. A transaction that it carries is the caller's. */
void pool_close(struct lond *lond);
void pool_close_list(struct host *host, enum pool_list list);

/* The idle connection used last, or NULL. Any whose peer has closed or spoken is closed first. */
struct lond *pool_first_idle(struct host *host);

/*
 * A connection that has just been opened or has just been answered has nothing to do: it becomes
 * idle, or is closed if it was to be. While descriptors are short, only a request that waits keeps
 * it open.
 */
void pool_settle(struct lond *lond);

/* Whether a connection is to an address that its host's name no longer has. */
bool pool_has_moved(const struct lond *lond);

/*
 * Gives no new request to connections where the host no longer is: idle ones are closed, busy ones
 * after their reply. From a name that DNS no longer knows nothing is concluded: its connections
 * stay while they answer, and health has the last word.
 */
void pool_leave_old_addresses(struct host *host);

#endif
