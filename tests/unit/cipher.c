/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cipher of `enc:` lines. The vectors are those of lonc-protocol(7) sections 3 and 4, or come
 * from Perl's own pack("H32"), which lond uses; nothing here is merely what the code under test
 * once said.
 */
#include "keeper/lond/cipher.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The vector's key: 62451A77A1B815112345A0BC7D89EF54. */
static const uint8_t vector_key[CIPHER_KEY_SIZE] = {
    0x62, 0x45, 0x1a, 0x77, 0xa1, 0xb8, 0x15, 0x11, 0x23, 0x45, 0xa0, 0xbc, 0x7d, 0x89, 0xef, 0x54,
};

static struct cipher *cipher;

static void set_up(void)
{
    cr_assert_eq(cipher_initialize(), 0);
    cr_assert_eq(cipher_new(&cipher, vector_key), 0);
}

static void tear_down(void)
{
    cipher_free(cipher);
}

TestSuite(cipher, .init = set_up, .fini = tear_down);

/* --- Helpers ---------------------------------------------------------------------------------- */

static void expect_key(const char *remote_id, const char *own_id, const char *build,
                       const char *digits)
{
    uint8_t derived[CIPHER_KEY_SIZE], expected[CIPHER_KEY_SIZE];

    cr_assert_eq(cipher_parse_key(digits, strlen(digits), expected), 0);
    cr_assert_eq(cipher_derive_key(remote_id, own_id, build, strlen(build), derived), 0);
    cr_assert_arr_eq(derived, expected, CIPHER_KEY_SIZE, "key of %s, %s and %s", remote_id, own_id,
                     build);
}

/* In pieces that take `room` each, or at once. */
static size_t encrypt(struct cipher *with, const char *command, size_t n, char *out, size_t room)
{
    struct enciphering work;
    size_t length = 0;

    cipher_encrypt_begin(&work, command, n);
    do {
        size_t size = cipher_encrypt(with, &work, out + length, room);

        cr_assert_gt(size, 0);
        cr_assert_leq(size, room);
        length += size;
    } while (!work.ended);
    return length;
}

/* In pieces of `most` bytes. The length of the clear text, or -EBADMSG. */
static ssize_t decrypt_line(struct cipher *with, char *line, size_t length, size_t most)
{
    struct deciphering work;
    int r = cipher_decrypt_begin(&work, line, length);

    while (r == 0 && (r = cipher_decrypt(with, &work, most)) == 1)
        r = 0;
    return r < 0 ? r : (ssize_t)work.n;
}

/* In a block of exactly the promised size, so that a sanitizer sees a byte too many. */
static void expect_encrypted(const char *command, const char *line)
{
    size_t size = cipher_encrypted_size(strlen(command));
    char *out = malloc(size);

    cr_assert_eq(
        encrypt(cipher, command, strlen(command), out, size > CIPHER_ROOM ? size : CIPHER_ROOM),
        size);
    cr_assert_eq(size, strlen(line));
    cr_assert_arr_eq(out, line, size, "%s", command);
    free(out);
}

static ssize_t decrypt(const char *line, char *clear)
{
    size_t length = strlen(line);
    char *copy = malloc(length);
    ssize_t n;

    memcpy(copy, line, length);
    n = decrypt_line(cipher, copy, length, SIZE_MAX);
    if (n > 0)
        memcpy(clear, copy, (size_t)n);
    free(copy);
    return n;
}

static void expect_decrypted(const char *line, const char *command)
{
    char clear[64];
    ssize_t n = decrypt(line, clear);

    cr_assert_eq(n, (ssize_t)strlen(command), "%s", line);
    cr_assert_arr_eq(clear, command, (size_t)n, "%s", line);
}

static void expect_malformed(const char *line)
{
    char clear[64];

    cr_assert_eq(decrypt(line, clear), -EBADMSG, "%s", line);
}

/* --- Keys ------------------------------------------------------------------------------------- */

Test(cipher, derives_the_key_of_the_protocols_vector)
{
    uint8_t key[CIPHER_KEY_SIZE];

    cr_assert_eq(cipher_derive_key("msul1", "annarborl1", "12345A0BC7D89EF54321", 20, key), 0);
    cr_assert_arr_eq(key, vector_key, CIPHER_KEY_SIZE);
}

Test(cipher, turns_every_letter_of_an_id_into_its_digit)
{
    expect_key("abcdefghijklmnopqrstuvwxyz", "0123456789", "FFFF",
               "abcdef01234567890123456789012345");
    expect_key("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "FFFF",
               "abcdef01234567890123456789012345");
}

Test(cipher, packs_dashes_dots_and_the_build_keys_letters_as_perl_does)
{
    expect_key("s10-a.msu", "library_2", "xyz9", "210dae62452b1a18f21239210dae6245");
}

Test(cipher, repeats_names_and_build_key_three_times_and_fills_up_with_zeros)
{
    expect_key("a", "b", "1", "ab1ab1ab100000000000000000000000");
}

Test(cipher, uses_no_more_than_32_characters_of_long_names)
{
    expect_key("00112233445566778899aabbccddeeff00", "1", "2", "00112233445566778899aabbccddeeff");
    expect_key("00112233445566778899aabbccddee", "ffff", "2", "00112233445566778899aabbccddeeff");
}

Test(cipher, derives_no_key_without_a_build_key)
{
    uint8_t key[CIPHER_KEY_SIZE];

    cr_assert_eq(cipher_derive_key("msul1", "annarborl1", "", 0, key), -EBADMSG);
}

Test(cipher, parses_a_key_of_32_hex_digits_of_either_case)
{
    uint8_t key[CIPHER_KEY_SIZE];

    cr_assert_eq(cipher_parse_key("62451A77A1B815112345A0BC7D89EF54", 32, key), 0);
    cr_assert_arr_eq(key, vector_key, CIPHER_KEY_SIZE);
    memset(key, 0, sizeof(key));
    cr_assert_eq(cipher_parse_key("62451a77a1b815112345a0bc7d89ef54", 32, key), 0);
    cr_assert_arr_eq(key, vector_key, CIPHER_KEY_SIZE);
}

Test(cipher, parses_no_key_of_another_length)
{
    static const char digits[] = "62451A77A1B815112345A0BC7D89EF5400";
    uint8_t key[CIPHER_KEY_SIZE];

    for (size_t length = 0; length < sizeof(digits); length++)
        if (length != 32)
            cr_assert_eq(cipher_parse_key(digits, length, key), -EBADMSG, "%zu digits", length);
}

Test(cipher, parses_no_key_with_a_character_that_is_no_hex_digit)
{
    /* The neighbors of the digits' three ranges, and what a peer of another kind may send. */
    static const char others[] = "/:@G`g \r-\xe9";
    uint8_t key[CIPHER_KEY_SIZE];

    for (size_t other = 0; other < sizeof(others); other++) { /* the NUL at the end too */
        for (size_t place = 0; place < 32; place++) {
            char digits[] = "62451A77A1B815112345A0BC7D89EF54";

            digits[place] = others[other];
            cr_assert_eq(cipher_parse_key(digits, 32, key), -EBADMSG, "'%c' at %zu", others[other],
                         place);
        }
    }
}

Test(cipher, may_be_freed_when_there_is_none)
{
    cipher_free(NULL);
}

/* --- To the wire ------------------------------------------------------------------------------ */

Test(cipher, encrypts_the_protocols_vectors)
{
    expect_encrypted("1234567", "enc:7:d0aae4b321ae396d\n");
    expect_encrypted("12345678", "enc:8:a16e0bbee58b112d2b97fffd4db49122\n");
    expect_encrypted("", "enc:0:2b97fffd4db49122\n");
}

Test(cipher, knows_the_size_of_every_line_beforehand)
{
    cr_assert_eq(cipher_encrypted_size(0), strlen("enc:0:") + 16 + 1);
    cr_assert_eq(cipher_encrypted_size(7), strlen("enc:7:") + 16 + 1);
    cr_assert_eq(cipher_encrypted_size(8), strlen("enc:8:") + 32 + 1);
    cr_assert_eq(cipher_encrypted_size(9), strlen("enc:9:") + 32 + 1);
    cr_assert_eq(cipher_encrypted_size(10), strlen("enc:10:") + 32 + 1);
    cr_assert_eq(cipher_encrypted_size(67108864), strlen("enc:67108864:") + 2 * 67108872 + 1);
}

Test(cipher, enciphers_equal_blocks_alike_wherever_they_stand)
{
    expect_encrypted("123456781234567812345678", "enc:24:a16e0bbee58b112da16e0bbee58b112d"
                                                 "a16e0bbee58b112d2b97fffd4db49122\n");
}

/* --- From the wire ---------------------------------------------------------------------------- */

Test(cipher, decrypts_the_protocols_vectors)
{
    expect_decrypted("enc:7:d0aae4b321ae396d", "1234567");
    expect_decrypted("enc:8:a16e0bbee58b112d2b97fffd4db49122", "12345678");
    expect_decrypted("enc:0:2b97fffd4db49122", "");
}

Test(cipher, decrypts_a_length_divisible_by_8_without_the_extra_block)
{
    expect_decrypted("enc:8:a16e0bbee58b112d", "12345678");
    expect_decrypted("enc:16:a16e0bbee58b112da16e0bbee58b112d", "1234567812345678");
    expect_decrypted("enc:0:", "");
}

Test(cipher, cuts_the_clear_text_to_the_length_it_was_told)
{
    expect_decrypted("enc:3:d0aae4b321ae396d", "123");
    expect_decrypted("enc:0:a16e0bbee58b112da16e0bbee58b112d", "");
    expect_decrypted("enc:1:a16e0bbee58b112da16e0bbee58b112d", "1");
}

Test(cipher, decrypts_upper_case_and_mixed_digits)
{
    expect_decrypted("enc:7:D0AAE4B321AE396D", "1234567");
    expect_decrypted("enc:7:d0AaE4b321aE396D", "1234567");
}

Test(cipher, decrypts_a_length_with_leading_zeros)
{
    expect_decrypted("enc:007:d0aae4b321ae396d", "1234567");
}

Test(cipher, deciphers_whole_groups_only)
{
    expect_decrypted("enc:8:a16e0bbee58b112d2b97", "12345678");
    expect_decrypted("enc:0:2b97", "");
}

Test(cipher, rejects_a_line_without_a_length)
{
    expect_malformed("enc:");
    expect_malformed("enc::");
    expect_malformed("enc::d0aae4b321ae396d");
    expect_malformed("enc:d0aae4b321ae396d");
}

Test(cipher, rejects_a_length_that_is_not_a_plain_number)
{
    expect_malformed("enc:-7:d0aae4b321ae396d");
    expect_malformed("enc:+7:d0aae4b321ae396d");
    expect_malformed("enc: 7:d0aae4b321ae396d");
    expect_malformed("enc:7 :d0aae4b321ae396d");
    expect_malformed("enc:0x7:d0aae4b321ae396d");
    expect_malformed("enc:7.0:d0aae4b321ae396d");
}

Test(cipher, rejects_a_line_that_ends_within_its_length)
{
    expect_malformed("enc:7");
    expect_malformed("enc:0");
    expect_malformed("enc:7;d0aae4b321ae396d");
}

Test(cipher, rejects_a_length_larger_than_the_groups_hold)
{
    expect_malformed("enc:9:d0aae4b321ae396d");
    expect_malformed("enc:17:a16e0bbee58b112d2b97fffd4db49122");
    expect_malformed("enc:1:");
    expect_malformed("enc:1:2b97fffd4db491");
    expect_malformed("enc:9:a16e0bbee58b112d2b97fffd4db491");
}

Test(cipher, rejects_a_length_past_what_a_number_can_be)
{
    expect_malformed("enc:4294967303:d0aae4b321ae396d");               /* 2^32 + 7 */
    expect_malformed("enc:18446744073709551615:d0aae4b321ae396d");     /* 2^64 - 1 */
    expect_malformed("enc:18446744073709551623:d0aae4b321ae396d");     /* 2^64 + 7 */
    expect_malformed("enc:184467440737095516160007:d0aae4b321ae396d"); /* 2^64 * 10^4 + 7 */
}

Test(cipher, rejects_an_odd_number_of_digits)
{
    expect_malformed("enc:7:d0aae4b321ae396");
    expect_malformed("enc:7:d0aae4b321ae396d0");
    expect_malformed("enc:0:2");
}

Test(cipher, rejects_a_digit_that_is_none_anywhere_in_the_line)
{
    static const char line[] = "enc:8:a16e0bbee58b112d2b97fffd4db49122";
    static const char others[] = "/:@G`g \r-\xe9";

    for (size_t other = 0; other < strlen(others); other++) {
        for (size_t place = strlen("enc:8:"); place < strlen(line); place++) {
            char wrong[sizeof(line)];

            memcpy(wrong, line, sizeof(line));
            wrong[place] = others[other];
            expect_malformed(wrong);
        }
    }
}

Test(cipher, rejects_rubbish_behind_the_digits)
{
    expect_malformed("enc:7:d0aae4b321ae396d\r");
    expect_malformed("enc:7:d0aae4b321ae396d\r\n");
    expect_malformed("enc:7:d0aae4b321ae396d  ");
    expect_malformed("enc:7:d0aae4b321ae396d:x");
    expect_malformed("enc:7:d0aae4b321ae396drubbish of some length");
}

Test(cipher, rejects_a_line_that_does_not_start_enc)
{
    expect_malformed("");
    expect_malformed("en");
    expect_malformed("ok");
    expect_malformed("ENC:7:d0aae4b321ae396d");
    expect_malformed("7:d0aae4b321ae396d");
}

/* --- There and back --------------------------------------------------------------------------- */

/* Any bytes, so that nothing in the cipher takes a NUL, an LF or a high bit for something else. */
static void fill(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        text[i] = (char)((i * 37 + 11 * (i / 251)) & 0xff);
}

static void expect_round_trip(size_t n, size_t room, size_t most)
{
    size_t size = cipher_encrypted_size(n);
    char *command = malloc(n + 1);    /* malloc(0) may be NULL */
    char *line = calloc(1, size + 1); /* strspn below wants its NUL */

    fill(command, n);
    cr_assert_eq(encrypt(cipher, command, n, line, room), size);
    cr_assert_eq(line[size - 1], '\n');
    const char *digits = (const char *)memchr(line + 4, ':', size - 4) + 1;
    cr_assert_eq(strspn(digits, "0123456789abcdef"), 2 * (n / 8 + 1) * 8);
    cr_assert_eq(decrypt_line(cipher, line, size - 1, most), (ssize_t)n, "%zu bytes", n);
    cr_assert_eq(memcmp(line, command, n), 0, "%zu bytes", n);
    free(command);
    free(line);
}

Test(cipher, brings_back_every_length_from_0_to_64)
{
    for (size_t n = 0; n <= 64; n++)
        expect_round_trip(n, 4096, 4096);
}

Test(cipher, brings_back_what_is_done_in_the_smallest_pieces)
{
    for (size_t n = 0; n <= 200; n++) {
        expect_round_trip(n, CIPHER_ROOM, 8);
        expect_round_trip(n, CIPHER_ROOM + n, 8 + n);
    }
}

/* So many bytes a call, and no more: a long line must not hold up others. */
Test(cipher, does_no_more_at_once_than_was_asked)
{
    enum { LENGTH = 100000 };
    char *command = malloc(LENGTH), *line = malloc(cipher_encrypted_size(LENGTH));
    struct enciphering to;
    struct deciphering from;
    size_t length = 0, calls = 0;

    fill(command, LENGTH);
    cipher_encrypt_begin(&to, command, LENGTH);
    for (; !to.ended; calls++) {
        size_t left = to.left;
        length += cipher_encrypt(cipher, &to, line + length, 4096);
        cr_assert_leq(left - to.left, 2048);
    }
    cr_assert_leq(calls, LENGTH / 2000);
    cr_assert_eq(cipher_decrypt_begin(&from, line, length - 1), 0);
    for (size_t done = 0; cipher_decrypt(cipher, &from, 1001) == 1; done = from.done)
        cr_assert_eq(from.done - done, 1000);
    cr_assert_eq(from.n, LENGTH);
    cr_assert_arr_eq(line, command, LENGTH);
    free(command);
    free(line);
}

Test(cipher, brings_back_megabytes)
{
    expect_round_trip(3 * 1024 * 1024, 8192, 4096);
    expect_round_trip(3 * 1024 * 1024 + 5, 8 * 1024 * 1024, SIZE_MAX);
}

Test(cipher, serves_one_connection_after_another_with_its_own_key)
{
    uint8_t other_key[CIPHER_KEY_SIZE] = {0};
    struct cipher *other;
    char line[64], clear[64];

    cr_assert_eq(cipher_new(&other, other_key), 0);
    cr_assert_eq(encrypt(other, "1234567", 7, line, sizeof(line)), cipher_encrypted_size(7));
    cr_assert_neq(memcmp(line, "enc:7:d0aae4b321ae396d", 22), 0);
    cr_assert_eq(decrypt_line(other, line, 22, SIZE_MAX), 7);
    cr_assert_arr_eq(line, "1234567", 7);
    cipher_free(other);

    cr_assert_eq(decrypt("enc:7:d0aae4b321ae396d", clear), 7);
    cr_assert_arr_eq(clear, "1234567", 7);
}
