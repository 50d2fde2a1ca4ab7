/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The `enc:` cipher of lonc-protocol(7) sections 3 and 4, over libgcrypt's IDEA.
 *
 * What it is: keys, one line to the wire and one line from it, both in the caller's buffer. What it
 * does not: look for `encrypt:` in a command, which is request.c's, or at what a clear text says,
 * which is replies.c's.
 */
#include "keeper/lond/cipher.h"

#include <assert.h>
#include <errno.h>
#include <gcrypt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 8
#define KEY_DIGITS (2 * (size_t)CIPHER_KEY_SIZE)
#define PREFIX     "enc:"

struct cipher {
    gcry_cipher_hd_t handle;
};

/* Set in each entry of hex_values that is a digit, to tell the digit 0 from the unset entries. */
#define HEX_DIGIT 0x10

/* The value of a hex digit. Peers may write upper case; we never do. */
static const uint8_t hex_values[256] = {
    ['0'] = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, /* 0 to 9 */
    ['A'] = 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,                         /* A to F */
    ['a'] = 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,                         /* a to f */
};

/*
 * Reads `size` bytes from twice as many digits. It goes forward and never writes beyond what it has
 * read, so `bytes` may start at or before `digits` in the same buffer.
 */
static int hex_decode(uint8_t *bytes, const char *digits, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t high = hex_values[(uint8_t)digits[2 * i]];
        uint8_t low = hex_values[(uint8_t)digits[2 * i + 1]];

        if ((high & low & HEX_DIGIT) == 0)
            return -EBADMSG;
        bytes[i] = (uint8_t)((high & 0x0f) << 4 | (low & 0x0f));
    }
    return 0;
}

/*
 * The reverse. The bytes may lie in the second half of the digits' room: pair i ends at or before
 * byte i, which has been read by then, so nothing unread is overwritten.
 */
static void hex_encode(char *digits, const uint8_t *bytes, size_t size)
{
    static const char alphabet[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];

        digits[2 * i] = alphabet[byte >> 4];
        digits[2 * i + 1] = alphabet[byte & 0x0f];
    }
}

static int negative_errno(gcry_error_t error)
{
    int number = gcry_err_code_to_errno(gcry_err_code(error));

    /* Most of libgcrypt's own codes have no errno. */
    return number != 0 ? -number : -EINVAL;
}

int cipher_initialize(void)
{
    if (gcry_check_version("1.6.0") == NULL) /* the first that has IDEA */
        return -ENOTSUP;

    /* Locked memory for keys would gain nothing: what they protect lies in ordinary buffers. */
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);

    /* A libgcrypt in FIPS mode has no IDEA. Find out now, not with the first peer. */
    if (gcry_cipher_test_algo(GCRY_CIPHER_IDEA) != 0)
        return -ENOTSUP;
    return 0;
}

/* As Perl's pack("H") does: any character is a digit; letters count by their place in the alphabet.
 */
static uint8_t pack_digit(char digit)
{
    uint8_t code = (uint8_t)digit;
    bool letter = (code >= 'A' && code <= 'Z') || (code >= 'a' && code <= 'z');

    return (uint8_t)((letter ? code + 9 : code) & 0x0f);
}

/* What a character of a lonHostID becomes in the key: upper case, then G-P and Q-Z to 0-9. */
static char id_digit(char character)
{
    static const char letters[] = "ABCDEF01234567890123456789";

    if (character >= 'a' && character <= 'z')
        return letters[character - 'a'];
    if (character >= 'A' && character <= 'Z')
        return letters[character - 'A'];
    return character;
}

static size_t append_id(char digits[KEY_DIGITS], size_t used, const char *id)
{
    while (used < KEY_DIGITS && *id != '\0')
        digits[used++] = id_digit(*id++);
    return used;
}

static size_t append_build(char digits[KEY_DIGITS], size_t used, const char *build, size_t length)
{
    size_t room = KEY_DIGITS - used;
    size_t taken = length < room ? length : room;

    memcpy(digits + used, build, taken);
    return used + taken;
}

int cipher_derive_key(const char *remote_id, const char *own_id, const char *build, size_t length,
                      uint8_t key[CIPHER_KEY_SIZE])
{
    char digits[KEY_DIGITS];
    size_t used = 0;

    if (length == 0)
        return -EBADMSG;

    /* Three rounds only: pack("H32") pads with zeros what short names leave open. */
    memset(digits, '0', sizeof(digits));
    for (int round = 0; round < 3; round++) {
        used = append_id(digits, used, remote_id);
        used = append_id(digits, used, own_id);
        used = append_build(digits, used, build, length);
    }

    for (size_t i = 0; i < CIPHER_KEY_SIZE; i++)
        key[i] = (uint8_t)(pack_digit(digits[2 * i]) << 4 | pack_digit(digits[2 * i + 1]));
    explicit_bzero(digits, sizeof(digits));
    return 0;
}

int cipher_parse_key(const char *digits, size_t length, uint8_t key[CIPHER_KEY_SIZE])
{
    /* Equal to pack("H32") for hex digits; where that would accept anything, this does not. */
    if (length != KEY_DIGITS)
        return -EBADMSG;
    return hex_decode(key, digits, CIPHER_KEY_SIZE);
}

static void cipher_freep(struct cipher **cipher)
{
    cipher_free(*cipher);
}

int cipher_new(struct cipher **cipher, const uint8_t key[CIPHER_KEY_SIZE])
{
    __attribute__((cleanup(cipher_freep))) struct cipher *made = calloc(1, sizeof(*made));
    gcry_error_t error;

    if (made == NULL)
        return -ENOMEM;

    error = gcry_cipher_open(&made->handle, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_ECB, 0);
    if (error == 0)
        error = gcry_cipher_setkey(made->handle, key, CIPHER_KEY_SIZE);
    if (error != 0)
        return negative_errno(error);

    *cipher = made;
    made = NULL;
    return 0;
}

void cipher_free(struct cipher *cipher)
{
    if (cipher == NULL)
        return;
    gcry_cipher_close(cipher->handle); /* wipes the key and its schedule; NULL is allowed */
    free(cipher);
}

/* Padded with blanks to the next multiple of 8; a length that is one gets another block (section
 * 4).
 */
static size_t padded_size(size_t n)
{
    return (n / BLOCK_SIZE + 1) * BLOCK_SIZE;
}

size_t cipher_encrypted_size(size_t n)
{
    int prefix = snprintf(NULL, 0, PREFIX "%zu:", n);

    return (size_t)prefix + 2 * padded_size(n) + 1;
}

void cipher_encrypt_begin(struct enciphering *work, const char *command, size_t n)
{
    *work = (struct enciphering){.command = command, .left = n, .n = n};
}

/* Enciphers whole blocks, which lie in the second half of the digits' room (see hex_encode). */
static void encipher(struct cipher *cipher, char *digits, uint8_t *blocks, size_t size)
{
    gcry_error_t error = gcry_cipher_encrypt(cipher->handle, blocks, size, NULL, 0);

    /* Sanity checks. With a key set and whole blocks, ECB has no way to fail. */
    assert(error == 0);

    hex_encode(digits, blocks, size);
}

size_t cipher_encrypt(struct cipher *cipher, struct enciphering *work, char *out, size_t room)
{
    char *at = out;
    size_t left = padded_size(work->left), size;
    bool last;

    if (!work->begun) /* its NUL falls into the digits' room */
        at += sprintf(at, PREFIX "%zu:", work->n);
    work->begun = true;
    room -= (size_t)(at - out) + 1;
    size = room / (2 * BLOCK_SIZE) * BLOCK_SIZE;
    last = left <= size;
    if (last)
        size = left;

    uint8_t *blocks = (uint8_t *)at + size;
    size_t taken = last ? work->left : size;
    memcpy(blocks, work->command, taken);
    memset(blocks + taken, ' ', size - taken);
    encipher(cipher, at, blocks, size);
    at += 2 * size;
    work->command += taken;
    work->left -= taken;
    work->ended = last;
    if (last)
        *at++ = '\n';
    return (size_t)(at - out);
}

/* Parses "enc:<n>:" at the start of the line. Returns its length, or 0 if it is malformed. */
static size_t parse_prefix(const char *line, size_t length, size_t *n)
{
    size_t start = strlen(PREFIX);
    size_t at = start;
    size_t value = 0;

    if (length < start || memcmp(line, PREFIX, start) != 0)
        return 0;
    for (; at < length && line[at] >= '0' && line[at] <= '9'; at++) {
        value = 10 * value + (size_t)(line[at] - '0');
        if (value > length) /* more than the line can hold: stop before it overflows */
            return 0;
    }
    if (at == start || at == length || line[at] != ':')
        return 0;

    *n = value;
    return at + 1;
}

/* How many bytes the whole groups of 16 digits hold. A last group that is cut short does not count
 * (section 4). */
static size_t whole_blocks(size_t digits)
{
    return digits / (2 * BLOCK_SIZE) * BLOCK_SIZE;
}

int cipher_decrypt_begin(struct deciphering *work, char *line, size_t length)
{
    size_t n = 0;
    size_t prefix = parse_prefix(line, length, &n);
    size_t digits = length - prefix;

    if (prefix == 0 || n > whole_blocks(digits) || digits % 2 != 0)
        return -EBADMSG;
    *work = (struct deciphering){.line = line, .prefix = prefix, .digits = digits, .n = n};
    return 0;
}

int cipher_decrypt(struct cipher *cipher, struct deciphering *work, size_t most)
{
    uint8_t *bytes = (uint8_t *)work->line + work->done;
    const char *digits = work->line + work->prefix + 2 * work->done;
    size_t left = whole_blocks(work->digits) - work->done;
    size_t size = left <= most ? left : most / BLOCK_SIZE * BLOCK_SIZE;
    /* What follows the last whole group must be digits nevertheless. */
    size_t decoded = size < left ? size : work->digits / 2 - work->done;
    gcry_error_t error;

    if (hex_decode(bytes, digits, decoded) < 0)
        return -EBADMSG;
    work->done += size;
    if (size == 0)
        return 0;
    error = gcry_cipher_decrypt(cipher->handle, bytes, size, NULL, 0);

    /* Sanity checks, as in encipher. */
    assert(error == 0);
    return size < left ? 1 : 0;
}
