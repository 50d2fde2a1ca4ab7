/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of every request: it is counted, logged if that is wanted, and told to whoever asked. The
 * callee may ask its next request from inside the answer, so answering is the last thing that a
 * caller does.
 */
#ifndef LONC_KEEPER_HOST_ANSWER_H
#define LONC_KEEPER_HOST_ANSWER_H

#include "keeper/host/host_state.h"

/* With lond's reply: the first `length` bytes of `reply`, a buffer that the callee may take. */
void answer_reply(struct transaction *transaction, struct buffer *reply, size_t length);

/* With con_lost. The transaction is in no queue and on no connection any more. */
void answer_con_lost(struct transaction *transaction, enum reason reason);

#endif
