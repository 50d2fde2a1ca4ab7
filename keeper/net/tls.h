/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TLS as ssl mode uses it (lonc-protocol(7) section 2): both sides show a certificate of the
 * cluster's CA, lond sends one line, the session's key, and the connection continues in clear text.
 * So TLS is used for one line only and leaves no trace on the connection: it sends no close_notify
 * and reads no byte ahead.
 */
#ifndef LONC_KEEPER_NET_TLS_H
#define LONC_KEEPER_NET_TLS_H

#include "common/attributes.h"
#include "keeper/net/tls_context.h"

/* One connection's TLS. */
struct tls;

enum tls_progress {
    TLS_WANTS_READ,  /* call tls_advance() again when the descriptor is readable */
    TLS_WANTS_WRITE, /* ... when it is writable */
    TLS_DONE,        /* the line has come */
    TLS_FAILED       /* tls_failure() says why */
};

/* The key has 32 hex digits. Whoever passes a buffer for it to tls_advance() wipes it. */
#define TLS_KEY_DIGITS 32

/*
 * Begins TLS as the client on `fd`, which stays the caller's, with the host of this DNS name (see
 * tls_context_new_session()). NULL for lack of memory.
 */
MUST_CHECK struct tls *tls_new(const struct tls_context *context, int fd, const char *name);

/*
 * Continues as far as possible without waiting for the descriptor. After TLS_DONE, lond's line is
 * in `digits`, without its LF, and the next byte to be read from the descriptor is the first one in
 * clear text.
 */
MUST_CHECK enum tls_progress tls_advance(struct tls *tls, char digits[TLS_KEY_DIGITS]);

/* After TLS_FAILED, the reason, such as "certificate verify failed (certificate has expired)". */
const char *tls_failure(const struct tls *tls);

/* The version agreed on in the handshake, such as "TLSv1.3". A static text. */
const char *tls_version(const struct tls *tls);

/* Wipes and frees, and sends nothing. NULL is allowed. */
void tls_free(struct tls *tls);

#endif
