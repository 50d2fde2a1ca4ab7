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

#include "common/attributes.h"
#include "keeper/core/core.h"
#include "keeper/lond/cipher.h"
#include "keeper/lond/handshake.h"
#include "keeper/lond/transaction.h"
#include "keeper/net/address.h"

struct lond;

/*
 * What becomes of a connection, told to whoever opened it. A transaction that is passed is the
 * callee's to finish; the connection has let go of it.
 */
struct lond_events {
    /* The handshake is done: the connection is idle. */
    void (*opened)(struct lond *lond);

    /*
     * The reply has ended: the connection is idle again. With REASON_NONE the reply's line is the
     * first `length` bytes of `reply`, and the callee may take the whole buffer by swapping it;
     * with any other reason `reply` is NULL. `transaction` is NULL if it has been passed before, to
     * `overflowed`.
     */
    void (*answered)(struct lond *lond, struct transaction *transaction, enum reason reason,
                     struct buffer *reply, size_t length);

    /*
     * The reply does not fit. Its transaction ends with `reason`, while the connection is busy
     * until the rest of the reply has been read and dropped.
     */
    void (*overflowed)(struct transaction *transaction, enum reason reason);

    /*
     * The connection is lost, and is freed when the callback returns. `transaction`, if any, goes
     * down with it. `detail` is what there is to say beside the reason, or NULL.
     */
    void (*lost)(struct lond *lond, struct transaction *transaction, enum reason reason,
                 const char *detail);
};

/* What all connections share. */
struct londs {
    struct core *core;
    const struct lond_events *events;
    struct deadline_queue connecting, handshaking, replying, pruning;
    struct tls_worker *tls_worker;
    struct credentials *credentials; /* in force; NULL until there is a valid configuration */
    struct buffer spare;             /* empty; the next to be read into, so that a reply that is
                                        handed over costs no allocation */
};

/* The opener's own note of where a connection stands, which nothing here touches. */
struct lond_place {
    struct host *host;
    unsigned list;  /* of the host's pool */
    unsigned round; /* of the host's health, when this attempt began */
    LIST_ENTRY(lond) link;
};

struct lond {
    struct watch watch;
    struct londs *londs;
    struct core *core;
    struct lond_place place;
    bool opened; /* the handshake is over */

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
    enum reason
        discard; /* why the rest of this reply is read and dropped; REASON_NONE: it is not */
    struct handshake *handshake; /* until it is over */
    struct tls_task *tls;        /* while TLS is spoken, and has the descriptor */
    char *key_file;              /* local mode, until the handshake is over */
    char version[32];            /* what lond said of itself, once opened */
    enum handshake_mode mode;    /* once opened */
    const char *tls_version;     /* ssl, once opened */
    uint8_t key[CIPHER_KEY_SIZE];
    struct cipher *cipher; /* made when first needed */
    struct deadline deadline;
};

/*
 * Sets up what connections share; once, before the first lond_open. `events` must stay. Returns 0
 * or -ENOMEM; londs_close is right in either case.
 */
MUST_CHECK int londs_open(struct londs *londs, struct core *core, const struct lond_events *events);

/* Frees what connections share, credentials included; there may be no connection any more. */
void londs_close(struct londs *londs);

/* Puts other credentials, which become those of `londs`, in the place of the old, which are freed.
 */
void londs_use_credentials(struct londs *londs, struct credentials *credentials);

/*
 * Starts to connect to the first of `addresses`, of which there is one at least, at `port`. Where
 * that fails the next is tried, each within connect_timeout; what is told is how the last failed.
 * Once TCP is established the others are not tried any more. The addresses are copied; the identity
 * must outlive the connection. Returns NULL with errno set when all fail at once, ENOKEY where
 * no mode to authenticate in is allowed, EKEYREJECTED where a key file cannot be written (which the
 * log says); then no event is told.
 */
struct lond *lond_open(struct londs *londs, const struct addresses *addresses, uint16_t port,
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

/* The connection ends once the request in flight is answered; of an idle one, lond_close is due. */
void lond_close_after_reply(struct lond *lond);

/* Closes and frees at once, without calling back; a transaction it carries is the caller's. */
void lond_close(struct lond *lond);

#endif
