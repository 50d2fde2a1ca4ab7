/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this server can show to londs: its certificate for ssl, key files for local mode. They
 * are read with the configuration and put into force with it, so a reload takes new certificates.
 */
#ifndef LONC_KEEPER_CREDENTIALS_H
#define LONC_KEEPER_CREDENTIALS_H

#include <stdbool.h>

#include "common/config.h"
#include "keeper/handshake.h"
#include "keeper/service.h"
#include "keeper/tls.h"

struct credentials {
    struct tls_context *tls; /* NULL: ssl is off */
    char *directory;         /* lonCertificateDirectory */
    bool local;              /* key files can be made there */
    sd_event_source *expiry; /* when to say next that a certificate expires */
    struct service *service;
};

/*
 * Reads them as a valid configuration says. What is wrong is said to `complaints`, and ssl is off
 * then. Returns credentials for credentials_free, or NULL without memory.
 */
struct credentials *credentials_load(const struct config *config, struct complaints *complaints);

/* They are in force: leftovers in their directory go, and their expiry is watched. */
void credentials_apply(struct credentials *credentials, struct service *service);

/* NULL is allowed. */
void credentials_free(struct credentials *credentials);

/* The best mode to begin with (PROTOCOL.md section 2). */
enum handshake_mode credentials_mode(const struct credentials *credentials,
                                     const struct handshake_identity *identity);

#endif
