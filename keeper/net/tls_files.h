/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files that ssl needs: where they are, and their bytes. What is in them is for tls_context.c.
 */
#ifndef LONC_KEEPER_NET_TLS_FILES_H
#define LONC_KEEPER_NET_TLS_FILES_H

#include <stddef.h>

#include "common/attributes.h"
#include "common/loncapa.h"
#include "common/settings.h"

/* The first three come from loncapa.conf. The last comes from a setting and is optional. */
enum tls_file {
    TLS_FILE_AUTHORITY,
    TLS_FILE_CERTIFICATE,
    TLS_FILE_KEY,
    TLS_FILE_REVOCATIONS,
    TLS_FILE_COUNT
};

struct tls_files {
    char *path[TLS_FILE_COUNT]; /* absolute; NULL if it is not configured */
};

/*
 * Finds out where the files are; relative names are in lonCertificateDirectory. 0, or -ENOMEM and
 * then there is nothing to free. tls_files_free() leaves no paths.
 */
MUST_CHECK int tls_files_find(struct tls_files *files, const struct loncapa *loncapa,
                              const struct settings *settings);
void tls_files_free(struct tls_files *files);

/*
 * Reads the whole file. Returns its bytes, which the caller wipes and frees, or NULL with the
 * reason in *why, a text that is valid until the next call of strerror(). Never waits: a FIFO is
 * refused.
 */
MUST_CHECK char *tls_files_read(const char *path, size_t *length, const char **why);

#endif
