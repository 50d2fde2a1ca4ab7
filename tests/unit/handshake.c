/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The handshake with lond: every line of lonc-protocol(7) section 2 to the byte, and every way a
 * peer may leave the dialogue.
 *
 * In one piece because it is the test of one dialogue.
 */
#include "keeper/lond/handshake.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct handshake_identity identity = {
    .own_id = "annarborl1",
    .remote_id = "msul1",
    .remote_name = "s10.lite.msu.edu",
    .allow_insecure = true,
};

#define KEY_FILE "/home/httpd/lonCerts/lonc-key-0123456789abcdef"

/* The key of lonc-protocol(7) section 3 for these two and the build key below. */
#define BUILD_KEY "12345A0BC7D89EF54321"
static const uint8_t vector_key[CIPHER_KEY_SIZE] = {
    0x62, 0x45, 0x1a, 0x77, 0xa1, 0xb8, 0x15, 0x11, 0x23, 0x45, 0xa0, 0xbc, 0x7d, 0x89, 0xef, 0x54,
};

/* The five states in which lond speaks, each with an answer that it takes. */
static const struct {
    enum lond_state state;
    const char *answer;
} readings[] = {
    {LOND_INITIALIZED, "48321170"},
    {LOND_CHALLENGE_REPLIED, "ok"},
    {LOND_READING_VERSION_STRING, "version:$Revision: 1.325 $"},
    {LOND_HOST_SET, "ok"},
    {LOND_RECEIVING_KEY, BUILD_KEY},
};
#define READINGS (sizeof(readings) / sizeof(readings[0]))

/* The states in which a line is none of the handshake's business: we write, or it is over. */
static const enum lond_state silent[] = {
    LOND_CONNECTED,
    LOND_EXCHANGING_KEY,
    LOND_CHALLENGE_RECEIVED,
    LOND_REQUESTING_VERSION,
    LOND_SET_HOST,
    LOND_REQUESTING_KEY,
    LOND_IDLE,
    LOND_SENDING_REQUEST,
    LOND_RECEIVING_REPLY,
    LOND_DISCONNECTED,
};
#define SILENT (sizeof(silent) / sizeof(silent[0]))

/* --- Helpers ---------------------------------------------------------------------------------- */

static void expect_output(struct handshake *handshake, const char *expected, enum lond_state next)
{
    char line[HANDSHAKE_LINE_MAX + 1];
    size_t length = handshake_output(handshake, line);

    cr_assert_eq(length, strlen(expected), "%zu bytes instead of %s", length, expected);
    cr_assert_arr_eq(line, expected, length, "expected %s", expected);
    cr_assert_eq(handshake->state, next, "then %s", lond_state_name(handshake->state));
}

static void expect_no_output(struct handshake *handshake)
{
    enum lond_state before = handshake->state;
    char line[HANDSHAKE_LINE_MAX + 1];

    cr_assert_eq(handshake_output(handshake, line), 0, "in %s", lond_state_name(before));
    cr_assert_eq(handshake->state, before);
}

static void expect_taken(struct handshake *handshake, const char *line, enum lond_state next)
{
    cr_assert_eq(handshake_input(handshake, line, strlen(line)), HANDSHAKE_OK, "%s", line);
    cr_assert_eq(handshake->state, next, "then %s", lond_state_name(handshake->state));
}

/* The line fails as `error` says, and the state still tells where. */
static void expect_failure_of(struct handshake *handshake, const char *line, size_t length,
                              enum handshake_error error)
{
    enum lond_state before = handshake->state;

    cr_assert_eq(handshake_input(handshake, line, length), error, "\"%.*s\" in %s", (int)length,
                 line, lond_state_name(before));
    cr_assert_eq(handshake->state, before, "\"%.*s\" left %s", (int)length, line,
                 lond_state_name(before));
}

static void expect_failure(struct handshake *handshake, const char *line,
                           enum handshake_error error)
{
    expect_failure_of(handshake, line, strlen(line), error);
}

/* Leads a fresh handshake through a faultless dialogue as far as the state, or to LOND_IDLE. */
static void reach(struct handshake *handshake, enum lond_state state)
{
    char line[HANDSHAKE_LINE_MAX + 1];

    if (state == LOND_EXCHANGING_KEY) {
        handshake_begin(handshake, &identity, HANDSHAKE_SSL, NULL);
        cr_assert_gt(handshake_output(handshake, line), 0);
        cr_assert_eq(handshake_input(handshake, "ok:ssl", 6), HANDSHAKE_OK);
        cr_assert_eq(handshake->state, state);
        return;
    }
    handshake_begin(handshake, &identity, HANDSHAKE_INSECURE, NULL);
    for (size_t answers = 0; handshake->state != state && handshake->state != LOND_IDLE;) {
        if (handshake_output(handshake, line) == 0) {
            const char *answer = readings[answers++].answer;

            cr_assert_eq(handshake_input(handshake, answer, strlen(answer)), HANDSHAKE_OK);
        }
    }
    if (state > LOND_IDLE) /* where londs.c takes a connection that is ready */
        handshake->state = state;
    cr_assert_eq(handshake->state, state);
}

/* --- The names -------------------------------------------------------------------------------- */

Test(handshake, names_every_state_as_lon_capa_does)
{
    static const char *const names[LOND_STATE_COUNT] = {
        "Connected",        "Initialized",       "ExchangingKey",        "ChallengeReceived",
        "ChallengeReplied", "RequestingVersion", "ReadingVersionString", "SetHost",
        "HostSet",          "RequestingKey",     "ReceivingKey",         "Idle",
        "SendingRequest",   "ReceivingReply",    "Disconnected",
    };

    for (enum lond_state state = 0; state < LOND_STATE_COUNT; state++)
        cr_assert_str_eq(lond_state_name(state), names[state]);
}

/* --- The dialogue as it should be ------------------------------------------------------------- */

Test(handshake, goes_from_connected_to_idle_byte_by_byte)
{
    struct handshake handshake;

    handshake_begin(&handshake, &identity, HANDSHAKE_INSECURE, NULL);
    cr_assert_eq(handshake.state, LOND_CONNECTED);
    expect_output(&handshake, "init\n", LOND_INITIALIZED);
    expect_no_output(&handshake);
    expect_taken(&handshake, "48321170", LOND_CHALLENGE_RECEIVED);
    expect_output(&handshake, "48321170\n", LOND_CHALLENGE_REPLIED);
    expect_no_output(&handshake);
    expect_taken(&handshake, "ok", LOND_REQUESTING_VERSION);
    expect_output(&handshake, "version\n", LOND_READING_VERSION_STRING);
    expect_no_output(&handshake);
    expect_taken(&handshake, "version:$Revision: 1.325 $", LOND_SET_HOST);
    expect_output(&handshake, "sethost:msul1\n", LOND_HOST_SET);
    expect_no_output(&handshake);
    expect_taken(&handshake, "ok", LOND_REQUESTING_KEY);
    expect_output(&handshake, "ekey\n", LOND_RECEIVING_KEY);
    expect_no_output(&handshake);
    expect_taken(&handshake, BUILD_KEY, LOND_IDLE);
    expect_no_output(&handshake);

    cr_assert_str_eq(handshake.peer_version, "$Revision: 1.325 $");
    cr_assert_arr_eq(handshake.key, vector_key, CIPHER_KEY_SIZE);
}

Test(handshake, sends_its_version_with_init_where_one_is_configured)
{
    struct handshake_identity versioned = identity;
    struct handshake handshake;

    versioned.lonc_version = "2.11.4";
    handshake_begin(&handshake, &versioned, HANDSHAKE_INSECURE, NULL);
    expect_output(&handshake, "init::2.11.4\n", LOND_INITIALIZED);
}

Test(handshake, cuts_its_own_version_rather_than_write_past_the_line)
{
    char version[2 * HANDSHAKE_LINE_MAX];
    struct handshake_identity versioned = identity;
    struct handshake handshake;
    char line[HANDSHAKE_LINE_MAX + 1];

    memset(version, '7', sizeof(version) - 1);
    version[sizeof(version) - 1] = '\0';
    versioned.lonc_version = version;
    handshake_begin(&handshake, &versioned, HANDSHAKE_INSECURE, NULL);

    cr_assert_eq(handshake_output(&handshake, line), HANDSHAKE_LINE_MAX + 1);
    cr_assert_eq(line[HANDSHAKE_LINE_MAX - 1], '7');
    cr_assert_eq(line[HANDSHAKE_LINE_MAX], '\n');
}

Test(handshake, repeats_the_challenge_byte_for_byte)
{
    struct handshake handshake;

    reach(&handshake, LOND_INITIALIZED);
    expect_taken(&handshake, "00123456789012345678901234567890", LOND_CHALLENGE_RECEIVED);
    expect_output(&handshake, "00123456789012345678901234567890\n", LOND_CHALLENGE_REPLIED);
}

Test(handshake, repeats_a_challenge_that_fills_the_line)
{
    char challenge[HANDSHAKE_LINE_MAX];
    char line[HANDSHAKE_LINE_MAX + 1];
    struct handshake handshake;

    memset(challenge, '9', sizeof(challenge));
    reach(&handshake, LOND_INITIALIZED);
    cr_assert_eq(handshake_input(&handshake, challenge, sizeof(challenge)), HANDSHAKE_OK);
    cr_assert_eq(handshake_output(&handshake, line), HANDSHAKE_LINE_MAX + 1);
    cr_assert_arr_eq(line, challenge, HANDSHAKE_LINE_MAX);
    cr_assert_eq(line[HANDSHAKE_LINE_MAX], '\n');
}

Test(handshake, keeps_whatever_a_peer_says_of_its_version)
{
    static const char *const versions[] = {
        "",   "2.11.4", "$Revision: 1.999 $ (local)", "$Revision: 1.394.2.1 $", "1.410.2.2",
        "ok", "none"};
    struct handshake handshake;

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        char line[64];

        snprintf(line, sizeof(line), "version:%s", versions[i]);
        reach(&handshake, LOND_READING_VERSION_STRING);
        expect_taken(&handshake, line, LOND_SET_HOST);
        cr_assert_str_eq(handshake.peer_version, versions[i]);
    }
}

/* 63 characters are kept, the 64th gives way to the NUL: lengths around that, then the whole line.
 */
Test(handshake, cuts_a_version_text_that_is_too_long_to_keep)
{
    static const size_t lengths[] = {62, 63, 64, 65, HANDSHAKE_LINE_MAX - 8};
    char line[HANDSHAKE_LINE_MAX] = "version:";
    struct handshake handshake;

    memset(line + 8, '1', sizeof(line) - 8);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        reach(&handshake, LOND_READING_VERSION_STRING);
        cr_assert_eq(handshake_input(&handshake, line, 8 + lengths[i]), HANDSHAKE_OK);
        cr_assert_eq(strlen(handshake.peer_version), lengths[i] < 63 ? lengths[i] : 63);
    }
}

Test(handshake, leaves_nothing_of_the_last_connection_when_it_begins_again)
{
    static const uint8_t nothing[CIPHER_KEY_SIZE];
    struct handshake handshake;

    reach(&handshake, LOND_IDLE);
    handshake_begin(&handshake, &identity, HANDSHAKE_INSECURE, NULL);
    cr_assert_eq(handshake.state, LOND_CONNECTED);
    cr_assert_arr_eq(handshake.key, nothing, CIPHER_KEY_SIZE);
    cr_assert_eq(handshake.challenge_length, 0);
    cr_assert_str_empty(handshake.peer_version);
}

/* --- ssl and local ---------------------------------------------------------------------------- */

#define KEY_DIGITS "62451A77A1B815112345A0BC7D89EF54" /* of vector_key */

/* From `version` on, which is the same for both; there is no `ekey`, for there is a key. */
static void expect_rest(struct handshake *handshake)
{
    expect_output(handshake, "version\n", LOND_READING_VERSION_STRING);
    expect_taken(handshake, "version:$Revision: 1.480 $", LOND_SET_HOST);
    expect_output(handshake, "sethost:msul1\n", LOND_HOST_SET);
    expect_failure(handshake, "okay", HANDSHAKE_UNEXPECTED);
    expect_taken(handshake, "ok", LOND_IDLE);
    expect_no_output(handshake);
    cr_assert_arr_eq(handshake->key, vector_key, CIPHER_KEY_SIZE);
}

Test(handshake, of_ssl_takes_its_key_from_tls)
{
    struct handshake handshake;

    handshake_begin(&handshake, &identity, HANDSHAKE_SSL, NULL);
    expect_output(&handshake, "init:ssl\n", LOND_INITIALIZED);
    expect_taken(&handshake, "ok:ssl", LOND_EXCHANGING_KEY);
    expect_no_output(&handshake);
    cr_assert_eq(handshake_take_key(&handshake, KEY_DIGITS, 32), HANDSHAKE_OK);
    cr_assert_eq(handshake.state, LOND_REQUESTING_VERSION);
    expect_rest(&handshake);
    cr_assert_eq(handshake.mode, HANDSHAKE_SSL);
}

Test(handshake, of_local_has_its_key_already)
{
    struct handshake handshake;

    handshake_begin(&handshake, &identity, HANDSHAKE_LOCAL, KEY_FILE);
    memcpy(handshake.key, vector_key, CIPHER_KEY_SIZE);
    expect_output(&handshake, "init:local:" KEY_FILE "\n", LOND_INITIALIZED);
    expect_taken(&handshake, "ok:local", LOND_REQUESTING_VERSION);
    expect_rest(&handshake);
    cr_assert_eq(handshake.mode, HANDSHAKE_LOCAL);
}

Test(handshake, of_ssl_sends_its_version_too)
{
    struct handshake_identity versioned = identity;
    struct handshake handshake;

    versioned.lonc_version = "2.11.4";
    handshake_begin(&handshake, &versioned, HANDSHAKE_SSL, NULL);
    expect_output(&handshake, "init:ssl:2.11.4\n", LOND_INITIALIZED);
}

static const enum handshake_mode with_key[] = {HANDSHAKE_SSL, HANDSHAKE_LOCAL};

Test(handshake, falls_back_to_insecure_when_lond_answers_digits)
{
    struct handshake handshake;

    for (size_t i = 0; i < 2; i++) {
        handshake_begin(&handshake, &identity, with_key[i], KEY_FILE);
        memset(handshake.key, 0xff, CIPHER_KEY_SIZE); /* the one nobody will have read */
        char line[HANDSHAKE_LINE_MAX + 1];
        cr_assert_gt(handshake_output(&handshake, line), 0);
        expect_taken(&handshake, "48321170", LOND_CHALLENGE_RECEIVED);
        cr_assert_eq(handshake.mode, HANDSHAKE_INSECURE);
        expect_output(&handshake, "48321170\n", LOND_CHALLENGE_REPLIED);
        expect_taken(&handshake, "ok", LOND_REQUESTING_VERSION);
        expect_output(&handshake, "version\n", LOND_READING_VERSION_STRING);
        expect_taken(&handshake, "version:1", LOND_SET_HOST);
        expect_output(&handshake, "sethost:msul1\n", LOND_HOST_SET);
        expect_taken(&handshake, "ok", LOND_REQUESTING_KEY);
        expect_output(&handshake, "ekey\n", LOND_RECEIVING_KEY);
        expect_taken(&handshake, BUILD_KEY, LOND_IDLE);
        cr_assert_arr_eq(handshake.key, vector_key, CIPHER_KEY_SIZE);
    }
}

Test(handshake, does_not_fall_back_where_that_is_not_allowed)
{
    static const enum handshake_mode modes[] = {HANDSHAKE_INSECURE, HANDSHAKE_SSL, HANDSHAKE_LOCAL};
    struct handshake_identity strict = identity;
    struct handshake handshake;
    char line[HANDSHAKE_LINE_MAX + 1];

    strict.allow_insecure = false;
    for (size_t i = 0; i < 3; i++) {
        handshake_begin(&handshake, &strict, modes[i], KEY_FILE);
        cr_assert_gt(handshake_output(&handshake, line), 0);
        expect_failure(&handshake, "48321170", HANDSHAKE_INSECURE_ONLY);
        expect_failure(&handshake, "ok", HANDSHAKE_UNEXPECTED);
        cr_assert_eq(handshake.mode, modes[i]);
    }
}

Test(handshake, takes_no_answer_to_another_mode)
{
    static const struct {
        enum handshake_mode mode;
        const char *answers[6];
    } cases[] = {
        {HANDSHAKE_SSL, {"ok:local", "ok", "ok:ssl ", "ok:ssl:1", "", "OK:SSL"}},
        {HANDSHAKE_LOCAL, {"ok:ssl", "ok", "ok:local ", "ok:local:1", "", "local"}},
    };
    struct handshake handshake;
    char line[HANDSHAKE_LINE_MAX + 1];

    for (size_t i = 0; i < 2; i++) {
        handshake_begin(&handshake, &identity, cases[i].mode, KEY_FILE);
        cr_assert_gt(handshake_output(&handshake, line), 0);
        for (size_t answer = 0; answer < 6; answer++)
            expect_failure(&handshake, cases[i].answers[answer], HANDSHAKE_UNEXPECTED);
        expect_failure(&handshake, "refused", HANDSHAKE_REFUSED);
    }
}

Test(handshake, takes_no_key_but_32_digits_and_only_from_tls)
{
    static const char *const lines[] = {
        "", "62451A77A1B815112345A0BC7D89EF5", "62451A77A1B815112345A0BC7D89EF541",
        "62451A77A1B815112345A0BC7D89EF5g", "62451A77A1B815112345A0BC7D89EF5\r"};
    struct handshake handshake;

    reach(&handshake, LOND_EXCHANGING_KEY);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        cr_assert_eq(handshake_take_key(&handshake, lines[i], strlen(lines[i])),
                     HANDSHAKE_UNEXPECTED);
        cr_assert_eq(handshake.state, LOND_EXCHANGING_KEY);
    }
    for (size_t i = 0; i < READINGS; i++) {
        reach(&handshake, readings[i].state);
        cr_assert_eq(handshake_take_key(&handshake, KEY_DIGITS, 32), HANDSHAKE_UNEXPECTED);
        cr_assert_eq(handshake.state, readings[i].state);
    }
}

Test(handshake, names_every_mode)
{
    cr_assert_str_eq(handshake_mode_word(HANDSHAKE_INSECURE), "insecure");
    cr_assert_str_eq(handshake_mode_word(HANDSHAKE_SSL), "ssl");
    cr_assert_str_eq(handshake_mode_word(HANDSHAKE_LOCAL), "local");
}

/* --- The dialogue as it should not be --------------------------------------------------------- */

Test(handshake, is_refused_in_any_state_that_reads)
{
    struct handshake handshake;

    for (size_t i = 0; i < READINGS; i++) {
        reach(&handshake, readings[i].state);
        expect_failure(&handshake, "refused", HANDSHAKE_REFUSED);
    }
}

Test(handshake, is_refused_by_exactly_that_word_only)
{
    static const char *const lines[] = {"refuse", "refused ", "refused:", "Refused", "REFUSED"};
    struct handshake handshake;

    reach(&handshake, LOND_CHALLENGE_REPLIED);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_failure(&handshake, lines[i], HANDSHAKE_UNEXPECTED);
}

/* What a challenge looks like is not known: to a plain `init`, any line but two is one. */
static const char *const challenges[] = {"12a4", "a",    "12 34", " 12",     "12 ",     "-12",
                                         "12\r", "/",    ":",     "ok",      "ok:ssl",  "refuse",
                                         "0x1f", "\xff", "%s%n",  "Refused", "refused "};
#define CHALLENGES (sizeof(challenges) / sizeof(challenges[0]))

Test(handshake, echoes_any_challenge_in_plain_insecure_mode)
{
    char expected[64];
    struct handshake handshake;

    for (size_t i = 0; i < CHALLENGES; i++) {
        reach(&handshake, LOND_INITIALIZED);
        expect_taken(&handshake, challenges[i], LOND_CHALLENGE_RECEIVED);
        snprintf(expected, sizeof(expected), "%s\n", challenges[i]);
        expect_output(&handshake, expected, LOND_CHALLENGE_REPLIED);
    }
}

Test(handshake, echoes_a_challenge_with_a_nul_byte_to_its_end)
{
    char line[HANDSHAKE_LINE_MAX + 1];
    struct handshake handshake;

    reach(&handshake, LOND_INITIALIZED);
    cr_assert_eq(handshake_input(&handshake,
                                 "1\0"
                                 "2",
                                 3),
                 HANDSHAKE_OK);
    cr_assert_eq(handshake_output(&handshake, line), 4);
    cr_assert_arr_eq(line,
                     "1\0"
                     "2\n",
                     4);
}

Test(handshake, takes_no_challenge_but_digits_where_it_asked_for_another_mode)
{
    struct handshake_identity strict = identity;
    struct handshake handshake;
    char line[HANDSHAKE_LINE_MAX + 1];

    strict.allow_insecure = false;
    for (size_t i = 0; i < CHALLENGES; i++) {
        for (size_t mode = 0; mode < 2; mode++) {
            if (strcmp(challenges[i], "ok:ssl") == 0)
                continue;
            handshake_begin(&handshake, &identity, with_key[mode], KEY_FILE);
            cr_assert_gt(handshake_output(&handshake, line), 0);
            expect_failure(&handshake, challenges[i], HANDSHAKE_UNEXPECTED);
        }
        handshake_begin(&handshake, &strict, HANDSHAKE_INSECURE, NULL);
        cr_assert_gt(handshake_output(&handshake, line), 0);
        expect_failure(&handshake, challenges[i], HANDSHAKE_UNEXPECTED);
    }
}

Test(handshake, takes_no_ok_but_the_very_word)
{
    static const enum lond_state states[] = {LOND_CHALLENGE_REPLIED, LOND_HOST_SET};
    static const char *const lines[] = {"o",    "okay", "ok ", " ok", "OK",
                                        "ok\r", "ok:",  "no",  "12",  "unknown_cmd"};
    struct handshake handshake;

    for (size_t state = 0; state < 2; state++) {
        reach(&handshake, states[state]);
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
            expect_failure(&handshake, lines[i], HANDSHAKE_UNEXPECTED);
        expect_failure_of(&handshake, "ok\0", 3, HANDSHAKE_UNEXPECTED);
    }
}

Test(handshake, takes_a_version_without_its_prefix_or_without_any_number)
{
    static const char *const lines[] = {
        "version",     "version 1.325", "Version:1", "$Revision: 1.325 $", "v",
        "unknown_cmd", " version:1",    "1.394.2.1", "$Revision$",         "ok"};
    struct handshake handshake;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        reach(&handshake, LOND_READING_VERSION_STRING);
        expect_taken(&handshake, lines[i], LOND_SET_HOST);
        cr_assert_str_eq(handshake.peer_version, lines[i]);
    }
}

Test(handshake, takes_no_version_that_is_no_text)
{
    static const char *const lines[] = {"\xff", "1.325\r", "\x15\x03\x03", "1\t2", "\x7f"};
    struct handshake handshake;

    reach(&handshake, LOND_READING_VERSION_STRING);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_failure(&handshake, lines[i], HANDSHAKE_UNEXPECTED);
    expect_failure_of(&handshake, "1.325\0", 6, HANDSHAKE_UNEXPECTED);
    cr_assert_str_empty(handshake.peer_version);
}

Test(handshake, takes_no_empty_line_in_any_state_not_even_as_a_build_key)
{
    struct handshake handshake;

    for (size_t i = 0; i < READINGS; i++) {
        reach(&handshake, readings[i].state);
        expect_failure(&handshake, "", HANDSHAKE_UNEXPECTED);
    }
}

/* Digits, a version or a build key by their contents: only the length is wrong with them. */
Test(handshake, takes_no_line_longer_than_its_bound)
{
    char line[HANDSHAKE_LINE_MAX + 1];
    struct handshake handshake;

    for (size_t i = 0; i < READINGS; i++) {
        memset(line, '1', sizeof(line));
        if (readings[i].state == LOND_READING_VERSION_STRING)
            memcpy(line, "version:", 8);
        reach(&handshake, readings[i].state);
        expect_failure_of(&handshake, line, sizeof(line), HANDSHAKE_UNEXPECTED);
    }
}

Test(handshake, takes_no_line_in_a_state_that_does_not_read)
{
    struct handshake handshake;

    for (size_t i = 0; i < SILENT; i++) {
        reach(&handshake, silent[i]);
        for (size_t answer = 0; answer < READINGS; answer++)
            expect_failure(&handshake, readings[answer].answer, HANDSHAKE_UNEXPECTED);
        expect_failure(&handshake, "refused", HANDSHAKE_UNEXPECTED);
        expect_failure(&handshake, "", HANDSHAKE_UNEXPECTED);
    }
}

Test(handshake, writes_nothing_where_lond_has_the_word_or_the_dialogue_is_over)
{
    struct handshake handshake;

    for (size_t i = 0; i < READINGS; i++) {
        reach(&handshake, readings[i].state);
        expect_no_output(&handshake);
    }
    for (enum lond_state state = LOND_IDLE; state < LOND_STATE_COUNT; state++) {
        reach(&handshake, state);
        expect_no_output(&handshake);
    }
}

Test(handshake, makes_no_key_before_the_dialogue_is_over)
{
    static const uint8_t nothing[CIPHER_KEY_SIZE];
    struct handshake handshake;

    reach(&handshake, LOND_RECEIVING_KEY);
    expect_failure(&handshake, "", HANDSHAKE_UNEXPECTED);
    expect_failure(&handshake, "refused", HANDSHAKE_REFUSED);
    cr_assert_arr_eq(handshake.key, nothing, CIPHER_KEY_SIZE);
}
