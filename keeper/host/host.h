/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A remote host, as its users see it: requests are submitted to it, orders given, and questions
 * asked (keeper/README.md rules 4 to 7). The table of all hosts is hosts.h.
 */
#ifndef LONC_KEEPER_HOST_HOST_H
#define LONC_KEEPER_HOST_HOST_H

#include "common/attributes.h"
#include "keeper/host/host_state.h"

/* --- For hosts.c ------------------------------------------------------------------------------ */

/*
 * Sets up what hosts share for connections and requests; once, before the first host_new. Returns 0
 * or -ENOMEM; host_teardown, when there is no host any more, is right in either case.
 */
MUST_CHECK int host_setup(struct hosts *hosts);
void host_teardown(struct hosts *hosts);

/* A host that is in no table yet, without connections. NULL without memory. */
struct host *host_new(struct hosts *hosts, const char *id);

/* Frees a host and its connections. Nobody may hold it. */
void host_free(struct host *host);

/*
 * Takes over what the configuration in force says of the host; `entry` is its entry there. Where
 * that changes whom connections would speak to, or as whom, they are closed: idle ones now, those
 * in flight after their reply. Otherwise connections and queue stay. Returns 0, or -ENOMEM for a
 * new name (see resolver_expect), with nothing changed.
 */
MUST_CHECK int host_configure(struct host *host, const struct hosttab_entry *entry);

/* Whether the host's addresses are asked of DNS rather than read in the table. `resolve` is the
 * setting's value. */
bool host_may_resolve(const struct hosttab_entry *entry, uint64_t resolve);

/* The host has left the table: what is queued is answered con_lost, what is in flight finishes. */
void host_retire(struct host *host);

/* Whether it is retired and nobody holds it. Then it has no connection either, because whoever has
 * a request in flight holds the host. */
bool host_is_unused(const struct host *host);

void host_close_idle(struct host *host);

/* Answers everything in flight with con_lost, and closes its connections. */
void host_abandon(struct host *host, enum reason reason);

/* --- Requests --------------------------------------------------------------------------------- */

/* Keeps the host from being freed until hosts_release. Returns the host; NULL is allowed. */
struct host *host_hold(struct host *host);

/*
 * Asks a request of the host, which the caller holds. The answer comes through transaction->done,
 * perhaps before this returns; the caller's object may be gone by then.
 */
void host_submit(struct host *host, struct transaction *transaction);

/*
 * Takes back a request whose client has gone. Returns true if it was still in the queue: `done` is
 * then not called. False: it is on its way to lond, and `done` will be called.
 */
bool host_withdraw(struct transaction *transaction);

/*
 * There is background work for this host, whose owner holds the host. A connection is opened for it
 * where there is none, and a host that is dead is probed for it.
 */
void host_offer(struct host *host, struct background *background);

/* There is none any more: `background` is not asked again. A transaction of it that is under way is
 * still answered. */
void host_withdraw_offer(struct host *host);

/* --- Orders ----------------------------------------------------------------------------------- */

/* `reset_retries`, SIGUSR1, a reload: a host that is not healthy is tried now. */
void host_retry(struct host *host);

/* `close_connection_exit`: closes idle connections now, those in flight after their reply. */
void host_close_connections(struct host *host);

/*
 * An administrator's order: requests wait in the queue, for as long as queue_timeout allows, and
 * nothing is sent until host_resume or the keeper's end. A dead host still answers con_lost at
 * once.
 */
void host_pause(struct host *host);
void host_resume(struct host *host);

/* --- What can be asked of a host -------------------------------------------------------------- */

/* Whether a handshake has succeeded since its address became this one. */
bool host_has_connected(const struct host *host);

/* Its lond's version, or a text that says that it is unknown. */
const char *host_lond_version(const struct host *host);

/* How long the first in the queue has waited, in microseconds; 0 where none does. */
uint64_t host_oldest_wait(const struct host *host);

#endif
