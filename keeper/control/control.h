/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The control socket: one request line, then one JSON value and the end of the stream (loncctl(1),
 * "CONTROL PROTOCOL"). loncctl speaks it, and so does socat. Clients that are slow, silent or
 * many cost others nothing, since time and number are bounded (admission.h). One that finds no
 * place is told so at once: {"ok": false, "busy": true, "errors": [SENTENCE]}.
 */
#ifndef LONC_KEEPER_CONTROL_CONTROL_H
#define LONC_KEEPER_CONTROL_CONTROL_H

#include "keeper/control/admission.h"
#include "keeper/control/verbs.h"

/* Serves the listener, and owns it from now on. NULL for lack of memory. */
struct control *control_new(const struct verbs *verbs, int listener);

/* Replaces the listener by another, which it owns from now on. */
void control_listen(struct control *control, int listener);

/* How many clients there are, and were refused; valid until control_free. */
const struct admission *control_admission(const struct control *control);

void control_free(struct control *control); /* NULL is allowed */

#endif
