/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Carries the handshake over a connection's socket, in the mode that the credentials in force
 * allow. What is said, and in what order, is handshake.c's.
 */
#ifndef LONC_KEEPER_LOND_AUTHENTICATE_H
#define LONC_KEEPER_LOND_AUTHENTICATE_H

#include "common/attributes.h"
#include "keeper/lond/lond.h"

/*
 * Prepares for the handshake before the connection is made: chooses the mode, and writes the key
 * file that local mode needs. lond->handshake has been allocated. Returns REASON_NONE, or why the
 * attempt has failed, with more about it in *detail, which is static or NULL. A key file that
 * cannot be written is logged.
 */
MUST_CHECK enum reason authenticate_prepare(struct lond *lond, const char **detail);

/* TCP is established: says the first line. The connection may be lost, and freed, in this call and
 * in those below. */
void authenticate_start(struct lond *lond);

/* The socket has something to read. */
void authenticate_read(struct lond *lond);

/* The socket is ready for the next step of TLS; only while lond->tls is set. */
void authenticate_advance_tls(struct lond *lond);

#endif
