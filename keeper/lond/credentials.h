/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this server can show to londs: its certificate for ssl, and key files for local mode. This
 * reads them; certificates.c puts them into force and keeps them up to date.
 */
#ifndef LONC_KEEPER_LOND_CREDENTIALS_H
#define LONC_KEEPER_LOND_CREDENTIALS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/config.h"
#include "keeper/lond/handshake.h"
#include "keeper/net/tls.h"

struct credentials {
    struct tls_context *tls; /* NULL: ssl is off, or wanted and unusable */
    bool wanted;             /* files for ssl are configured and exist (keeper/README.md rule 13) */
    bool fallback;           /* tls_fallback: if they are unusable, insecure mode is allowed */
    char problem[DIAGNOSTIC_FIRST_SIZE]; /* what was wrong with the files; empty: nothing */
    struct tls_files files;
    struct stat seen[TLS_FILE_COUNT]; /* those files before they were read; zero if absent */
    bool named;                       /* loncapa.conf names some, whether or not they exist */
    char *directory;                  /* lonCertificateDirectory */
    bool local;                       /* key files can be made there */
};

/*
 * Reads the files that a valid configuration names. What is wrong with them is said to
 * `diagnostics`, which must be empty, and does not fail the call. The caller owns the credentials.
 * NULL without memory.
 */
struct credentials *credentials_load(const struct config *config, struct diagnostics *diagnostics);

/*
 * Whether ssl is off although loncapa.conf names files for it. LON-CAPA's installer names them on
 * every server, so this is a mistake only if the administrator wanted ssl.
 */
bool credentials_lack_files(const struct credentials *credentials);

/*
 * Makes credentials that were read again without a reload continue those in force. What only a
 * reload may change stays: whether there is local mode, since a host's address depends on it, and
 * that ssl is wanted, since less security must be asked for. If all files for ssl have gone, they
 * may be about to be replaced: `problem` then says so.
 */
void credentials_follow(struct credentials *credentials, const struct credentials *old);

/* Moves the context from the old credentials to these, which have none. */
void credentials_take_context(struct credentials *credentials, struct credentials *old);

/* NULL is allowed. */
void credentials_free(struct credentials *credentials);

/*
 * The mode to begin a handshake in (lonc-protocol(7) section 2). It is ssl even where ssl is wanted
 * and unusable: a lond without ssl then answers with a challenge, and insecure mode follows; a lond
 * with ssl is not connected to.
 */
enum handshake_mode credentials_mode(const struct credentials *credentials,
                                     const struct handshake_identity *identity);

/* Whether the files on disk are still those that were read. */
bool credentials_are_current(const struct credentials *credentials);

#endif
