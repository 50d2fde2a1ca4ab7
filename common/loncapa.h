/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Variables of LON-CAPA's own configuration: the lines `PerlSetVar <name> <value>` of loncapa.conf
 * and of loncapa_apache.conf in the same folder, if there is one, whose values have precedence
 * (lonc-protocol(7) section 7). The files configure all of LON-CAPA, so unknown variables and other
 * directives of Apache are ignored.
 *
 * A line sets a variable if the word `PerlSetVar` is in it before any `#`. Words are separated by
 * blanks, a value may be in double quotes, and the last line has precedence.
 */
#ifndef LONC_COMMON_LONCAPA_H
#define LONC_COMMON_LONCAPA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/diagnostics.h"

struct loncapa {
    char *host_id;       /* lonHostID, the name of this server; required */
    char *sock_dir;      /* lonSockDir, /home/httpd/sockets */
    char *sock_create;   /* lonSockCreate, <lonSockDir>/common_parent; see config_create_path */
    char *daemons;       /* lonDaemons, /home/httpd/perl */
    char *tab_dir;       /* lonTabDir, /home/httpd/lonTabs */
    char *doc_root;      /* lonDocRoot, /home/httpd/html */
    char *version;       /* lonVersion; NULL if not configured */
    char *cert_dir;      /* lonCertificateDirectory, /home/httpd/lonCerts */
    char *authority;     /* lonnetCertificateAuthority; NULL if not configured */
    char *certificate;   /* lonnetCertificate; NULL if not configured */
    char *private_key;   /* lonnetPrivateKey; NULL if not configured */
    uint16_t lond_port;  /* londPort, 5663 */
    bool allow_insecure; /* loncAllowInsecure, 1 */
};

/* Where LON-CAPA keeps loncapa.conf, ended by NULL. Without a setting, the first that exists is
 * read. */
extern const char *const loncapa_places[];

/*
 * Reads `path` (NULL or "" means the first of loncapa_places that exists) and its companion into
 * `conf`. Directories must be absolute, lonHostID a valid name, londPort from 1 to 65535,
 * loncAllowInsecure 0 or 1 (also yes, no, on, off), and a variable that is set must have a value.
 * Any value of lonSockCreate is accepted, since it only helps lonnet to try again and must not keep
 * a table from taking effect. Returns 0, or -1 if there was a diagnostic. The caller calls
 * loncapa_free() in either case.
 */
MUST_CHECK int loncapa_load(struct loncapa *conf, const char *path,
                            struct diagnostics *diagnostics);
void loncapa_free(struct loncapa *conf);

#endif
