/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The `enc:` cipher between lonc and lond: IDEA in ECB mode over hex (PROTOCOL.md sections 3 and
 * 4). It keeps passwords from casual eyes on the wire and no more than that; its strength is not
 * ours to choose. Pure: no I/O. IDEA comes from libgcrypt, since Debian's OpenSSL is built without
 * it.
 */
#ifndef LONC_KEEPER_CIPHER_H
#define LONC_KEEPER_CIPHER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CIPHER_KEY_SIZE 16

struct cipher; /* one connection's key, ready for use */

/*
 * Once per process, before any other call: checks and initializes libgcrypt. Returns 0, or -ENOTSUP
 * when it has no IDEA to offer (it is too old, or in FIPS mode).
 */
int cipher_initialize(void);

/*
 * The key of insecure mode from both lonHostIDs and the build key that lond answered to `ekey`
 * (PROTOCOL.md section 3). Returns 0, or -EBADMSG when the build key is empty.
 */
int cipher_derive_key(const char *remote_id, const char *own_id, const char *build, size_t length,
                      uint8_t key[CIPHER_KEY_SIZE]);

/*
 * The key of ssl and local mode: 32 hex digits, packed. Returns 0, or -EBADMSG when they are
 * anything else; `key` is then undefined. Whoever holds a key wipes it once cipher_new has it.
 */
int cipher_parse_key(const char *digits, size_t length, uint8_t key[CIPHER_KEY_SIZE]);

/*
 * The caller owns *cipher and frees it with cipher_free, which wipes the key. Returns 0, or a
 * negative errno that leaves *cipher alone.
 */
int cipher_new(struct cipher **cipher, const uint8_t key[CIPHER_KEY_SIZE]);
void cipher_free(struct cipher *cipher); /* NULL is allowed */

/* The size of "enc:<n>:<hex>" LF for a command of n bytes: what cipher_encrypt will write. */
size_t cipher_encrypted_size(size_t n);

/*
 * Writes "enc:<n>:<lower-case hex>" LF for the n bytes of `command` (without `encrypt:` and LF) to
 * `out`, which has cipher_encrypted_size(n) bytes of room. Returns the number of bytes written.
 */
size_t cipher_encrypt(struct cipher *cipher, const char *command, size_t n, char *out);

/*
 * Deciphers a reply line that starts `enc:` (without its LF) in place: `line` then holds the clear
 * text from its start. Peers may omit the extra block of a length divisible by 8. Returns the
 * number of bytes of clear text, which may be any, LF and NUL included; or -EBADMSG when the line
 * is not well formed, and what `line` holds is then undefined.
 */
ssize_t cipher_decrypt(struct cipher *cipher, char *line, size_t length);

#endif
