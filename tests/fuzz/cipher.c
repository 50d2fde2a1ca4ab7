/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `enc:` replies and keys. The first 16 bytes are a key, the rest is a reply, a command and a key's
 * line. A reply that is taken gives no more text than its digits hold; whatever is enciphered comes
 * back; a key is 32 hex digits and nothing else.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/lond/cipher.h"
#include "tests/fuzz/fuzz.h"

static char *copy(const void *bytes, size_t length)
{
    char *made = malloc(length > 0 ? length : 1);
    CHECK(made != NULL);
    memcpy(made, bytes, length);
    return made;
}

/* In pieces, some of them as small as may be. */
static size_t encrypt(struct cipher *cipher, const char *command, size_t length, char *line)
{
    struct enciphering work;
    size_t written = 0, room = CIPHER_ROOM;
    cipher_encrypt_begin(&work, command, length);
    while (!work.ended) {
        size_t size = cipher_encrypt(cipher, &work, line + written, room);
        CHECK(size > 0 && size <= room);
        written += size;
        room *= 2;
    }
    return written;
}

/* The length of the clear text, or -1. */
static ssize_t decrypt(struct cipher *cipher, char *line, size_t length)
{
    struct deciphering work;
    int r = cipher_decrypt_begin(&work, line, length);
    for (size_t most = 8; r == 0; most *= 2) {
        r = cipher_decrypt(cipher, &work, most);
        if (r == 0)
            return (ssize_t)work.n;
        r = r == 1 ? 0 : r;
    }
    return -1;
}

/* Behind the second colon. A line that is taken has nothing but digits there, two for a byte. */
static size_t count_digits(const char *bytes, size_t length)
{
    const char *colon = memchr(bytes + strlen("enc:"), ':', length - strlen("enc:"));
    CHECK(colon != NULL);
    size_t count = (size_t)(bytes + length - colon) - 1;
    CHECK(count % 2 == 0);
    for (size_t i = 1; i <= count; i++)
        CHECK(isxdigit((unsigned char)colon[i]));
    return count;
}

/* As it came from lond. */
static void decipher(struct cipher *cipher, const char *bytes, size_t length)
{
    char *line = copy(bytes, length);
    ssize_t n = decrypt(cipher, line, length);
    CHECK(n < 0 || (length >= strlen("enc:0:") && memcmp(bytes, "enc:", 4) == 0));
    CHECK(n <= 0 || n <= (ssize_t)(count_digits(bytes, length) / 16 * 8));
    free(line);
}

static void there_and_back(struct cipher *cipher, const char *command, size_t length)
{
    size_t size = cipher_encrypted_size(length);
    char *line = malloc(size);
    CHECK(line != NULL);
    CHECK(encrypt(cipher, command, length, line) == size);
    CHECK(line[size - 1] == '\n' && memchr(line, '\n', size - 1) == NULL);

    char *received = copy(line, size - 1);
    CHECK(decrypt(cipher, received, size - 1) == (ssize_t)length);
    CHECK(memcmp(received, command, length) == 0);
    free(received);

    /* A peer may omit the extra block, and write upper case. */
    size_t omitted = length > 0 && length % 8 == 0 ? 16 : 0;
    received = copy(line, size - 1 - omitted);
    for (size_t i = strlen("enc:"); i < size - 1 - omitted; i++)
        received[i] = (char)toupper(received[i]);
    CHECK(decrypt(cipher, received, size - 1 - omitted) == (ssize_t)length);
    CHECK(memcmp(received, command, length) == 0);
    free(received);
    free(line);
}

static void read_key(const char *line, size_t length)
{
    uint8_t key[CIPHER_KEY_SIZE];
    bool good = length == 2 * CIPHER_KEY_SIZE;
    for (size_t i = 0; good && i < length; i++)
        good = isxdigit((unsigned char)line[i]) != 0;
    CHECK((cipher_parse_key(line, length, key) == 0) == good);
    for (size_t i = 0; good && i < sizeof(key); i++) {
        const char digits[] = {line[2 * i], line[2 * i + 1], '\0'};
        CHECK(key[i] == strtoul(digits, NULL, 16));
    }
    CHECK((cipher_derive_key("msul1", "annarborl1", line, length, key) == 0) == (length > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready)
        CHECK(cipher_initialize() == 0);
    ready = true;
    if (size < CIPHER_KEY_SIZE)
        return 0;
    struct cipher *cipher;
    CHECK(cipher_new(&cipher, data) == 0);
    const char *rest = (const char *)data + CIPHER_KEY_SIZE;
    size -= CIPHER_KEY_SIZE;
    decipher(cipher, rest, size);
    there_and_back(cipher, rest, size);
    read_key(rest, size);
    cipher_free(cipher);
    return 0;
}
