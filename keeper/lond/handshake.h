/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The dialogue that opens a connection to lond, in its three modes, as one table of states
 * (lonc-protocol(7) section 2). Pure: it is given the lines read and gives the lines to write;
 * sockets, TLS and time-outs belong to lond.c. A new state is one row of the table.
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
    LOND_EXCHANGING_KEY, /* TLS, under lond.c; the old daemon had no state for it */
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

/* "ChallengeReceived" and so on, as in lonc-protocol(7). */
const char *lond_state_name(enum lond_state state);

/* How both sides know each other, and where the key of `encrypt:` comes from. */
enum handshake_mode {
    HANDSHAKE_INSECURE, /* by address alone; the key is made of names and a number in clear text */
    HANDSHAKE_SSL,      /* by certificates; lond gives the key through TLS */
    HANDSHAKE_LOCAL     /* this very machine: the key lies in a file that only it can read */
};

/* "insecure", "ssl" or "local". */
const char *handshake_mode_word(enum handshake_mode mode);

/* No handshake line is longer; lond's own answers have a few dozen bytes. Bounds what is kept. */
#define HANDSHAKE_LINE_MAX 1024

/* Why a handshake failed. */
enum handshake_error {
    HANDSHAKE_OK = 0,
    HANDSHAKE_REFUSED,       /* lond answered `refused`, in whatever state: it will not serve us */
    HANDSHAKE_INSECURE_ONLY, /* it speaks insecure only, and this server does not allow that */
    HANDSHAKE_UNEXPECTED     /* it answered something the state does not allow */
};

/* Who talks to whom; the strings must outlive the handshake. */
struct handshake_identity {
    const char *own_id;       /* this server's lonHostID */
    const char *remote_id;    /* the lonHostID asked for with `sethost` */
    const char *remote_name;  /* its DNS name, which a certificate may have to have */
    const char *lonc_version; /* lonVersion, or NULL */
    bool allow_insecure;      /* loncAllowInsecure */
    bool here;                /* it is an id of this very server, for which there is local mode */
};

struct handshake {
    const struct handshake_identity *identity;
    enum handshake_mode mode; /* as begun, or insecure once lond said that it knows nothing else */
    const char *key_file;     /* local: its path */
    enum lond_state state;
    enum lond_state next;               /* where the line being judged leads */
    char challenge[HANDSHAKE_LINE_MAX]; /* bytes, echoed as they came */
    size_t challenge_length;
    char peer_version[64];        /* NUL-terminated text behind any `version:`, cut to fit */
    uint8_t key[CIPHER_KEY_SIZE]; /* valid once LOND_IDLE; whoever takes it wipes it here */
};

/*
 * Starts at LOND_CONNECTED, and wipes whatever the structure held before. In local mode `key_file`
 * is the path of the file that lond will read, which must outlive the handshake, and whoever wrote
 * it puts the same key into handshake->key.
 */
void handshake_begin(struct handshake *handshake, const struct handshake_identity *identity,
                     enum handshake_mode mode, const char *key_file);

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

/*
 * In LOND_EXCHANGING_KEY: takes the line that lond sent through TLS, without its LF, and moves on.
 * HANDSHAKE_UNEXPECTED where it is no key; the state stays.
 */
enum handshake_error handshake_take_key(struct handshake *handshake, const char *digits,
                                        size_t length);

#endif
