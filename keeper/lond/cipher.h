/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The `enc:` cipher between lonc and lond: IDEA in ECB mode over hex (lonc-protocol(7) sections 3
 * and 4). It keeps passwords from casual eyes on the wire and no more than that; its strength is
 * not ours to choose. Pure: no I/O. IDEA comes from libgcrypt, since Debian's OpenSSL is built
 * without it.
 */
#ifndef LONC_KEEPER_LOND_CIPHER_H
#define LONC_KEEPER_LOND_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CIPHER_KEY_SIZE 16

struct cipher; /* one connection's key, ready for use */

/*
 * Once per process, before any other call: checks and initializes libgcrypt. Returns 0, or -ENOTSUP
 * when it has no IDEA to offer (it is too old, or in FIPS mode).
 */
int cipher_initialize(void);

/*
 * The key of insecure mode from both lonHostIDs and the build key that lond answered to `ekey`
 * (lonc-protocol(7) section 3). Returns 0, or -EBADMSG when the build key is empty.
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

/*
 * IDEA takes 15 ms for a MiB, so a line is enciphered or deciphered in pieces of the caller's
 * choice. A byte costs about as much as moving so many of them does.
 */
#define CIPHER_COST 16

/* The size of "enc:<n>:<hex>" LF for a command of n bytes: what cipher_encrypt will write. */
size_t cipher_encrypted_size(size_t n);

/* A command on its way to the wire. */
struct enciphering {
    const char *command; /* what is left of it */
    size_t left;
    size_t n; /* of the whole */
    bool begun, ended;
};

/* For the n bytes of `command` (without `encrypt:` and LF), which stay where they are. */
void cipher_encrypt_begin(struct enciphering *work, const char *command, size_t n);

/*
 * Writes the next bytes of "enc:<n>:<lower-case hex>" LF to `out`: as many as `room`, which is
 * CIPHER_ROOM at least, allows. Returns how many; `work->ended` says that these were the last.
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
 * For a reply line that starts `enc:`, without its LF, which stays where it is and is overwritten.
 * Peers may omit the extra block of a length divisible by 8. 0, or -EBADMSG.
 */
int cipher_decrypt_begin(struct deciphering *work, char *line, size_t length);

/*
 * Deciphers some `most` bytes more, 8 at least. 1: there are more; 0: `line` holds the clear text
 * from its start, `work->n` bytes, which may be any, LF and NUL included; -EBADMSG: the line is not
 * well formed, and what it holds is undefined.
 */
int cipher_decrypt(struct cipher *cipher, struct deciphering *work, size_t most);

#endif
