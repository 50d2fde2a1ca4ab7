/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's end of the private channel: shims connect to it and hand clients over
 * (shim/README.md, "The hand-over"). Only shims of root and of the keeper's own user are accepted.
 * Nothing is received while there are no descriptors for what a message may bring; the clients then
 * wait with the shims and in the kernel.
 */
#ifndef LONC_KEEPER_CLIENT_INTAKE_H
#define LONC_KEEPER_CLIENT_INTAKE_H

#include "keeper/client/clients.h"
#include "keeper/core/core.h"

/*
 * Serves the listener, which is taken over. When descriptors are short, idle connections of `hosts`
 * are closed. NULL for lack of memory; then the listener has been closed.
 */
struct intake *intake_new(struct hosts *hosts, struct clients *clients, int listener);

/* Serves another listener, which is taken over, in place of the one before. */
void intake_listen(struct intake *intake, int listener);

/*
 * How many messages arrived without their descriptors, because this process may open no more. Their
 * clients stay with the shims. 0 if `intake` is NULL.
 */
uint64_t intake_messages_cut(const struct intake *intake);

/*
 * The keeper stops: no shim is accepted any more, and the channels are closed. The shims hand the
 * clients that were not acknowledged to the next keeper.
 */
void intake_stop(struct intake *intake);

/* Stops, and closes the listener. NULL is allowed. */
void intake_free(struct intake *intake);

#endif
