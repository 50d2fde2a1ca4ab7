/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps the credentials in force up to date. Certificates are renewed by people and scripts that
 * know nothing of the keeper: file by file, through a symbolic link, or too late. So the files are
 * watched, and read again when they change. Files that cannot be used never replace what can be;
 * until they are mended they are listed as a trouble. And because certificates are forgotten, the
 * log says in time that one expires.
 */
#ifndef LONC_KEEPER_HOST_CERTIFICATES_H
#define LONC_KEEPER_HOST_CERTIFICATES_H

#include "keeper/host/hosts.h"
#include "keeper/lond/credentials.h"

struct certificates;

/* NULL without memory. `hosts` must stay; its connections get the credentials. */
struct certificates *certificates_new(struct hosts *hosts);
void certificates_free(struct certificates *certificates); /* NULL is allowed */

/*
 * Puts credentials, which become those of the hosts' connections, into force; they were read for
 * the configuration in force. If their files cannot be used for ssl, the context in force stays,
 * as long as it can be used itself. Returns a warning for whoever asked for the reload, valid until
 * the next call: what the diagnostics of credentials_load mean, or that ssl is now off. NULL: there
 * is nothing to warn of.
 */
const char *certificates_apply(struct certificates *certificates, struct credentials *credentials);

#endif
