/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The dialogue that opens a connection to lond (lonc-protocol(7) section 2).
 *
 * What it is: one table with a row for each state of a connection, and the few functions for rows
 * whose line is not always the same. What it is not: the connection. lond.c owns the socket, cuts
 * the stream into lines, bounds every wait, and moves a connection through the states from
 * LOND_IDLE on, which are rows here only because their names belong beside the others.
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
 * One row of the dialogue. The line of a turn is `text`, to the byte; where that is NULL, `say`
 * composes ours, or `hear` judges lond's and keeps what is wanted of it. `hear` may choose another
 * next state than the row's: what lond answers to `init` decides how the dialogue goes on.
 */
struct step {
    const char *name;
    enum turn turn;
    const char *text;
    size_t (*say)(const struct handshake *handshake, char *line);
    enum handshake_error (*hear)(struct handshake *handshake, const char *line, size_t length);
    enum lond_state next;
};

/* Formats a line without its LF, for which the caller has room where the NUL is. */
__attribute__((format(printf, 2, 3))) static size_t compose(char *line, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, HANDSHAKE_LINE_MAX + 1, format, arguments);
    va_end(arguments);

    /*
     * Sanity checks. A lonHostID has at most HOST_NAME_MAX_LENGTH characters and a challenge fitted
     * when it was read, so all that is ever cut here is a lonVersion of a kilobyte.
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

/* Whether all bytes of the line are from `first` to `last`, as ASCII orders them. */
static bool is_all(const char *line, size_t length, char first, char last)
{
    for (size_t i = 0; i < length; i++)
        if (line[i] < first || line[i] > last)
            return false;
    return true;
}

/*
 * Of londs it is only known that they have their challenge echoed, not what it looks like: in
 * answer to a plain `init`, any line is one. Where another mode was asked for, digits alone say
 * that this lond speaks insecure only.
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
 * The text is for people to read, so whatever it says will do, and a long one is cut. The prefix
 * may be missing, but bytes that are no text at all are from no lond. Nothing compares versions; if
 * something ever does, the first two numbers count, as integers: there are branches (1.394.2.1).
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

/* Only insecure mode has no key yet. */
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
    /* Sanity checks. States come from this file's table and lond.c's assignments, never a peer. */
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
    /* The structure may have served another connection: nothing of that, its key above all, stays.
     */
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
 * `refused` counts wherever lond speaks, though section 2 names it for Initialized alone: it means
 * the same everywhere (lond will not serve us), the state says where it fell, and an administrator
 * should read "refused", not "unexpected". In ReceivingKey it matters more, since there any line
 * would do: a refusal would become a key, and every enciphered request would then go astray.
 */
static enum handshake_error judge(struct handshake *handshake, const struct step *step,
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
    error = judge(handshake, step, line, length);
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
