/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssl mode's TLS (lonc-protocol(7) section 2): both sides show a certificate of the cluster's CA,
 * lond sends one line, the session's key, and the connection goes on in clear text. So TLS is here
 * for one line only, and leaves nothing behind on the connection: no close_notify, no byte read
 * ahead.
 */
#ifndef LONC_KEEPER_NET_TLS_H
#define LONC_KEEPER_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "common/attributes.h"
#include "common/diagnostics.h"
#include "common/loncapa.h"
#include "common/settings.h"
#include "keeper/net/validity.h"

/* The files that ssl needs; the last is a setting's, and need not be. */
enum tls_file {
    TLS_FILE_AUTHORITY,
    TLS_FILE_CERTIFICATE,
    TLS_FILE_KEY,
    TLS_FILE_REVOCATIONS,
    TLS_FILE_COUNT
};

struct tls_files {
    char *path[TLS_FILE_COUNT]; /* absolute; NULL: not configured */
};

/* Where they are: relative names lie in lonCertificateDirectory. 0, or -ENOMEM; to be given to
 * tls_files_free, which leaves none. */
MUST_CHECK int tls_files_find(struct tls_files *files, const struct loncapa *loncapa,
                              const struct settings *settings);
void tls_files_free(struct tls_files *files);

/* What this server shows, and whom it believes: certificate, key, CA and revocations. */
struct tls_context;

enum tls_outcome {
    TLS_OFF,     /* none of the three is configured and exists, which is no mistake */
    TLS_USABLE,  /* there is a context */
    TLS_UNUSABLE /* ssl is wanted, and cannot be had; a diagnostic says why */
};

/*
 * Reads the files into *context, which the caller frees; it is NULL unless they are usable. ssl is
 * wanted where any of the three that loncapa.conf names exists: LON-CAPA's installer names them on
 * servers that have none. Then all must exist and be right: readable, a pair, and with dates by
 * which ssl can be used now.
 */
MUST_CHECK enum tls_outcome tls_context_load(struct tls_context **context,
                                             const struct loncapa *loncapa,
                                             const struct settings *settings,
                                             struct diagnostics *diagnostics);

/*
 * Has a context obey settings other than those it was loaded with; connections under way do not
 * notice. False where it would ask less of londs than they want: the list of revoked certificates
 * is another.
 */
MUST_CHECK bool tls_context_follow(struct tls_context *context, const struct settings *settings);

/* Connections under way keep what they need of it. NULL is allowed. */
void tls_context_free(struct tls_context *context);

/* What its dates mean at `now`, with warnings `warning` seconds before one ends. The verdict's path
 * is the context's. */
void tls_context_judge(const struct tls_context *context, time_t now, time_t warning,
                       struct validity_verdict *verdict);

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
MUST_CHECK struct tls *tls_new(struct tls_context *context, int fd, const char *name);

/* Goes on as far as the descriptor allows. TLS_DONE: lond's line, without its LF, is in `digits`,
 * and the next byte to be read from the descriptor is the first in clear text. */
MUST_CHECK enum tls_progress tls_advance(struct tls *tls, char digits[TLS_KEY_DIGITS]);

/* After TLS_FAILED: why, as "certificate verify failed (certificate has expired)". */
const char *tls_failure(const struct tls *tls);

/* "TLSv1.3", once the handshake is over. Static. */
const char *tls_version(const struct tls *tls);

/* Wipes and frees, and sends nothing. NULL is allowed. */
void tls_free(struct tls *tls);

#endif
