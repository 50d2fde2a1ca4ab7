/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One TCP connection to a lond: it connects, goes through the handshake, and then carries one
 * request at a time. londs.h opens one. Every wait has a deadline (keeper/README.md rule 3).
 *
 * A connection is the work of several files, each with its own part of struct lond:
 *
 *     londs.c         opens a connection, and gives each event of its socket to one of the others
 *     connect.c       TCP: one address after the other
 *     authenticate.c  the handshake, TLS included
 *     send.c          bytes to lond: handshake lines and requests, enciphered if need be
 *     replies.c       replies from lond, deciphered if need be
 *     lond.c          what they all need: idling, losing and closing a connection
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

struct lond;

/*
 * What becomes of a connection, told to whoever opened it. A transaction that is passed is the
 * callee's to finish; the connection has let go of it.
 */
struct lond_events {
    /* The handshake has succeeded: the connection is idle. */
    void (*opened)(struct lond *lond);

    /*
     * The reply has ended: the connection is idle again. With REASON_NONE the reply's line is the
     * first `length` bytes of `reply`, and the callee may take the whole buffer by swapping it;
     * with any other reason `reply` is NULL. `transaction` is NULL if `overflowed` has already
     * been told of it.
     */
    void (*answered)(struct lond *lond, struct transaction *transaction, enum reason reason,
                     struct buffer *reply, size_t length);

    /*
     * The reply does not fit. Its transaction ends with `reason`, while the connection stays busy
     * until the rest of the reply has been read and dropped.
     */
    void (*overflowed)(struct transaction *transaction, enum reason reason);

    /*
     * The connection is lost, and is freed when the callback returns. `transaction`, if any, goes
     * down with it. `detail` says more than the reason does, or is NULL.
     */
    void (*lost)(struct lond *lond, struct transaction *transaction, enum reason reason,
                 const char *detail);
};

/* What all connections share; londs.h makes it. */
struct londs {
    struct core *core;
    const struct lond_events *events;
    struct deadline_queue connecting, handshaking, replying, pruning;
    struct tls_worker *tls_worker;
    struct credentials *credentials; /* in force; NULL until there is a valid configuration */

    /* Always empty. A connection whose buffer has left with a reply goes on with this one, so that
     * a request costs no allocation. */
    struct buffer spare;
};

/* The opener's own note of where a connection belongs. The files of this folder do not touch it. */
struct lond_place {
    struct host *host;
    unsigned list;  /* of the host's pool */
    unsigned round; /* of the host's health, when this attempt began */
    LIST_ENTRY(lond) link;
};

struct lond {
    struct londs *londs;
    struct core *core;
    struct lond_place place;
    struct watch watch; /* of the socket; without a descriptor while the TLS thread has it */
    struct deadline deadline;
    struct bulk bulk; /* queued while a long request or reply has another portion to move */
    enum lond_state state;
    bool closing; /* close it when the request in flight is answered */
    const struct handshake_identity *identity;

    /* connect.c */
    union address address;         /* connected to it, or trying to */
    struct candidates *candidates; /* addresses left to try; NULL once TCP is established */

    /* authenticate.c */
    struct handshake *handshake; /* NULL once it has succeeded */
    struct tls_task *tls;        /* while TLS is spoken; it then has the descriptor */
    char *key_file;              /* local mode, until the handshake has succeeded */
    /* What the handshake came to: */
    char version[32]; /* what lond said of itself, cut to fit */
    enum handshake_mode mode;
    const char *tls_version; /* static; NULL without ssl */
    uint8_t key[CIPHER_KEY_SIZE];

    /* send.c */
    const char *rest;      /* of what is being sent, the part the kernel has not taken yet */
    size_t rest_length;    /* of that */
    bool writing;          /* the kernel takes no more at the moment: wait for EPOLLOUT */
    bool sent_any;         /* the kernel took a byte of the request, which must not be sent again */
    bool enciphers;        /* the rest of the request goes through `to_wire` into `out` */
    struct cipher *cipher; /* made when first needed, also by replies.c */
    struct enciphering to_wire;
    struct buffer out; /* a handshake line, or a piece of an enciphered request */

    /* replies.c */
    struct transaction *transaction; /* whose request is being sent, or its reply received */
    struct buffer in;
    bool readable;       /* the socket may hold more of the reply */
    bool deciphers;      /* the reply is complete, and being deciphered inside `in` */
    enum reason discard; /* why the rest of this reply is read and dropped; else REASON_NONE */
    struct deciphering from_wire;
    struct grower grower; /* once the reply is long */
};

/* Whether the handshake has succeeded. */
static inline bool lond_is_open(const struct lond *lond)
{
    return lond->handshake == NULL;
}

/*
 * Whether an idle connection has something to read: its peer closed it, or said something unasked.
 * The loop may not have noticed yet, because a client's request can arrive after the loop last
 * looked. The protocol cannot tell such a line from the next reply, so ask right before each
 * request.
 */
bool lond_has_stirred(const struct lond *lond);

/* Has the connection close once its request is answered. It must be busy, or on its way to idle. */
void lond_close_after_reply(struct lond *lond);

/* Closes and frees at once, without an event; a transaction it carries becomes the caller's. */
void lond_close(struct lond *lond);

/* --- For the other files of this folder ------------------------------------------------------- */

/* Of epoll, while a connection waits for its peer to say something. */
#define LOND_READABLE (EPOLLIN | EPOLLRDHUP)

/* Tells `lost` and frees the connection. `detail` may be NULL; it must stay until then. */
void lond_lose(struct lond *lond, enum reason reason, const char *detail);

/* Closes the socket only, as between two addresses of an attempt. */
void lond_close_socket(struct lond *lond);

/* Wipes and frees what only the handshake needed; a key file that is still there is removed. */
void lond_free_handshake(struct lond *lond);

/* The connection has nothing to do; it is pruned if that lasts for connection_idle_timeout. */
void lond_become_idle(struct lond *lond);

/* Watches an open connection for what it waits for: for nothing but its loss while its reply waits
 * for memory, and for room to write while `writing`. */
void lond_watch_as_needed(struct lond *lond);

/* 0 once there is a cipher for the connection's key, or a negative errno. */
MUST_CHECK int lond_need_cipher(struct lond *lond);

#endif
