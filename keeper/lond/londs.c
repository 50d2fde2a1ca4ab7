/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where connections begin, and where their events are given to the file that the connection's state
 * is the subject of. Everything below is called from here; nothing below calls back.
 */
#include <errno.h>
#include <stdlib.h>

#include "keeper/lond/authenticate.h"
#include "keeper/lond/connect.h"
#include "keeper/lond/londs.h"
#include "keeper/lond/replies.h"
#include "keeper/lond/send.h"
#include "keeper/net/tls_worker.h"

/* --- Events ----------------------------------------------------------------------------------- */

/* Sends some more. Returns false where that fails: the connection is then lost, and freed. */
static bool go_on_sending(struct lond *lond)
{
    if (send_more(lond) == 0)
        return true;
    lond_lose(lond, lond_is_open(lond) ? REASON_LOST : REASON_HANDSHAKE, NULL);
    return false;
}

/* The turn of a long request or reply has come to move a portion. */
static void on_portion(struct bulk *bulk)
{
    struct lond *lond = CONTAINER_OF(bulk, struct lond, bulk);
    if (!lond->deciphers && send_is_unfinished(lond) && !lond->writing && !go_on_sending(lond))
        return;
    replies_go_on(lond);
}

static void on_readable(struct lond *lond)
{
    if (!lond_is_open(lond))
        authenticate_read(lond);
    else if (lond->state == LOND_IDLE) /* unasked, it has nothing to say: this is its close */
        lond_lose(lond, REASON_LOST, NULL);
    else
        replies_arrive(lond);
}

/* The socket of a connection whose handshake goes on in clear text, or has succeeded. */
static void on_socket(struct lond *lond, uint32_t events)
{
    if (events & EPOLLOUT) {
        send_stop_waiting(lond);
        if (!go_on_sending(lond))
            return;
    }
    if (lond->grower.waiting && (events & (EPOLLHUP | EPOLLERR))) {
        lond_lose(lond, REASON_LOST, NULL);
        return;
    }
    /* A peer that has shut down its side may finish its reply, but gets no other request. */
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        lond->closing = true;
    if (events & ~(uint32_t)EPOLLOUT)
        on_readable(lond);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct lond *lond = CONTAINER_OF(watch, struct lond, watch);
    if (lond->candidates != NULL) {
        if (connect_end(lond))
            authenticate_start(lond);
    } else if (lond->tls != NULL) {
        authenticate_advance_tls(lond);
    } else {
        on_socket(lond, events);
    }
}

/* --- Time-outs -------------------------------------------------------------------------------- */

static void on_connect_timeout(struct deadline *deadline)
{
    connect_timed_out(CONTAINER_OF(deadline, struct lond, deadline));
}

static void on_handshake_timeout(struct deadline *deadline)
{
    lond_lose(CONTAINER_OF(deadline, struct lond, deadline), REASON_TIMED_OUT, NULL);
}

static void on_reply_timeout(struct deadline *deadline)
{
    lond_lose(CONTAINER_OF(deadline, struct lond, deadline), REASON_REPLY_TIMEOUT, NULL);
}

static void on_idle_too_long(struct deadline *deadline)
{
    lond_lose(CONTAINER_OF(deadline, struct lond, deadline), REASON_NONE, NULL);
}

/* --- A new connection ------------------------------------------------------------------------- */

static struct lond *new_lond(struct londs *londs, const struct handshake_identity *identity)
{
    struct lond *lond = calloc(1, sizeof(*lond));
    if (lond == NULL)
        return NULL;
    lond->handshake = malloc(sizeof(*lond->handshake));
    if (lond->handshake == NULL) {
        free(lond);
        return NULL;
    }
    lond->londs = londs;
    lond->core = londs->core;
    lond->watch = (struct watch){.fd = -1, .urgent = true, .ready = on_ready};
    lond->bulk.go_on = on_portion;
    lond->grower.may_grow = replies_may_grow;
    lond->identity = identity;
    return lond;
}

struct lond *londs_connect(struct londs *londs, const struct lond_target *target,
                           struct lond_failure *failure)
{
    *failure = (struct lond_failure){.reason = REASON_NO_MEMORY};
    struct lond *lond = new_lond(londs, target->identity);
    if (lond == NULL)
        return NULL;
    failure->reason = authenticate_prepare(lond, &failure->detail);
    if (failure->reason == REASON_NONE) {
        int r = connect_start(lond, target->addresses, target->port);
        if (r == 0)
            return lond;
        failure->reason = reason_from_errno(-r);
    }
    lond_close(lond);
    return NULL;
}

/* --- What connections share ------------------------------------------------------------------- */

int londs_open(struct londs *londs, struct core *core, const struct lond_events *events)
{
    const struct settings *settings = &core->settings;
    struct loop *loop = &core->loop;
    *londs = (struct londs){.core = core, .events = events};
    deadline_queue_add(loop, &londs->connecting, &settings->connect_timeout, on_connect_timeout);
    deadline_queue_add(loop, &londs->handshaking, &settings->handshake_timeout,
                       on_handshake_timeout);
    deadline_queue_add(loop, &londs->replying, &settings->reply_timeout, on_reply_timeout);
    deadline_queue_add(loop, &londs->pruning, &settings->connection_idle_timeout, on_idle_too_long);
    londs->tls_worker = tls_worker_new(core);
    return londs->tls_worker != NULL ? 0 : -ENOMEM;
}

void londs_close(struct londs *londs)
{
    deadline_queue_remove(&londs->connecting);
    deadline_queue_remove(&londs->handshaking);
    deadline_queue_remove(&londs->replying);
    deadline_queue_remove(&londs->pruning);
    tls_worker_free(londs->tls_worker);
    credentials_free(londs->credentials);
    buffer_free(&londs->spare);
}

void londs_use_credentials(struct londs *londs, struct credentials *credentials)
{
    struct credentials *old = londs->credentials;
    londs->credentials = credentials;
    credentials_free(old);
}
