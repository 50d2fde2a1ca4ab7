/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of all hosts in force: found by lonHostID or DNS name, replaced by a reload as a whole.
 */
#ifndef LONC_KEEPER_HOST_HOSTS_H
#define LONC_KEEPER_HOST_HOSTS_H

#include "keeper/host/host.h"

/*
 * A table that is being put into force, a slice at a time, since the loop must not stand still for
 * ten thousand hosts. What can fail is done first and can be undone; then nothing fails any more.
 */
struct hosts_change {
    struct hosts *hosts;
    const struct hosttab *table;
    struct host **held;  /* of each entry */
    size_t done;         /* entries */
    struct host *cursor; /* held: the next one to look at for whether it has left the table */
};

/* Begins without a host. 0 or -ENOMEM; hosts_close is right in either case, and of one that is all
 * zero. */
MUST_CHECK int hosts_open(struct hosts *hosts, struct core *core);

/* Frees all hosts and what they share; none may be held. */
void hosts_close(struct hosts *hosts);

/* The settings in force have changed: names are asked anew before the next connection. */
void hosts_settings_changed(struct hosts *hosts);

/*
 * Finds or makes the hosts of a table and whatever else they will need; nobody sees the new ones
 * yet. 1 while there is more to do, 0, or -ENOMEM. `resolve` is the setting that will be in force.
 */
MUST_CHECK int hosts_prepare_some(struct hosts_change *change, uint64_t resolve);

/*
 * Puts the table, by now that of core->config, into force: new hosts are added, removed ones
 * retired, the others configured anew (host_configure) and retried. True while there is more to do.
 */
MUST_CHECK bool hosts_apply_some(struct hosts_change *change);

/* Lets go of what hosts_prepare_some has made and hosts_apply_some has not used. */
void hosts_change_end(struct hosts_change *change);

/*
 * Finds and holds the host of a lonHostID, or else the first in the table with that DNS name
 * (keeper/README.md, "A request's way"). NULL when there is none. hosts_release gives it back;
 * whoever has a request under way holds its host until it is answered.
 */
struct host *hosts_hold(struct hosts *hosts, const char *name);
void hosts_release(struct host *host);

/* The same for another lonHostID of the same DNS name; NULL when `id` is none. */
struct host *hosts_hold_alias(struct hosts *hosts, const struct host *host, const char *id);

/* The first host behind this lonHostID in their order, NULL for the first of all; and the next. */
struct host *hosts_after(struct hosts *hosts, const char *id);
struct host *hosts_next(struct host *host);

/* SIGUSR1: each host that is not healthy is tried now. */
void hosts_retry(struct hosts *hosts);

/* ssl can be used again: also, connections that were made without it close, those in use after
 * their reply. */
void hosts_renew(struct hosts *hosts);

/* Descriptors are short: idle connections of all hosts close. */
void hosts_close_idle(struct hosts *hosts);

/* The keeper stops: what is queued is answered con_lost. */
void hosts_stop(struct hosts *hosts);

/* Its time is up: what is in flight is answered con_lost. */
void hosts_abandon(struct hosts *hosts);

#endif
