/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssl mode's TLS (PROTOCOL.md section 2): both sides show a certificate of the cluster's CA, lond
 * sends one line, the session's key, and the connection goes on in clear text. So TLS is here for
 * one line only, and leaves nothing behind on the connection: no close_notify, no byte read ahead.
 */
#ifndef LONC_KEEPER_TLS_H
#define LONC_KEEPER_TLS_H

#include <stddef.h>
#include <time.h>

#include "common/complaint.h"
#include "common/loncapa.h"
#include "common/settings.h"

/* What this server shows, and whom it believes: certificate, key, CA and revocations. */
struct tls_context;

/*
 * Reads the files that loncapa.conf names (relative names lie in lonCertificateDirectory) into
 * *context, which the caller frees. It is NULL, and ssl is off, where none of the three is
 * configured and exists: LON-CAPA's installer names them on servers that have none. Where some
 * exist, all must, and be right: readable, a pair, and not expired. Returns 0, or -1 after
 * complaints, with *context NULL.
 */
int tls_context_load(struct tls_context **context, const struct loncapa *loncapa,
                     const struct settings *settings, struct complaints *complaints);

/* Connections under way keep what they need of it. NULL is allowed. */
void tls_context_free(struct tls_context *context);

/* When the first of its certificates expires, in seconds of the wall clock; its file in *path. */
time_t tls_context_expires(const struct tls_context *context, const char **path);

/* One connection's TLS. */
struct tls;

/* What tls_advance wants next. */
enum tls_progress {
    TLS_WANTS_READ,  /* when the descriptor is readable, */
    TLS_WANTS_WRITE, /* or writable, it is to be called again */
    TLS_DONE,        /* the line is here */
    TLS_FAILED
};

/* 32 hex digits; whoever has tls_advance fill such a buffer wipes it. */
#define TLS_KEY_DIGITS 32

/* Begins as the client on `fd`, which stays the caller's. `name` is the DNS name that the peer's
 * certificate must have where tls_verify_name asks for that. NULL without memory. */
struct tls *tls_new(struct tls_context *context, int fd, const char *name);

/* Goes on as far as the descriptor allows. TLS_DONE: lond's line, without its LF, is in `digits`,
 * and the next byte to be read from the descriptor is the first in clear text. */
enum tls_progress tls_advance(struct tls *tls, char digits[TLS_KEY_DIGITS]);

/* After TLS_FAILED: why, as "certificate verify failed (certificate has expired)". */
const char *tls_failure(const struct tls *tls);

/* "TLSv1.3", once the handshake is over. Static. */
const char *tls_version(const struct tls *tls);

/* Wipes and frees, and sends nothing. NULL is allowed. */
void tls_free(struct tls *tls);

#endif
