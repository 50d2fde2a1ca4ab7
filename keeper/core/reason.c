/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The words and texts of reasons.
 */
#include <errno.h>

#include "keeper/core/reason.h"

static const struct {
    const char *word, *text;
} reasons[] = {
    [REASON_NONE] = {"none", "no failure"},
    [REASON_REFUSED] = {"refused", "connection refused"},
    [REASON_TIMED_OUT] = {"timed-out", "timed out"},
    [REASON_UNREACHABLE] = {"unreachable", "unreachable"},
    [REASON_NAME] = {"name", "name not resolved"},
    [REASON_HANDSHAKE] = {"handshake", "the handshake failed"},
    [REASON_AUTHENTICATION] = {"authentication", "authentication failed"},
    [REASON_TLS] = {"tls", "TLS failed"},
    [REASON_UNKNOWN_HOST] = {"unknown-host", "no such host in hosts.tab"},
    [REASON_WRONG_DIRECTORY] = {"wrong-directory", "the socket is not in lonSockDir"},
    [REASON_NO_TABLE] = {"no-table", "no valid host table has been read"},
    [REASON_REMOVED] = {"removed", "the host was removed from hosts.tab"},
    [REASON_DEAD] = {"dead", "the host had died before"},
    [REASON_QUEUE_FULL] = {"queue-full", "the queue is full"},
    [REASON_QUEUE_TIMEOUT] = {"queue-timeout", "waited too long in the queue"},
    [REASON_REQUEST_TIMEOUT] = {"request-timeout", "the request took too long"},
    [REASON_REPLY_TIMEOUT] = {"reply-timeout", "no progress on the reply"},
    [REASON_LOST] = {"lost", "the connection was lost"},
    [REASON_BAD_REPLY] = {"bad-reply", "the reply cannot be deciphered"},
    [REASON_TOO_LARGE] = {"too-large", "the reply is over the line limit"},
    [REASON_NO_MEMORY] = {"no-memory", "the buffers' budget is used up"},
    [REASON_NO_DESCRIPTOR] = {"no-descriptor", "no descriptor is free"},
    [REASON_STOPPING] = {"stopping", "the keeper is stopping"},
    [REASON_CLOSED] = {"closed", "a client closed the host's connections"},
};
_Static_assert(sizeof(reasons) / sizeof(*reasons) == REASON_COUNT, "a reason lacks its words");

const char *reason_word(enum reason reason)
{
    return reasons[reason].word;
}

const char *reason_text(enum reason reason)
{
    return reasons[reason].text;
}

enum reason reason_from_errno(int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
        return REASON_REFUSED;
    case ETIMEDOUT:
        return REASON_TIMED_OUT;
    case EMFILE:
    case ENFILE:
        return REASON_NO_DESCRIPTOR;
    case ENOBUFS:
    case ENOMEM:
        return REASON_NO_MEMORY;
    default:
        return REASON_UNREACHABLE;
    }
}
