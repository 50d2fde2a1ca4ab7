/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lond's side of `enc:` (lonc-protocol(7) sections 3 and 4), for the stand-in. It is deliberately
 * independent of the keeper's cipher, so that two readings of the same text have to agree. It is
 * stricter than a real lond, in order to find a keeper that pads or counts wrongly.
 */
#include <gcrypt.h>
#include <stdio.h>
#include <string.h>

#include "tests/lond/lond.h"

#define BLOCK      8
#define KEY_DIGITS 32

void idea_initialize(void)
{
    if (gcry_check_version(NULL) == NULL)
        fail("libgcrypt does not start");
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    if (gcry_cipher_test_algo(GCRY_CIPHER_IDEA) != 0)
        fail("libgcrypt has no IDEA");
}

/* a-z to A-Z, then G..P and Q..Z both to 0..9. */
static char translate(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c >= 'G' && c <= 'P')
        return (char)(c - 'G' + '0');
    if (c >= 'Q' && c <= 'Z')
        return (char)(c - 'Q' + '0');
    return c;
}

/* One digit of Perl's pack("H32"). */
static unsigned char pack(char c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

    return (unsigned char)((letter ? c + 9 : c) & 15);
}

static void pack_digits(const char *digits, unsigned char key[KEY_DIGITS / 2])
{
    for (size_t i = 0; i < KEY_DIGITS / 2; i++)
        key[i] = (unsigned char)(pack(digits[2 * i]) << 4 | pack(digits[2 * i + 1]));
}

static void derive_key(const struct connection *connection, unsigned char key[KEY_DIGITS / 2])
{
    char digits[3 * (sizeof(connection->id) * 2 + sizeof(connection->build)) + 1];
    char ids[sizeof(connection->id) * 2 + 1];

    snprintf(ids, sizeof(ids), "%.255s%.255s", connection->id, lond.peer);
    for (char *c = ids; *c != '\0'; c++)
        *c = translate(*c);
    memset(digits, 0,
           sizeof(digits)); /* a key that is too short is filled with zeros, as by pack */
    snprintf(digits, sizeof(digits), "%s%s%s%s%s%s", ids, connection->build, ids, connection->build,
             ids, connection->build);
    pack_digits(digits, key);
}

static struct gcry_cipher_handle *cipher_of(struct connection *connection)
{
    unsigned char key[KEY_DIGITS / 2];

    if (connection->cipher != NULL)
        return connection->cipher;
    if (connection->mode == MODE_INSECURE)
        derive_key(connection, key);
    else
        pack_digits(connection->key, key);
    if (gcry_cipher_open(&connection->cipher, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_ECB, 0) != 0 ||
        gcry_cipher_setkey(connection->cipher, key, sizeof(key)) != 0)
        fail("IDEA takes no key");
    return connection->cipher;
}

void idea_close(struct connection *connection)
{
    gcry_cipher_close(connection->cipher);
    connection->cipher = NULL;
}

void idea_encipher(struct connection *connection, const char *text, size_t length,
                   struct buffer *out)
{
    static const char hex[] = "0123456789abcdef";
    bool extra = !lond.no_extra_block || length % BLOCK != 0;
    size_t size = (length / BLOCK + (extra ? 1 : 0)) * BLOCK;
    struct buffer secret = {0};

    buffer_reserve(&secret, size);
    memset(secret.data, ' ', size);
    memcpy(secret.data, text, length);
    if (size > 0 && gcry_cipher_encrypt(cipher_of(connection), secret.data, size, NULL, 0) != 0)
        fail("IDEA does not encipher");
    buffer_print(out, "enc:%zu:", length);
    buffer_reserve(out, 2 * size);
    for (size_t i = 0; i < size; i++) {
        out->data[out->length++] = hex[(unsigned char)secret.data[i] >> 4];
        out->data[out->length++] = hex[secret.data[i] & 15];
    }
    buffer_free(&secret);
}

/* -1 unless it is a lower-case hex digit. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unhex(const char *hex, size_t size, struct buffer *out)
{
    buffer_reserve(out, size);
    for (size_t i = 0; i < size; i++) {
        int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out->data[out->length++] = (char)(high << 4 | low);
    }
    return true;
}

bool idea_decipher(struct connection *connection, const char *line, size_t length,
                   struct buffer *out)
{
    const char *number = line + strlen("enc:");
    const char *hex = memchr(number, ':', length - strlen("enc:"));
    size_t size;
    uint64_t n;

    if (hex == NULL || !parse_number(number, (size_t)(hex - number), SIZE_MAX / 4, &n))
        return false;
    hex++;
    size = (n / BLOCK + 1) * BLOCK;
    if ((size_t)(line + length - hex) != 2 * size || !unhex(hex, size, out))
        return false;
    if (gcry_cipher_decrypt(cipher_of(connection), out->data, size, NULL, 0) != 0)
        fail("IDEA does not decipher");
    for (size_t i = n; i < size; i++)
        if (out->data[i] != ' ')
            return false;
    out->length = n;
    return true;
}
