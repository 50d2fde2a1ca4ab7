/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this server can show to londs: its certificate for ssl, key files for local mode. They are
 * read here; certificates.h puts them into force and keeps them up to date.
 */
#ifndef LONC_KEEPER_LOND_CREDENTIALS_H
#define LONC_KEEPER_LOND_CREDENTIALS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/config.h"
#include "keeper/lond/handshake.h"
#include "keeper/net/tls.h"

struct credentials {
    struct tls_context *tls; /* NULL: ssl is off, or wanted and of no use */
    bool wanted;             /* files for ssl are configured and exist (keeper/README.md rule 13) */
    bool fallback;           /* where they are of no use, insecure is better than nothing */
    char problem[DIAGNOSTIC_FIRST_SIZE]; /* of the files as they were read; empty: they were good */
    struct tls_files files;
    struct stat seen[TLS_FILE_COUNT]; /* of those files, before they were read; else zero */
    bool named;                       /* loncapa.conf names some, whether they exist or not */
    char *directory;                  /* lonCertificateDirectory */
    bool local;                       /* key files can be made there */
};

/*
 * Reads them as a valid configuration says; what is wrong is said to `diagnostics`, which must have
 * none yet. Returns credentials for credentials_free, or NULL without memory.
 */
struct credentials *credentials_load(const struct config *config, struct diagnostics *diagnostics);

/*
 * Whether ssl is off although loncapa.conf names files for it. LON-CAPA's installer does so on
 * every server, so it is no mistake, but for whoever meant to have it.
 */
bool credentials_lack_files(const struct credentials *credentials);

/* NULL is allowed. */
void credentials_free(struct credentials *credentials);

/*
 * The best mode to begin with (lonc-protocol(7) section 2). It is ssl, too, where that is wanted
 * and of no use: a lond that knows insecure only says so, and one that has ssl is left alone.
 */
enum handshake_mode credentials_mode(const struct credentials *credentials,
                                     const struct handshake_identity *identity);

/* Whether the files are still those that were read. */
bool credentials_are_current(const struct credentials *credentials);

#endif
