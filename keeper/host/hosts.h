/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of all hosts in force. A host is found by lonHostID or DNS name; a reload replaces the
 * table as a whole.
 */
#ifndef LONC_KEEPER_HOST_HOSTS_H
#define LONC_KEEPER_HOST_HOSTS_H

#include "keeper/host/host.h"

/*
 * A table that is being put into force, a slice at a time, because ten thousand hosts would stop
 * the loop for too long. What can fail comes first and can be undone; after that nothing fails.
 */
struct hosts_change {
    struct hosts *hosts;
    const struct hosttab *table;
    struct host **held;  /* the host of each entry; NULL once it is in force */
    size_t done;         /* how many entries the current step is through with */
    struct host *cursor; /* held: the next host to be checked for having left the table */
};

/* An empty table. 0 or -ENOMEM; hosts_close is right in either case, and of one that is all
 * zero. */
MUST_CHECK int hosts_open(struct hosts *hosts, struct core *core);

/* Frees all hosts and what they share. None may be held. */
void hosts_close(struct hosts *hosts);

/* The settings in force have changed: names are asked anew before the next connection. */
void hosts_settings_changed(struct hosts *hosts);

/*
 * Finds or makes some of the hosts of a table, and room for their names. New ones are not listed
 * yet, so nobody finds them. `resolve` is the value of the setting that will be in force. Returns 1
 * while there is more to do, 0 when all is prepared, or -ENOMEM, when the change must be given up.
 */
MUST_CHECK int hosts_prepare_some(struct hosts_change *change, uint64_t resolve);

/*
 * Puts some of the table into force, which by now is that of core->config: new hosts are listed,
 * removed ones retired, the others configured anew (host_configure), and those not healthy tried.
 * True while there is more to do.
 */
MUST_CHECK bool hosts_apply_some(struct hosts_change *change);

/* Ends the change, at whatever step: what was prepared and is not in force is freed. */
void hosts_change_end(struct hosts_change *change);

/*
 * Finds the host with this lonHostID, or else the first in the table with this DNS name
 * (keeper/README.md, "A request's way"), and holds it: it is not freed before hosts_release. NULL
 * when there is none. Whoever has a request under way holds its host until the answer.
 */
struct host *hosts_hold(struct hosts *hosts, const char *name);
void hosts_release(struct host *host);

/* Finds and holds another lonHostID of the same DNS name. NULL when `id` is none of its ids. */
struct host *hosts_hold_alias(struct hosts *hosts, const struct host *host, const char *id);

/* For walks in the order of lonHostIDs: the first host behind `id` (NULL: the first of all), and
 * the one behind a host. Not held, and unlisted ones are among them. */
struct host *hosts_after(struct hosts *hosts, const char *id);
struct host *hosts_next(struct host *host);

/* SIGUSR1: tries each host now that is not healthy. */
void hosts_retry(struct hosts *hosts);

/* ssl can be used again: closes the connections that were made without it, those in use after their
 * reply, and tries each host now that is not healthy. */
void hosts_renew(struct hosts *hosts);

/* Descriptors are short: closes the idle connections of all hosts. */
void hosts_close_idle(struct hosts *hosts);

/* The keeper stops: answers everything queued with con_lost. */
void hosts_stop(struct hosts *hosts);

/* The time to stop is up: answers everything in flight with con_lost. */
void hosts_abandon(struct hosts *hosts);

#endif
