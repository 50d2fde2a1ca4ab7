/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The far ends of the world's TCP connections: what a lond is to the keeper. A peer does the
 * handshake as lonc-protocol(7) section 2 has it and then hands requests to the target; or, silent,
 * it leaves all of it to the target.
 */
#ifndef LONC_TESTS_FUZZ_PEER_H
#define LONC_TESTS_FUZZ_PEER_H

#include <stdbool.h>
#include <stddef.h>

#define PEERS_MAX      32
#define PEER_LINE_SIZE 8192

struct peer {
    int fd;          /* -1: there is none */
    unsigned number; /* among all connections */
    unsigned heard;  /* lines so far */
    char id[32];     /* whom it was told to be */
    size_t length;
    char in[PEER_LINE_SIZE]; /* of the line that is coming */
};

enum peer_mode {
    PEER_SILENT, /* reads, and says nothing */
    PEER_GREETS, /* does the handshake */
};

extern struct peer peers[PEERS_MAX];
extern enum peer_mode peer_mode;
extern bool peers_refuse; /* no connection comes about */

/*
 * A request of `length` bytes has come, without its LF: deciphered, and without a `sethost:`. NULL:
 * nobody wants to know. `enciphered`: as which it came.
 */
extern void (*peer_asked)(struct peer *peer, const char *request, size_t length, bool enciphered);

void peers_begin(void);
bool peers_serve(void); /* whether there was something to do */
void peers_end(void);   /* CHECKs that the keeper has closed all, and closes */

void peer_say(struct peer *peer, const char *bytes, size_t length);

/* A line, enciphered with this connection's key. */
void peer_say_enciphered(struct peer *peer, const char *text, size_t length);
void peer_close(struct peer *peer);

#endif
