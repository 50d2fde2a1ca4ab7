/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The dialogue that opens a connection to lond (lonc-protocol(7) section 2).
 *
 * What it is: one table with a row for each state of a connection, and a few functions for the rows
 * whose line is not always the same. What it is not: the connection. authenticate.c owns the
 * socket, cuts the stream into lines and bounds every wait. The states from LOND_IDLE on are rows
 * here only so that all names stand in one place.
 */
#include "keeper/lond/handshake.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum turn {
    TURN_NONE = 0, /* the handshake has nothing to do in this state */
    TURN_OURS,     /* write a line */
    TURN_LONDS     /* read a line */
};

/*
 * One row of the dialogue. The line is `text`, byte for byte. If that is NULL, `say` composes our
 * line, or `hear` checks lond's and keeps what is needed of it. `hear` may set another next state
 * than the row's, because lond's answer to `init` decides how the dialogue goes on.
 */
struct step {
    const char *name;
    enum turn turn;
    const char *text;
    size_t (*say)(const struct handshake *handshake, char *line);
    enum handshake_error (*hear)(struct handshake *handshake, const char *line, size_t length);
    enum lond_state next;
};

/* Formats a line without its LF, which the caller puts in the place of the NUL. */
__attribute__((format(printf, 2, 3))) static size_t compose(char *line, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, HANDSHAKE_LINE_MAX + 1, format, arguments);
    va_end(arguments);

    /*
     * Sanity checks. A lonHostID has at most HOST_NAME_MAX_LENGTH characters, and a challenge
     * fitted when it was read, so nothing can be too long here but a lonVersion of a kilobyte.
     */
    assert(length >= 0);
    return length < HANDSHAKE_LINE_MAX ? (size_t)length : HANDSHAKE_LINE_MAX;
}

static bool line_is(const char *line, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(line, text, length) == 0;
}

static size_t say_init(const struct handshake *handshake, char *line)
{
    const char *version = handshake->identity->lonc_version;

    switch (handshake->mode) {
    case HANDSHAKE_SSL:
        return version != NULL ? compose(line, "init:ssl:%s", version) : compose(line, "init:ssl");
    case HANDSHAKE_LOCAL:
        return compose(line, "init:local:%s", handshake->key_file);
    default:
        return version != NULL ? compose(line, "init::%s", version) : compose(line, "init");
    }
}

/* Whether all bytes of the line lie between `first` and `last` in ASCII. */
static bool is_all(const char *line, size_t length, char first, char last)
{
    for (size_t i = 0; i < length; i++)
        if (line[i] < first || line[i] > last)
            return false;
    return true;
}

/*
 * It is known that lond wants its challenge echoed, but not what a challenge looks like. So any
 * line that answers a plain `init` is one. Where ssl or local mode was asked for, only digits are:
 * they say that this lond speaks insecure only.
 */
static enum handshake_error hear_challenge(struct handshake *handshake, const char *line,
                                           size_t length)
{
    bool any = handshake->mode == HANDSHAKE_INSECURE && handshake->identity->allow_insecure;
    if (length == 0 || !(any || is_all(line, length, '0', '9')))
        return HANDSHAKE_UNEXPECTED;

    if (!handshake->identity->allow_insecure)
        return HANDSHAKE_INSECURE_ONLY;
    handshake->mode = HANDSHAKE_INSECURE;
    memcpy(handshake->challenge, line, length);
    handshake->challenge_length = length;
    return HANDSHAKE_OK;
}

static enum handshake_error hear_init_answer(struct handshake *handshake, const char *line,
                                             size_t length)
{
    if (handshake->mode == HANDSHAKE_SSL && line_is(line, length, "ok:ssl")) {
        handshake->next = LOND_EXCHANGING_KEY;
        return HANDSHAKE_OK;
    }
    if (handshake->mode == HANDSHAKE_LOCAL && line_is(line, length, "ok:local")) {
        handshake->next = LOND_REQUESTING_VERSION;
        return HANDSHAKE_OK;
    }
    return hear_challenge(handshake, line, length);
}

static size_t say_challenge(const struct handshake *handshake, char *line)
{
    memcpy(line, handshake->challenge, handshake->challenge_length);
    return handshake->challenge_length;
}

/*
 * The version is for people to read, so any text will do, and a long one is cut. The prefix may be
 * missing, but a peer that sends bytes other than text is no lond. Nothing compares versions.
 * Whoever does should compare the first two numbers as integers: there are branches (1.394.2.1).
 */
static enum handshake_error hear_version(struct handshake *handshake, const char *line,
                                         size_t length)
{
    static const char prefix[] = "version:";
    size_t start = sizeof(prefix) - 1;

    if (length < start || memcmp(line, prefix, start) != 0) {
        if (length == 0 || !is_all(line, length, ' ', '~'))
            return HANDSHAKE_UNEXPECTED;
        start = 0;
    }
    size_t kept = length - start;
    if (kept >= sizeof(handshake->peer_version))
        kept = sizeof(handshake->peer_version) - 1;
    memcpy(handshake->peer_version, line + start, kept);
    handshake->peer_version[kept] = '\0';
    return HANDSHAKE_OK;
}

static size_t say_sethost(const struct handshake *handshake, char *line)
{
    return compose(line, "sethost:%s", handshake->identity->remote_id);
}

/* ssl and local mode have the key already, so their handshake is over; insecure mode asks for it.
 */
static enum handshake_error hear_host_set(struct handshake *handshake, const char *line,
                                          size_t length)
{
    if (handshake->mode != HANDSHAKE_INSECURE)
        handshake->next = LOND_IDLE;
    return line_is(line, length, "ok") ? HANDSHAKE_OK : HANDSHAKE_UNEXPECTED;
}

static enum handshake_error hear_build_key(struct handshake *handshake, const char *line,
                                           size_t length)
{
    const struct handshake_identity *identity = handshake->identity;

    if (cipher_derive_key(identity->remote_id, identity->own_id, line, length, handshake->key) < 0)
        return HANDSHAKE_UNEXPECTED;
    return HANDSHAKE_OK;
}

static const struct step dialogue[] = {
    [LOND_CONNECTED] = {.name = "Connected",
                        .turn = TURN_OURS,
                        .say = say_init,
                        .next = LOND_INITIALIZED},
    [LOND_INITIALIZED] = {.name = "Initialized",
                          .turn = TURN_LONDS,
                          .hear = hear_init_answer,
                          .next = LOND_CHALLENGE_RECEIVED},
    [LOND_EXCHANGING_KEY] = {.name = "ExchangingKey", .next = LOND_REQUESTING_VERSION},
    [LOND_CHALLENGE_RECEIVED] = {.name = "ChallengeReceived",
                                 .turn = TURN_OURS,
                                 .say = say_challenge,
                                 .next = LOND_CHALLENGE_REPLIED},
    [LOND_CHALLENGE_REPLIED] = {.name = "ChallengeReplied",
                                .turn = TURN_LONDS,
                                .text = "ok",
                                .next = LOND_REQUESTING_VERSION},
    [LOND_REQUESTING_VERSION] = {.name = "RequestingVersion",
                                 .turn = TURN_OURS,
                                 .text = "version",
                                 .next = LOND_READING_VERSION_STRING},
    [LOND_READING_VERSION_STRING] = {.name = "ReadingVersionString",
                                     .turn = TURN_LONDS,
                                     .hear = hear_version,
                                     .next = LOND_SET_HOST},
    [LOND_SET_HOST] = {.name = "SetHost",
                       .turn = TURN_OURS,
                       .say = say_sethost,
                       .next = LOND_HOST_SET},
    [LOND_HOST_SET] = {.name = "HostSet",
                       .turn = TURN_LONDS,
                       .hear = hear_host_set,
                       .next = LOND_REQUESTING_KEY},
    [LOND_REQUESTING_KEY] = {.name = "RequestingKey",
                             .turn = TURN_OURS,
                             .text = "ekey",
                             .next = LOND_RECEIVING_KEY},
    [LOND_RECEIVING_KEY] = {.name = "ReceivingKey",
                            .turn = TURN_LONDS,
                            .hear = hear_build_key,
                            .next = LOND_IDLE},
    [LOND_IDLE] = {.name = "Idle"},
    [LOND_SENDING_REQUEST] = {.name = "SendingRequest"},
    [LOND_RECEIVING_REPLY] = {.name = "ReceivingReply"},
    [LOND_DISCONNECTED] = {.name = "Disconnected"},
};
_Static_assert(sizeof(dialogue) / sizeof(dialogue[0]) == LOND_STATE_COUNT, "a row for each state");

static const struct step *step_of(enum lond_state state)
{
    /* Sanity checks. A state is set by the keeper's own code, never taken from a peer. */
    assert(state < LOND_STATE_COUNT);
    return &dialogue[state];
}

const char *lond_state_name(enum lond_state state)
{
    return step_of(state)->name;
}

const char *handshake_mode_word(enum handshake_mode mode)
{
    static const char *const words[] = {
        [HANDSHAKE_INSECURE] = "insecure",
        [HANDSHAKE_SSL] = "ssl",
        [HANDSHAKE_LOCAL] = "local",
    };

    return words[mode];
}

void handshake_begin(struct handshake *handshake, const struct handshake_identity *identity,
                     enum handshake_mode mode, const char *key_file)
{
    /* Nothing of another connection may stay in reused memory, above all not its key. */
    explicit_bzero(handshake, sizeof(*handshake));
    handshake->identity = identity;
    handshake->mode = mode;
    handshake->key_file = key_file;
    handshake->state = LOND_CONNECTED;
}

size_t handshake_output(struct handshake *handshake, char *line)
{
    const struct step *step = step_of(handshake->state);
    size_t length;

    if (step->turn != TURN_OURS)
        return 0;

    length = step->text != NULL ? compose(line, "%s", step->text) : step->say(handshake, line);
    line[length++] = '\n';
    handshake->state = step->next;
    return length;
}

/*
 * `refused` is recognized in every state, though section 2 names it for Initialized alone. It
 * always means that lond will not serve us, and an administrator should read "refused", not
 * "unexpected". In ReceivingKey more depends on it: any line would be taken for a key there, and
 * every enciphered request would be garbled.
 */
static enum handshake_error check_line(struct handshake *handshake, const struct step *step,
                                       const char *line, size_t length)
{
    if (length > HANDSHAKE_LINE_MAX)
        return HANDSHAKE_UNEXPECTED;
    if (line_is(line, length, "refused"))
        return HANDSHAKE_REFUSED;
    if (step->text != NULL)
        return line_is(line, length, step->text) ? HANDSHAKE_OK : HANDSHAKE_UNEXPECTED;
    return step->hear(handshake, line, length);
}

enum handshake_error handshake_input(struct handshake *handshake, const char *line, size_t length)
{
    const struct step *step = step_of(handshake->state);
    enum handshake_error error;

    if (step->turn != TURN_LONDS)
        return HANDSHAKE_UNEXPECTED;

    handshake->next = step->next;
    error = check_line(handshake, step, line, length);
    if (error == HANDSHAKE_OK)
        handshake->state = handshake->next;
    return error;
}

enum handshake_error handshake_take_key(struct handshake *handshake, const char *digits,
                                        size_t length)
{
    if (handshake->state != LOND_EXCHANGING_KEY ||
        cipher_parse_key(digits, length, handshake->key) < 0)
        return HANDSHAKE_UNEXPECTED;

    handshake->state = step_of(handshake->state)->next;
    return HANDSHAKE_OK;
}
