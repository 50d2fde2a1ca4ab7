/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One TCP connection to a lond: connecting, the handshake, then one request at a time. Its host
 * starts it and is told by one callback what became of it. Each wait is bounded (keeper/README.md
 * rule 3).
 */
#ifndef LONC_KEEPER_LOND_LOND_H
#define LONC_KEEPER_LOND_LOND_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "keeper/core/core.h"
#include "keeper/lond/cipher.h"
#include "keeper/lond/handshake.h"
#include "keeper/lond/transaction.h"
#include "keeper/net/address.h"

enum lond_event {
    LOND_OPENED,     /* the handshake is done: the connection is idle */
    LOND_ANSWERED,   /* the request has its answer: the connection is idle again, or ends */
    LOND_OVERFLOWED, /* the reply does not fit: its request is over, and the connection busy until
                        the rest has come */
    LOND_LOST,       /* it is gone, and freed when the callback returns */
};

struct lond {
    struct watch watch;
    struct core *core;
    /*
     * Set by who opened it, and told what happened. LOND_OVERFLOWED: `transaction` is the callee's
     * to take away and finish. LOND_ANSWERED: `transaction`, if it is there still, is too; with
     * REASON_NONE the reply's line is the first `reply_length` bytes of core->reply. LOND_LOST:
     * `reason` says why, and `transaction`, if any, goes down with the connection.
     */
    void (*changed)(struct lond *lond, enum lond_event event, enum reason reason);
    struct host *host; /* nothing here looks inside */
    unsigned pool;     /* which of the host's lists this is in */
    unsigned round;    /* of the host's health: when this attempt began */
    bool opened;       /* the handshake is over */
    LIST_ENTRY(lond) link;

    const struct handshake_identity *identity;
    union address address;         /* connecting or connected to it */
    struct candidates *candidates; /* while connecting: the addresses that are left to try */

    enum lond_state state;
    struct bulk bulk;     /* where more is to be sent, read or deciphered than goes at once */
    struct grower grower; /* once the reply is long */
    bool connecting;      /* TCP is not established yet */
    bool readable;        /* there may be more of the reply to read */
    bool writing;         /* waiting until the kernel takes more */
    bool sent_any;        /* the kernel took a byte of the request: it must not be sent again */
    bool closing;         /* to be closed once the request in flight is answered */
    const char *rest;     /* what the kernel has not taken yet of what is being sent */
    size_t rest_length;
    bool enciphers; /* what is left of the request goes through `to_wire` into `out` */
    bool deciphers; /* the reply is there, and being deciphered in `in` */
    struct enciphering to_wire;
    struct deciphering from_wire;
    struct buffer in, out; /* out: a handshake line, or a piece of an enciphered request */
    struct transaction *transaction; /* while sending or receiving */
    size_t reply_length;
    enum reason
        discard; /* why the rest of this reply is read and dropped; REASON_NONE: it is not */
    struct handshake *handshake; /* until it is over */
    struct tls_task *tls;        /* while TLS is spoken, and has the descriptor */
    char *key_file;              /* local mode, until the handshake is over */
    const char *detail;          /* LOND_LOST: what there is to say beside the reason, or NULL */
    char version[32];            /* what lond said of itself, once opened */
    enum handshake_mode mode;    /* once opened */
    const char *tls_version;     /* ssl, once opened */
    uint8_t key[CIPHER_KEY_SIZE];
    struct cipher *cipher; /* made when first needed */
    struct deadline deadline;
};

/* Sets up the deadlines that connections wait in; once, before the first lond_open. */
void lond_setup(struct core *core);

/*
 * Starts to connect to the first of `addresses`, of which there is one at least, at `port`. Where
 * that fails the next is tried, each within connect_timeout; what is told is how the last failed.
 * Once TCP is established the others are not tried any more. The addresses are copied; the identity
 * must outlive the connection. Returns NULL with errno set when all fail at once, ENOKEY where
 * no mode to authenticate in is allowed, EKEYREJECTED where a key file cannot be written (which the
 * log says); then `changed` is not called.
 */
struct lond *lond_open(struct core *core, const struct addresses *addresses, uint16_t port,
                       const struct handshake_identity *identity);

/*
 * Whether an idle peer has said something, or closed, which the loop may not have told yet: what a
 * client asks can have come after the loop last looked. Its line would be taken for the next reply,
 * for the protocol cannot tell; asked right before each request, nothing that is there is missed.
 */
bool lond_has_stirred(const struct lond *lond);

/*
 * Sends a transaction's request on an idle connection. 0: it is under way. -ENOBUFS or -ENOMEM:
 * there is no room to encipher a piece of it; the connection is idle still. Any other negative
 * errno: the peer is gone and the kernel took no byte, so that the request may be sent elsewhere;
 * free it with lond_close.
 */
int lond_send(struct lond *lond, struct transaction *transaction);

/* Closes and frees at once, without calling back; a transaction it carries is the caller's. */
void lond_close(struct lond *lond);

#endif
