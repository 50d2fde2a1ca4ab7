/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lond's side of the handshake (lonc-protocol(7) section 2), one row a state. `init:ssl` and
 * `init:local` are answered with a challenge where only insecure mode is offered; the TLS inside
 * ssl is tls.c's, the key file of local keyfile.c's.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/lond/lond.h"

#define ANSWER_MAX 320

/* Writes the answer to `answer`. False if the line is wrong; the answer is then the last one. */
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

/* What lonc asks for; MODE_COUNT if this is no `init`. */
static enum mode wanted_mode(const char *line, size_t length)
{
    if (is(line, length, "init") || starts(line, length, "init::"))
        return MODE_INSECURE;
    if (is(line, length, "init:ssl") || starts(line, length, "init:ssl:"))
        return MODE_SSL;
    return starts(line, length, "init:local:") ? MODE_LOCAL : MODE_COUNT;
}

static bool comes_from_this_host(const struct connection *connection)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    return getpeername(connection->watch.fd, (struct sockaddr *)&address, &size) == 0 &&
           address.sin_family == AF_INET && address.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
}

/* The key is in the file whose path follows `init:local:`. */
static bool take_local(struct connection *connection, const char *line, size_t length, char *answer)
{
    char path[1024];

    line += strlen("init:local:");
    length -= strlen("init:local:");
    if (length >= sizeof(path) || memchr(line, '\0', length) != NULL)
        return false;
    memcpy(path, line, length);
    path[length] = '\0';
    snprintf(answer, ANSWER_MAX, "ok:local");
    return comes_from_this_host(connection) && keyfile_take(path, connection->key);
}

static bool take_init(struct connection *connection, const char *line, size_t length, char *answer)
{
    enum mode wanted = wanted_mode(line, length);
    bool right = wanted != MODE_COUNT;

    connection->mode = right && lond.offers[wanted] ? wanted : MODE_INSECURE;
    if (right && !lond.offers[connection->mode])
        connection->unwelcome = true;
    if (right && !connection->unwelcome) {
        if (connection->mode == MODE_LOCAL) {
            right = take_local(connection, line, length, answer);
        } else if (connection->mode == MODE_SSL) {
            snprintf(answer, ANSWER_MAX, "ok:ssl");
        } else if (lond.challenge[0] != '\0') {
            snprintf(connection->challenge, sizeof(connection->challenge), "%s", lond.challenge);
            snprintf(answer, ANSWER_MAX, "%s", connection->challenge);
        } else {
            snprintf(connection->challenge, sizeof(connection->challenge), "%u%05u",
                     1 + (unsigned)rand() % 99999, (unsigned)rand() % 100000);
            snprintf(answer, ANSWER_MAX, "%s", connection->challenge);
        }
    }
    if (!right || connection->unwelcome)
        snprintf(answer, ANSWER_MAX, "refused");
    return right && !connection->unwelcome;
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
    if (right && lond.version_answer[0] != '\0')
        snprintf(answer, ANSWER_MAX, "%s", lond.version_answer);
    else if (right)
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

/* What lond accepts in each state of lonc, and the state in which lonc waits for the answer. */
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

    if (!right && !connection->unwelcome)
        counts[COUNT_WRONG_LINES]++;
    connection->stage = steps[connection->stage].next;
    answer_text(connection, right ? MANNER_PLAIN : MANNER_LAST, answer);
}

/* The handshake is over. */
static void open_up(struct connection *connection)
{
    connection->stage = STAGE_IDLE;
    counts[COUNT_HANDSHAKES]++;
    counts[COUNT_INSECURE + connection->mode]++;
    answer_strike(connection, STAGE_IDLE);
}

void handshake_answered(struct connection *connection)
{
    switch (connection->stage) {
    case STAGE_INITIALIZED:
        if (connection->mode == MODE_SSL)
            tls_begin(connection);
        else if (connection->mode == MODE_LOCAL)
            connection->stage = STAGE_CHALLENGE_REPLIED; /* `version` is next */
        break;
    case STAGE_TLS: /* a fault took TLS's place, and nothing comes after it */
        connection->doing = DOING_NOTHING;
        break;
    case STAGE_TLS_KEY:
        tls_end(connection);
        connection->stage = STAGE_CHALLENGE_REPLIED;
        break;
    case STAGE_HOST_SET:
        if (connection->mode != MODE_INSECURE)
            open_up(connection); /* both sides have the key */
        break;
    case STAGE_RECEIVING_KEY:
        open_up(connection);
        break;
    default:
        break;
    }
}
