/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The dialogue that opens a connection to lond, insecure mode, as one table of states (PROTOCOL.md
 * section 2). Pure: it is given the lines read and gives the lines to write; sockets and time-outs
 * belong to lond.c. A new state is one row of the table.
 */
#ifndef LONC_KEEPER_HANDSHAKE_H
#define LONC_KEEPER_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "keeper/cipher.h"

/* The states of a lond connection, named as LON-CAPA names them; loncstatus.txt shows them. */
enum lond_state {
    LOND_CONNECTED,
    LOND_INITIALIZED,
    LOND_CHALLENGE_RECEIVED,
    LOND_CHALLENGE_REPLIED,
    LOND_REQUESTING_VERSION,
    LOND_READING_VERSION_STRING,
    LOND_SET_HOST,
    LOND_HOST_SET,
    LOND_REQUESTING_KEY,
    LOND_RECEIVING_KEY,
    /* The handshake is over: lond.c moves a connection through these. */
    LOND_IDLE,
    LOND_SENDING_REQUEST,
    LOND_RECEIVING_REPLY,
    LOND_DISCONNECTED,
    LOND_STATE_COUNT
};

/* "ChallengeReceived" and so on, as in PROTOCOL.md's table. */
const char *lond_state_name(enum lond_state state);

/* No handshake line is longer; lond's own answers have a few dozen bytes. Bounds what is kept. */
#define HANDSHAKE_LINE_MAX 1024

/* Why a handshake failed. */
enum handshake_error {
    HANDSHAKE_OK = 0,
    HANDSHAKE_REFUSED,   /* lond answered `refused`, in whatever state: it will not serve us */
    HANDSHAKE_UNEXPECTED /* lond answered something the state does not allow */
};

/* Who talks to whom; the strings must outlive the handshake. */
struct handshake_identity {
    const char *own_id;       /* this server's lonHostID */
    const char *remote_id;    /* the lonHostID asked for with `sethost` */
    const char *lonc_version; /* lonVersion, or NULL */
};

struct handshake {
    const struct handshake_identity *identity;
    enum lond_state state;
    char challenge[HANDSHAKE_LINE_MAX + 1]; /* NUL-terminated */
    char peer_version[64];                  /* NUL-terminated text behind `version:`, cut to fit */
    uint8_t key[CIPHER_KEY_SIZE]; /* valid once LOND_IDLE; whoever takes it wipes it here */
};

/* Starts at LOND_CONNECTED, and wipes whatever the structure held before. */
void handshake_begin(struct handshake *handshake, const struct handshake_identity *identity);

/*
 * In a state that writes: puts the line to write, LF included, into `line` (HANDSHAKE_LINE_MAX + 1
 * bytes of room), moves on to the next state and returns the line's length. In a state that
 * reads, or LOND_IDLE: returns 0. Call it again after each line read, until it returns 0.
 */
size_t handshake_output(struct handshake *handshake, char *line);

/*
 * In a state that reads: takes one line from lond, without its LF, and moves on. A line in a state
 * that does not read is HANDSHAKE_UNEXPECTED. After an error the handshake stays where it was, so
 * that its state tells where it failed. In LOND_IDLE the connection is ready.
 */
enum handshake_error handshake_input(struct handshake *handshake, const char *line, size_t length);

#endif
