/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files that use OpenSSL share.
 */
#ifndef LONC_KEEPER_NET_OPENSSL_H
#define LONC_KEEPER_NET_OPENSSL_H

/*
 * OpenSSL's text for what has just failed. The first error in its queue is the cause ("Permission
 * denied"); later ones name the parts of OpenSSL that passed it on. Empties the queue. The text is
 * valid until the next call of this or of strerror().
 */
const char *openssl_first_error(void);

#endif
