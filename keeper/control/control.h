/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket: one request line, then one JSON value and the end of the stream (loncctl(1),
 * "CONTROL PROTOCOL"). loncctl speaks it, and so does socat. A client that is slow, silent or
 * insolent is bounded in time and number, and costs nobody else anything: root, the keeper's own
 * user and all others have places of their own each, for silence, answers, reloads and events.
 * Whoever finds none is told so at once, by {"ok": false, "busy": true, "errors": [SENTENCE]}.
 */
#ifndef LONC_KEEPER_CONTROL_CONTROL_H
#define LONC_KEEPER_CONTROL_CONTROL_H

#include "keeper/control/verbs.h"

/* Serves the listener, which becomes the control's. NULL without memory. */
struct control *control_new(const struct verbs *verbs, int listener);

/* Serves another listener, which becomes the control's, in the place of the one before. */
void control_listen(struct control *control, int listener);
void control_free(struct control *control); /* NULL is allowed */

#endif
