/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The dialogue with lond, in each of its modes: the first byte chooses, each line is one of lond's.
 * Beside it goes lonc-protocol(7) section 2 as one reads it there; both must agree about every
 * line, and nobody is let in who did not say all of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/lond/handshake.h"
#include "tests/fuzz/fuzz.h"

/* What of the table has been said. */
struct reading {
    bool ssl, local, allowed; /* as begun; insecure is allowed */
    bool insecure;            /* it has come to that */
    int line;                 /* lond's next, from 0 on */
    bool over, failed;
};

static bool is(const char *line, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(line, text, length) == 0;
}

static bool is_challenge(const char *line, size_t length)
{
    size_t digits = 0;
    while (digits < length && line[digits] >= '0' && line[digits] <= '9')
        digits++;
    return length > 0 && digits == length;
}

static bool is_key(const char *line, size_t length)
{
    char text[33] = "";
    if (length == 32)
        memcpy(text, line, 32);
    return length == 32 && strspn(text, "0123456789abcdefABCDEF") == 32;
}

/* Lines: 0 answer to init, 1 key through TLS, 2 ok for the challenge, 3 version, 4 ok for sethost,
 * 5 build key. */
static void hear(struct reading *reading, const char *line, size_t length)
{
    bool good = false;
    int next = reading->line + 1;
    bool tls = reading->line == 1;
    switch (reading->line) {
    case 0:
        if (reading->ssl && is(line, length, "ok:ssl")) {
            good = true;
        } else if (reading->local && is(line, length, "ok:local")) {
            good = true;
            next = 3;
        } else {
            reading->insecure = good = is_challenge(line, length) && reading->allowed;
            next = 2;
        }
        break;
    case 1:
        good = is_key(line, length);
        next = 3;
        break;
    case 2:
    case 4:
        good = is(line, length, "ok");
        break;
    case 3:
        good = length >= 8 && memcmp(line, "version:", 8) == 0;
        break;
    default:
        good = length > 0;
        break;
    }
    if (!tls && (length > HANDSHAKE_LINE_MAX || is(line, length, "refused")))
        good = false;
    reading->failed = !good;
    reading->over = good && (next == 6 || (next == 5 && !reading->insecure));
    reading->line = next;
}

/* All that there is to say now. */
static void speak(struct handshake *handshake)
{
    char *line = malloc(HANDSHAKE_LINE_MAX + 1);
    CHECK(line != NULL);
    for (size_t length; (length = handshake_output(handshake, line)) > 0;) {
        CHECK(length <= HANDSHAKE_LINE_MAX + 1);
        CHECK(memchr(line, '\n', length) == line + length - 1);
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    uint8_t choice = input_byte(&input);
    struct handshake_identity identity = {
        .own_id = "annarborl1",
        .remote_id = "msul1",
        .remote_name = "msul1.example.edu",
        .lonc_version = choice & 4 ? "2.11.4" : NULL,
        .allow_insecure = (choice & 8) == 0,
    };
    enum handshake_mode mode = choice % 3;
    struct reading reading = {.ssl = mode == HANDSHAKE_SSL,
                              .local = mode == HANDSHAKE_LOCAL,
                              .allowed = identity.allow_insecure};
    struct handshake handshake;
    handshake_begin(&handshake, &identity, mode, "/key");
    while (input.left > 0 && !reading.over && !reading.failed) {
        size_t length;
        const char *line = input_line(&input, &length);
        speak(&handshake);
        hear(&reading, line, length);
        enum handshake_error error = handshake.state == LOND_EXCHANGING_KEY
                                         ? handshake_take_key(&handshake, line, length)
                                         : handshake_input(&handshake, line, length);
        CHECK((error != HANDSHAKE_OK) == reading.failed);
    }
    if (!reading.failed)
        speak(&handshake);
    CHECK((handshake.state == LOND_IDLE) == reading.over);
    CHECK(!reading.over || (handshake.mode == HANDSHAKE_INSECURE) == reading.insecure);
    return 0;
}
