/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The client's side of the handshake in insecure mode (lonc-protocol(7) section 2), step by step:
 * for connections directly to a lond, or through a relay that leaves the handshake to its clients.
 * Each line is sent when the answer to the last one is complete.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/load.h"

enum step { STEP_INIT, STEP_CHALLENGE, STEP_VERSION, STEP_SETHOST, STEP_EKEY, STEP_COUNT };

/* The lines to send, except for the challenge, and how the answers begin. */
static const struct {
    const char *line, *answer;
} steps[STEP_COUNT] = {
    [STEP_INIT] = {"init", ""},
    [STEP_CHALLENGE] = {NULL, "ok"},
    [STEP_VERSION] = {"version", "version:"},
    [STEP_SETHOST] = {"sethost:", "ok"},
    [STEP_EKEY] = {"ekey", ""},
};

static bool say(int fd, struct handshake *handshake)
{
    char line[LINE_MAX_HERE + 64];
    const char *text = steps[handshake->step].line;
    int length = snprintf(line, sizeof(line), "%s%s\n", text != NULL ? text : handshake->heard,
                          handshake->step == STEP_SETHOST ? options.remote : "");

    handshake->length = 0;
    return send(fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) == length;
}

bool handshake_begin(struct handshake *handshake, int fd)
{
    handshake->step = STEP_INIT;
    return say(fd, handshake);
}

bool handshake_done(const struct handshake *handshake)
{
    return handshake->step == STEP_COUNT;
}

bool handshake_hear(struct handshake *handshake, int fd)
{
    size_t room = sizeof(handshake->heard) - handshake->length;
    ssize_t size = recv(fd, handshake->heard + handshake->length, room, 0);
    const char *answer = steps[handshake->step].answer;

    if (size <= 0)
        return size < 0 && errno == EINTR;
    handshake->length += (size_t)size;
    if (handshake->heard[handshake->length - 1] != '\n')
        return handshake->length < sizeof(handshake->heard);
    handshake->heard[handshake->length - 1] = '\0';
    if (strncmp(handshake->heard, answer, strlen(answer)) != 0)
        return false;
    handshake->step++;
    return handshake_done(handshake) || say(fd, handshake);
}
