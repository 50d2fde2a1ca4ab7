/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The `enc:` cipher between lonc and lond: IDEA in ECB mode, written as hex (lonc-protocol(7)
 * sections 3 and 4). It hides passwords from casual eyes on the wire and does no more; lond leaves
 * no choice. Pure: no I/O. IDEA comes from libgcrypt, because Debian's OpenSSL is built without it.
 */
#ifndef LONC_KEEPER_LOND_CIPHER_H
#define LONC_KEEPER_LOND_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIPHER_KEY_SIZE 16

struct cipher; /* one connection's key, ready for use */

/*
 * Checks and initializes libgcrypt; once per process, before any other call. Returns 0, or -ENOTSUP
 * if it has no IDEA, because it is too old or in FIPS mode.
 */
int cipher_initialize(void);

/*
 * Derives the key of insecure mode from both lonHostIDs and lond's answer to `ekey`, the build key
 * (lonc-protocol(7) section 3). Returns 0, or -EBADMSG if the build key is empty.
 */
int cipher_derive_key(const char *remote_id, const char *own_id, const char *build, size_t length,
                      uint8_t key[CIPHER_KEY_SIZE]);

/*
 * Reads the key of ssl and local mode, 32 hex digits. Returns 0, or -EBADMSG if they are anything
 * else; `key` is then undefined. The caller wipes the key when it needs it no more.
 */
int cipher_parse_key(const char *digits, size_t length, uint8_t key[CIPHER_KEY_SIZE]);

/*
 * Makes *cipher, which the caller frees with cipher_free; that wipes its copy of the key. Returns
 * 0, or a negative errno with *cipher unchanged.
 */
int cipher_new(struct cipher **cipher, const uint8_t key[CIPHER_KEY_SIZE]);
void cipher_free(struct cipher *cipher); /* NULL is allowed */

/*
 * IDEA takes 15 ms for a MiB, so the caller enciphers and deciphers a long line in pieces. One byte
 * costs about as much as moving this many.
 */
#define CIPHER_COST 16

/* How many bytes cipher_encrypt writes in all for a command of n bytes: "enc:<n>:<hex>" LF. */
size_t cipher_encrypted_size(size_t n);

/* A command on its way to the wire. */
struct enciphering {
    const char *command; /* what is left of it */
    size_t left;
    size_t n; /* of the whole */
    bool begun, ended;
};

/* Begins with the n bytes of `command`, without `encrypt:` and LF. They must stay where they are.
 */
void cipher_encrypt_begin(struct enciphering *work, const char *command, size_t n);

/*
 * Writes the next bytes of "enc:<n>:<lower-case hex>" LF to `out`, as many as `room` allows, which
 * must be at least CIPHER_ROOM. Returns how many; work->ended tells that they were the last.
 */
#define CIPHER_ROOM 64
size_t cipher_encrypt(struct cipher *cipher, struct enciphering *work, char *out, size_t room);

/* A reply that came from the wire. */
struct deciphering {
    char *line;
    size_t prefix; /* of the line, before its digits */
    size_t digits;
    size_t done; /* bytes of clear text */
    size_t n;    /* and how many it will have */
};

/*
 * Begins with a reply line that starts with `enc:`, without its LF. It must stay where it is, and
 * its clear text overwrites it. Peers may omit the extra block of a length divisible by 8. Returns
 * 0, or -EBADMSG.
 */
int cipher_decrypt_begin(struct deciphering *work, char *line, size_t length);

/*
 * Deciphers up to about `most` more bytes, which must be at least 8. Returns 1 if there are more to
 * decipher. 0: the line's first work->n bytes are the clear text, which may contain any byte, LF
 * and NUL included. -EBADMSG: the line is malformed, and its content undefined.
 */
int cipher_decrypt(struct cipher *cipher, struct deciphering *work, size_t most);

#endif
