/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The dialogue that opens a connection to lond, in its three modes, as one table of states
 * (lonc-protocol(7) section 2). Pure: it takes the lines that were read and returns the lines to
 * write. The socket, TLS and time-outs are authenticate.c's. A new state is one row of the table.
 */
#ifndef LONC_KEEPER_LOND_HANDSHAKE_H
#define LONC_KEEPER_LOND_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper/lond/cipher.h"

/* The states of a lond connection, named as LON-CAPA names them; loncstatus.txt shows them. */
enum lond_state {
    LOND_CONNECTED,
    LOND_INITIALIZED,
    LOND_EXCHANGING_KEY, /* TLS is spoken; the old daemon had no state for it */
    LOND_CHALLENGE_RECEIVED,
    LOND_CHALLENGE_REPLIED,
    LOND_REQUESTING_VERSION,
    LOND_READING_VERSION_STRING,
    LOND_SET_HOST,
    LOND_HOST_SET,
    LOND_REQUESTING_KEY,
    LOND_RECEIVING_KEY,
    /* The handshake has succeeded: send.c and replies.c move a connection through these. */
    LOND_IDLE,
    LOND_SENDING_REQUEST,
    LOND_RECEIVING_REPLY,
    LOND_DISCONNECTED,
    LOND_STATE_COUNT
};

/* "ChallengeReceived" and so on, as in lonc-protocol(7). */
const char *lond_state_name(enum lond_state state);

/* How both sides authenticate, and where the key of `encrypt:` comes from. */
enum handshake_mode {
    HANDSHAKE_INSECURE, /* by address alone; the key is derived from what is sent in clear text */
    HANDSHAKE_SSL,      /* by certificates; lond sends the key through TLS */
    HANDSHAKE_LOCAL     /* on the same machine: the key is in a file that only its user can read */
};

/* "insecure", "ssl" or "local". */
const char *handshake_mode_word(enum handshake_mode mode);

/* The longest handshake line that is accepted. lond's own answers have a few dozen bytes. */
#define HANDSHAKE_LINE_MAX 1024

/* Why a handshake failed. */
enum handshake_error {
    HANDSHAKE_OK = 0,
    HANDSHAKE_REFUSED,       /* lond answered `refused`, in any state: it will not serve us */
    HANDSHAKE_INSECURE_ONLY, /* lond speaks insecure only, and this server does not allow that */
    HANDSHAKE_UNEXPECTED     /* lond answered something that the state does not allow */
};

/* Who talks to whom. The strings must outlive the handshake. */
struct handshake_identity {
    const char *own_id;       /* this server's lonHostID */
    const char *remote_id;    /* the lonHostID asked for with `sethost` */
    const char *remote_name;  /* its DNS name, which its certificate must have if tls_verify_name */
    const char *lonc_version; /* lonVersion, or NULL */
    bool allow_insecure;      /* loncAllowInsecure */
    bool here;                /* it is an id of this very server: local mode is possible */
};

struct handshake {
    const struct handshake_identity *identity;
    enum handshake_mode mode; /* as begun, or insecure if that is all that lond speaks */
    const char *key_file;     /* local: its path */
    enum lond_state state;
    enum lond_state next;               /* where the line that is being checked leads */
    char challenge[HANDSHAKE_LINE_MAX]; /* echoed byte for byte */
    size_t challenge_length;
    char peer_version[64];        /* NUL-terminated text behind any `version:`, cut to fit */
    uint8_t key[CIPHER_KEY_SIZE]; /* valid from LOND_IDLE on; the caller copies it, then wipes it */
};

/*
 * Starts at LOND_CONNECTED, and wipes whatever the structure held before. In local mode `key_file`
 * is the path that lond will be told; it must outlive the handshake, and the caller puts the file's
 * key into handshake->key.
 */
void handshake_begin(struct handshake *handshake, const struct handshake_identity *identity,
                     enum handshake_mode mode, const char *key_file);

/*
 * In a state that writes: puts the next line, LF included, into `line`, which has room for
 * HANDSHAKE_LINE_MAX + 1 bytes, moves to the next state and returns the line's length. In a state
 * that reads, and in LOND_IDLE, returns 0.
 */
size_t handshake_output(struct handshake *handshake, char *line);

/*
 * In a state that reads: checks one line from lond, without its LF, and moves to the next state. In
 * any other state a line is HANDSHAKE_UNEXPECTED. After an error the state stays, so that it tells
 * where the handshake failed. In LOND_IDLE the connection is ready.
 */
enum handshake_error handshake_input(struct handshake *handshake, const char *line, size_t length);

/*
 * In LOND_EXCHANGING_KEY: takes the key from the line that lond sent through TLS, without its LF,
 * and moves to the next state. HANDSHAKE_UNEXPECTED if it is no key; the state stays.
 */
enum handshake_error handshake_take_key(struct handshake *handshake, const char *digits,
                                        size_t length);

#endif
