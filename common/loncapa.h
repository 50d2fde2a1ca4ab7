/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The variables LON-CAPA's own configuration sets, `PerlSetVar <name> <value>` lines of
 * loncapa.conf and, where it exists beside it, loncapa_apache.conf, whose values win
 * (lonc-protocol(7) section 7). The keeper takes part of a larger whole: variables it does not know
 * are none of its business, and so are Apache's other directives.
 *
 * A line sets a variable where the word `PerlSetVar` stands before any `#`; blanks separate the
 * words, a value may stand in double quotes, and the last line wins.
 */
#ifndef LONC_COMMON_LONCAPA_H
#define LONC_COMMON_LONCAPA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/diagnostics.h"

struct loncapa {
    char *host_id;       /* lonHostID: who this server is; required */
    char *sock_dir;      /* lonSockDir, /home/httpd/sockets */
    char *sock_create;   /* lonSockCreate, <lonSockDir>/common_parent; see config_create_path */
    char *daemons;       /* lonDaemons, /home/httpd/perl */
    char *tab_dir;       /* lonTabDir, /home/httpd/lonTabs */
    char *doc_root;      /* lonDocRoot, /home/httpd/html */
    char *version;       /* lonVersion; NULL where not configured */
    char *cert_dir;      /* lonCertificateDirectory, /home/httpd/lonCerts */
    char *authority;     /* lonnetCertificateAuthority; NULL where not configured */
    char *certificate;   /* lonnetCertificate; NULL where not configured */
    char *private_key;   /* lonnetPrivateKey; NULL where not configured */
    uint16_t lond_port;  /* londPort, 5663 */
    bool allow_insecure; /* loncAllowInsecure, 1 */
};

/* Where LON-CAPA keeps loncapa.conf: the first that exists is taken when no setting names one. */
extern const char *const loncapa_places[];

/*
 * Reads `path` (NULL or "": the first of loncapa_places, NULL-terminated, that exists) and its
 * companion into `conf`, which the caller frees with loncapa_free whatever the result. Directories
 * must be absolute, lonHostID a valid name, londPort 1 to 65535, loncAllowInsecure 0 or 1 (also
 * yes, no, on, off), and a variable that is set must have a value. Of lonSockCreate any is taken:
 * what only helps lonnet to try again must not keep a table from being put into force. Returns 0,
 * or -1 when there was a diagnostic.
 */
MUST_CHECK int loncapa_load(struct loncapa *conf, const char *path,
                            struct diagnostics *diagnostics);
void loncapa_free(struct loncapa *conf);

#endif
