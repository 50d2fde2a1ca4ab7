/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket: one request line, then one JSON value and the end of the stream (DESIGN.md,
 * "Interfaces"). loncctl speaks it, and so does socat. A client that is slow, silent or insolent is
 * bounded in time and number, and costs nobody else anything.
 */
#ifndef LONC_KEEPER_CONTROL_H
#define LONC_KEEPER_CONTROL_H

#include <jansson.h>

#include "keeper/status.h"

/* What the verbs need that lies above this. */
struct control_actions {
    /*
     * Reads the configuration anew and puts it into force if all of it is right. Returns an array
     * of complaints, empty when there were none, that the caller owns.
     */
    json_t *(*reload)(void *argument);
    void *argument;
};

/* Serves the listener, which becomes the control's. NULL without memory. */
struct control *control_new(struct service *service, const struct status *status,
                            const struct control_actions *actions, int listener);
void control_free(struct control *control); /* NULL is allowed */

#endif
