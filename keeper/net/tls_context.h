/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What ssl needs before any connection: this server's certificate and key, the CA that it trusts,
 * and the list of revoked certificates, read from their files into one OpenSSL context.
 */
#ifndef LONC_KEEPER_NET_TLS_CONTEXT_H
#define LONC_KEEPER_NET_TLS_CONTEXT_H

#include <stdbool.h>
#include <time.h>

#include "common/attributes.h"
#include "common/diagnostics.h"
#include "keeper/net/tls_files.h"
#include "keeper/net/validity.h"

struct tls_context;
struct ssl_st; /* OpenSSL's SSL */

enum tls_outcome {
    TLS_OFF,     /* none of the three files is configured and exists, which is no mistake */
    TLS_USABLE,  /* there is a context */
    TLS_UNUSABLE /* ssl is wanted but cannot be used; a diagnostic says why */
};

/*
 * Reads the files into *context, which the caller frees; it is NULL unless the outcome is
 * TLS_USABLE. ssl is wanted if any of the three files that loncapa.conf names exists: LON-CAPA's
 * installer names them on servers that have none. Then all three must exist and be valid: readable,
 * certificate and key a pair, and the dates such that ssl can be used now.
 */
MUST_CHECK enum tls_outcome tls_context_load(struct tls_context **context,
                                             const struct loncapa *loncapa,
                                             const struct settings *settings,
                                             struct diagnostics *diagnostics);

/*
 * Applies other settings to a context without reading its files again; connections in progress are
 * not affected. False if that would demand less of londs than the settings ask for, because
 * they name another list of revoked certificates: then the files must be read again.
 */
MUST_CHECK bool tls_context_follow(struct tls_context *context, const struct settings *settings);

/* Connections in progress keep what they need of the context. NULL is allowed. */
void tls_context_free(struct tls_context *context);

/*
 * What the dates of all certificates and lists mean at `now`, with warnings from `warning` seconds
 * before one expires. The paths in the verdict belong to the context.
 */
void tls_context_judge(const struct tls_context *context, time_t now, time_t warning,
                       struct validity_verdict *verdict);

/*
 * A session as the client of the host with this DNS name, which the peer's certificate must contain
 * if tls_verify_name says so. The caller frees it with SSL_free(). NULL for lack of memory.
 */
MUST_CHECK struct ssl_st *tls_context_new_session(const struct tls_context *context,
                                                  const char *name);

#endif
