/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files that make up a connection have in common: its teardown, its loss, its idling. It
 * decides nothing about a peer, and moves no bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "keeper/lond/keyfile.h"
#include "keeper/lond/lond.h"
#include "keeper/net/tls_worker.h"

void lond_free_handshake(struct lond *lond)
{
    keyfile_remove(&lond->key_file);
    if (lond->handshake != NULL)
        explicit_bzero(lond->handshake, sizeof(*lond->handshake));
    free(lond->handshake);
    lond->handshake = NULL;
}

void lond_close_socket(struct lond *lond)
{
    int fd = lond->watch.fd;
    loop_unwatch(&lond->core->loop, &lond->watch);
    if (lond->tls != NULL) { /* the thread may be using the descriptor, and closes it afterwards */
        tls_task_close(lond->tls);
        lond->tls = NULL;
    } else if (fd >= 0) {
        core_close(lond->core, fd);
    }
}

void lond_close(struct lond *lond)
{
    deadline_stop(&lond->deadline);
    loop_unqueue(&lond->core->loop, &lond->bulk);
    scarcity_leave(&lond->core->scarcity, &lond->grower);
    lond_close_socket(lond);
    lond_free_handshake(lond);
    free(lond->candidates);
    cipher_free(lond->cipher);
    explicit_bzero(lond->key, sizeof(lond->key));
    buffer_free(&lond->in);
    buffer_free(&lond->out);
    free(lond);
}

void lond_lose(struct lond *lond, enum reason reason, const char *detail)
{
    struct transaction *transaction = lond->transaction;
    lond->transaction = NULL;
    lond->state = LOND_DISCONNECTED;
    lond->londs->events->lost(lond, transaction, reason, detail);
    lond_close(lond);
}

void lond_become_idle(struct lond *lond)
{
    lond->state = LOND_IDLE;
    deadline_start(&lond->londs->pruning, &lond->deadline);
}

void lond_close_after_reply(struct lond *lond)
{
    lond->closing = true;
}

bool lond_has_stirred(const struct lond *lond)
{
    char byte;
    return recv(lond->watch.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno != EAGAIN;
}

void lond_watch_as_needed(struct lond *lond)
{
    uint32_t events = lond->grower.waiting ? 0 : LOND_READABLE;
    loop_change(&lond->core->loop, &lond->watch, lond->writing ? events | EPOLLOUT : events);
}

int lond_need_cipher(struct lond *lond)
{
    return lond->cipher != NULL ? 0 : cipher_new(&lond->cipher, lond->key);
}
