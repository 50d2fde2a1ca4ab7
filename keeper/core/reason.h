/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Why something failed: one list for attempts to reach a lond and for answers of `con_lost`, so
 * that the log, the counters and the tools use the same words.
 */
#ifndef LONC_KEEPER_CORE_REASON_H
#define LONC_KEEPER_CORE_REASON_H

enum reason {
    REASON_NONE,

    /* Why an attempt to open a connection failed; these count for a host's health. */
    REASON_REFUSED,        /* nobody listens at the peer's port */
    REASON_TIMED_OUT,      /* connecting, or a handshake state, took too long */
    REASON_UNREACHABLE,    /* the network knows no way */
    REASON_NAME,           /* DNS has no address for it, or does not answer */
    REASON_HANDSHAKE,      /* the peer closed, or said what no lond says */
    REASON_AUTHENTICATION, /* one side does not accept how the other would prove who it is */
    REASON_TLS,            /* the TLS step failed */

    /* Why a request was answered con_lost. */
    REASON_UNKNOWN_HOST,    /* the socket's name is no host of the table */
    REASON_WRONG_DIRECTORY, /* the socket does not lie in lonSockDir */
    REASON_NO_TABLE,        /* no valid table has been read yet */
    REASON_REMOVED,         /* a reload took the host out of the table */
    REASON_DEAD,            /* the host is dead */
    REASON_QUEUE_FULL,
    REASON_QUEUE_TIMEOUT,
    REASON_REQUEST_TIMEOUT,
    REASON_REPLY_TIMEOUT,
    REASON_LOST,      /* the connection ended with the request under way */
    REASON_BAD_REPLY, /* an `enc:` reply that cannot be deciphered */
    REASON_TOO_LARGE, /* a reply over the line limit */
    REASON_NO_MEMORY, /* the budget of all buffers is used up */
    REASON_NO_DESCRIPTOR,
    REASON_STOPPING, /* the keeper is leaving */
    REASON_CLOSED,   /* a client asked for close_connection_exit */
    REASON_COUNT
};

/* The word for LONC_REASON= and the tools, as "reply-timeout". */
const char *reason_word(enum reason reason);

/* The same for a sentence, as "no progress on the reply". */
const char *reason_text(enum reason reason);

/* What a failed connect's errno means. */
enum reason reason_from_errno(int error);

#endif
