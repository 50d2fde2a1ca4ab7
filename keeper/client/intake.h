/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's end of the private channel: shims connect here and hand clients over
 * (shim/README.md, "The hand-over"). Only root and the keeper's own user are heard. Nothing is
 * received while there would be no descriptors for it; what waits stays with the shims and in the
 * kernel.
 */
#ifndef LONC_KEEPER_CLIENT_INTAKE_H
#define LONC_KEEPER_CLIENT_INTAKE_H

#include "keeper/client/clients.h"
#include "keeper/core/core.h"

/* Serves the listener, which becomes the intake's. Returns NULL with errno set when it cannot. */
struct intake *intake_new(struct hosts *hosts, struct clients *clients, int listener);

/* Serves another listener, which becomes the intake's, in the place of the one before. */
void intake_listen(struct intake *intake, int listener);

/*
 * How many messages arrived without their descriptors, because this process may open no more. Their
 * clients stay with the shims. 0 if `intake` is NULL.
 */
uint64_t intake_messages_cut(const struct intake *intake);

/*
 * The keeper stops: nobody is accepted any more, and what has not been acknowledged is left to the
 * shims, which find the channel closed and hand it to the next keeper.
 */
void intake_stop(struct intake *intake);

/* NULL is allowed. The listener is closed; connections still open are ended in order. */
void intake_free(struct intake *intake);

#endif
