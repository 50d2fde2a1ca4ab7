/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The credentials in force. A certificate is renewed by people and scripts that know nothing of the
 * keeper: file by file, over a symbolic link, too late. So their files are watched and read again
 * when they change; what is of no use never takes the place of what is; and both are listed as
 * troubles until they are mended. Certificates are forgotten: the log says in time that one
 * expires.
 */
#ifndef LONC_KEEPER_HOST_CERTIFICATES_H
#define LONC_KEEPER_HOST_CERTIFICATES_H

#include "keeper/host/hosts.h"
#include "keeper/lond/credentials.h"

struct certificates;

/* NULL without memory. */
struct certificates *certificates_new(struct hosts *hosts);
void certificates_free(struct certificates *certificates); /* NULL is allowed */

/*
 * Puts credentials that were read for the core's configuration into force, as the core's own.
 * Where they are of no use, the ssl that is in force stays, as long as it can be used itself.
 * Returns a warning for whoever asked for it, static until the next call, or NULL: what follows
 * from the diagnostics of credentials_load, or that ssl is off now.
 */
const char *certificates_apply(struct certificates *certificates, struct credentials *credentials);

#endif
