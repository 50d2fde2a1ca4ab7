/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The requests that wait for a connection of their host, in the order in which they came. Bounded
 * for each host and for all together (keeper/README.md rule 4), and in time by queue_timeout.
 */
#ifndef LONC_KEEPER_HOST_QUEUE_H
#define LONC_KEEPER_HOST_QUEUE_H

#include "keeper/host/host_state.h"

/* Sets up queue_timeout; once, before the first request. */
void queue_setup(struct hosts *hosts);

/* Whether another request may wait. If not, the limit that was reached is counted and logged. */
bool queue_has_room(struct host *host);

/* Puts a request of the host at the end of its queue. */
void queue_append(struct transaction *transaction);

/* Puts it in front, when a connection was lost that had taken no byte of it: it was the next one,
 * and still is. Its time in the queue starts anew. */
void queue_put_back(struct transaction *transaction);

/* Takes it out of the queue, wherever it stands there. It is not answered. */
void queue_remove(struct transaction *transaction);

/* Answers all that wait with con_lost, but not what an answered client asks meanwhile. */
void queue_fail(struct host *host, enum reason reason);

#endif
