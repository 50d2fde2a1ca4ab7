/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lond's side of the handshake in insecure mode (PROTOCOL.md section 2), one row a state.
 * `init:ssl` and `init:local` are answered with a challenge, as a lond does that speaks insecure
 * only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lond/lond.h"

#define ANSWER_MAX 320

/* Puts the answer into `answer`; false when the line is wrong, and then it is the last answer. */
typedef bool take_line(struct connection *connection, const char *line, size_t length,
                       char *answer);

static bool is(const char *line, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(line, text, length) == 0;
}

static bool starts(const char *line, size_t length, const char *text)
{
    return length >= strlen(text) && memcmp(line, text, strlen(text)) == 0;
}

static bool take_init(struct connection *connection, const char *line, size_t length, char *answer)
{
    bool right = is(line, length, "init") || starts(line, length, "init::") ||
                 is(line, length, "init:ssl") || starts(line, length, "init:ssl:") ||
                 starts(line, length, "init:local:");

    snprintf(connection->challenge, sizeof(connection->challenge), "%u%05u",
             1 + (unsigned)rand() % 99999, (unsigned)rand() % 100000);
    snprintf(answer, ANSWER_MAX, "%s",
             right && !connection->surplus ? connection->challenge : "refused");
    return right && !connection->surplus;
}

static bool take_challenge(struct connection *connection, const char *line, size_t length,
                           char *answer)
{
    bool right = is(line, length, connection->challenge);

    snprintf(answer, ANSWER_MAX, "%s", right ? "ok" : "refused");
    return right;
}

static bool take_version(struct connection *connection, const char *line, size_t length,
                         char *answer)
{
    bool right = is(line, length, "version");

    (void)connection;
    if (right)
        snprintf(answer, ANSWER_MAX, "version:$Revision: %s $", lond.version);
    else
        snprintf(answer, ANSWER_MAX, "error:version expected");
    return right;
}

bool handshake_knows(const char *id, size_t length)
{
    for (size_t i = 0; i < lond.id_count; i++)
        if (is(id, length, lond.ids[i]))
            return true;
    return lond.id_count == 0 && length > 0;
}

static bool take_sethost(struct connection *connection, const char *line, size_t length,
                         char *answer)
{
    const char *id = line + strlen("sethost:");
    bool right = starts(line, length, "sethost:");

    length -= right ? strlen("sethost:") : 0;
    right = right && length < sizeof(connection->id) && handshake_knows(id, length);
    snprintf(answer, ANSWER_MAX, "%s", right ? "ok" : "error:no such host");
    if (right) {
        memcpy(connection->id, id, length);
        connection->id[length] = '\0';
    }
    return right;
}

static bool take_ekey(struct connection *connection, const char *line, size_t length, char *answer)
{
    bool right = is(line, length, "ekey");

    if (lond.build_key[0] != '\0')
        snprintf(connection->build, sizeof(connection->build), "%s", lond.build_key);
    else
        snprintf(connection->build, sizeof(connection->build), "%05uAB%c%05u%c%05u",
                 (unsigned)rand() % 100000, "ABCDEF"[rand() % 6], (unsigned)rand() % 100000,
                 "ABCDEF"[rand() % 6], (unsigned)rand() % 100000);
    snprintf(answer, ANSWER_MAX, "%s", right ? connection->build : "error:ekey expected");
    return right;
}

/* What lond takes in each state of lonc, and the state in which lonc waits for its answer. */
static const struct {
    take_line *take;
    enum stage next;
} steps[] = {
    [STAGE_ACCEPT] = {take_init, STAGE_INITIALIZED},
    [STAGE_INITIALIZED] = {take_challenge, STAGE_CHALLENGE_REPLIED},
    [STAGE_CHALLENGE_REPLIED] = {take_version, STAGE_READING_VERSION},
    [STAGE_READING_VERSION] = {take_sethost, STAGE_HOST_SET},
    [STAGE_HOST_SET] = {take_ekey, STAGE_RECEIVING_KEY},
};

void handshake_line(struct connection *connection, const char *line, size_t length)
{
    char answer[ANSWER_MAX];
    bool right = steps[connection->stage].take(connection, line, length, answer);

    if (!right && !connection->surplus)
        counts[COUNT_WRONG_LINES]++;
    connection->stage = steps[connection->stage].next;
    answer_text(connection, right ? MANNER_PLAIN : MANNER_LAST, answer);
}
