/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A TLS context for targets that need one.
 */
#ifndef LONC_TESTS_FUZZ_CERTIFICATE_H
#define LONC_TESTS_FUZZ_CERTIFICATE_H

#include "keeper/net/tls_context.h"

/* Of a certificate made for this run, which is its own CA; the same at each call. */
struct tls_context *fuzz_tls_context(void);

#endif
