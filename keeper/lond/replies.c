/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Receiving replies. A reply is one line; it is passed on when its LF has been read, and not before
 * (keeper/README.md rule 1). Its buffer is passed with it, not copied: the connection goes on with
 * the spare one of struct londs, since it may have the next request by the time the reply is
 * delivered.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "keeper/lond/replies.h"
#include "keeper/lond/send.h"

/* Where a reply that is dropped goes: reading into one place costs a fraction of keeping it, which
 * is why dropped bytes count a quarter in the loop's measure of work. */
static char dropped[LOOP_PORTION];
#define DROPPING_SHARE 4

/* --- The end of a reply ----------------------------------------------------------------------- */

/*
 * The reply's last byte has been read. A reply that comes before the whole request was sent says
 * that the peer wants no more of it: the connection ends.
 */
static void end_exchange(struct lond *lond)
{
    if (lond->state == LOND_SENDING_REQUEST)
        lond->closing = true;
    lond->readable = false;
    send_abandon(lond);
    scarcity_leave(&lond->core->scarcity, &lond->grower);
}

/* Tells of the end, last, since that may free the connection. `reply` is NULL unless `reason` is
 * REASON_NONE. */
static void tell_answered(struct lond *lond, enum reason reason, struct buffer *reply,
                          size_t length)
{
    struct transaction *transaction = lond->transaction;
    lond->transaction = NULL;
    end_exchange(lond);
    loop_unqueue(&lond->core->loop, &lond->bulk);
    deadline_stop(&lond->deadline);
    lond_become_idle(lond);
    lond->londs->events->answered(lond, transaction, reason, reply, length);
}

/* There is a reply, and nobody may see it. */
static void answer_failed(struct lond *lond, enum reason reason)
{
    buffer_consume(&lond->in, buffer_length(&lond->in));
    tell_answered(lond, reason, NULL, 0);
}

/* Wipes what the callee has left of a reply's buffer, and keeps its memory for the next one. */
static void recycle(struct londs *londs, struct buffer *reply)
{
    buffer_consume(reply, buffer_length(reply));
    if (londs->spare.data == NULL)
        londs->spare = *reply;
    else
        buffer_free(reply);
    core_check_memory(londs->core);
}

static void hand_over_reply(struct lond *lond, size_t length)
{
    struct londs *londs = lond->londs;
    struct buffer reply = lond->in;
    lond->in = londs->spare;
    londs->spare = (struct buffer){.data = NULL};
    tell_answered(lond, REASON_NONE, &reply, length);
    recycle(londs, &reply);
}

/* --- Deciphering ------------------------------------------------------------------------------ */

/* Deciphers a portion. Returns whether more is left; sets *reason if the reply is of no use. */
static bool decipher_some(struct lond *lond, enum reason *reason)
{
    struct deciphering *work = &lond->from_wire;
    struct loop *loop = &lond->core->loop;
    size_t before = work->done;
    int r = cipher_decrypt(lond->cipher, work, loop_portion(loop) / CIPHER_COST);
    size_t until = work->done < work->n ? work->done : work->n;
    loop_moved(loop, (work->done - before) * CIPHER_COST);
    /* The clear text must be exactly one line: a client would take more for another reply. */
    if (r < 0 || (until > before && memchr(work->line + before, '\n', until - before) != NULL))
        *reason = REASON_BAD_REPLY;
    return *reason == REASON_NONE && r == 1;
}

/* The clear text takes the place of the enciphered line. */
static void decipher(struct lond *lond)
{
    enum reason reason = REASON_NONE;
    struct deciphering *work = &lond->from_wire;
    if (decipher_some(lond, &reason)) {
        deadline_start(&lond->londs->replying, &lond->deadline);
        loop_queue(&lond->core->loop, &lond->bulk);
        return;
    }
    lond->deciphers = false;
    if (reason != REASON_NONE) {
        answer_failed(lond, reason);
        return;
    }
    work->line[work->n] = '\n';
    hand_over_reply(lond, work->n + 1);
}

/* A whole reply stands at the front of `in`. */
static void accept_reply(struct lond *lond, size_t length)
{
    char *line = lond->in.data + lond->in.start;
    if (length <= 4 || memcmp(line, "enc:", 4) != 0) {
        hand_over_reply(lond, length);
    } else if (lond_need_cipher(lond) < 0) {
        answer_failed(lond, REASON_NO_MEMORY);
    } else if (cipher_decrypt_begin(&lond->from_wire, line, length - 1) < 0) {
        answer_failed(lond, REASON_BAD_REPLY);
    } else {
        end_exchange(lond);
        lond->deciphers = true;
        decipher(lond);
    }
}

/* --- Replies that do not fit ------------------------------------------------------------------ */

static void start_dropping(struct lond *lond, enum reason reason)
{
    scarcity_leave(&lond->core->scarcity, &lond->grower);
    lond->discard = reason;
    buffer_consume(&lond->in, buffer_length(&lond->in));
}

/*
 * The rest of this reply is dropped, so that the connection survives. The client is answered now,
 * because the reply may have no end. All that is left has to come within one reply_timeout.
 */
static void overflow(struct lond *lond, enum reason reason)
{
    start_dropping(lond, reason);
    deadline_start(&lond->londs->replying, &lond->deadline);
    /* As long as half of the request is unsent, its bytes are needed: the transaction stays. */
    if (lond->state != LOND_RECEIVING_REPLY)
        return;
    struct transaction *transaction = lond->transaction;
    lond->transaction = NULL;
    lond->londs->events->overflowed(transaction, reason);
}

/*
 * Bytes behind a reply would be taken for the next request's reply, so a connection that has any is
 * not used again. They are `in_hand`, or still in the socket if as much was read as there was room.
 */
static void check_surplus(struct lond *lond, bool in_hand, bool was_full)
{
    char byte;
    if (in_hand || (was_full && recv(lond->watch.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0))
        lond->closing = true;
}

/* Drops what has come. Returns whether there may be more to drop at once. */
static bool read_dropping(struct lond *lond)
{
    ssize_t n = recv(lond->watch.fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        lond->readable = errno == EINTR;
        return lond->readable;
    }
    if (n <= 0) {
        lond_lose(lond, REASON_LOST, NULL);
        return false;
    }
    loop_moved(&lond->core->loop, (size_t)n / DROPPING_SHARE);
    if (lond->transaction != NULL)
        deadline_start(&lond->londs->replying, &lond->deadline);
    const char *lf = memchr(dropped, '\n', (size_t)n);
    explicit_bzero(dropped, (size_t)n); /* a reply may be a secret, dropped or not */
    if (lf == NULL)
        return true;
    check_surplus(lond, lf != dropped + n - 1, (size_t)n == sizeof(dropped));
    tell_answered(lond, lond->discard, NULL, 0);
    return false;
}

/* --- Reading ---------------------------------------------------------------------------------- */

/*
 * Reads up to `most` bytes of a reply. Returns true while there may be more to read at once. After
 * false the connection waits for more, or its reply is complete, or it is gone and freed.
 */
static bool read_reply(struct lond *lond, size_t most)
{
    struct core *core = lond->core;
    if (lond->discard != REASON_NONE)
        return read_dropping(lond);
    bool more;
    ssize_t n = buffer_receive(&lond->in, lond->watch.fd, most, &more);
    if (n == -EAGAIN) {
        lond->readable = false;
        return false;
    }
    if (n == -ENOBUFS || n == -ENOMEM) {
        limit_reached(core, &core->memory_limit, NULL);
        overflow(lond, REASON_NO_MEMORY);
        return true;
    }
    if (n <= 0) {
        lond_lose(lond, REASON_LOST, NULL);
        return false;
    }
    loop_moved(&core->loop, (size_t)n);
    size_t length = buffer_line(&lond->in);
    if (length > 0)
        check_surplus(lond, length < buffer_length(&lond->in), more);
    if (length > 0 && length <= core->settings.line_limit) {
        accept_reply(lond, length);
        return false;
    }
    if (length > 0) {
        start_dropping(lond, REASON_TOO_LARGE);
        tell_answered(lond, REASON_TOO_LARGE, NULL, 0);
        return false;
    }
    if (buffer_length(&lond->in) >= core->settings.line_limit)
        overflow(lond, REASON_TOO_LARGE);
    else
        deadline_start(&lond->londs->replying, &lond->deadline);
    lond->readable = more;
    return more;
}

/* Whether memory allows to read on. While it does not, no deadline runs: the wait is not lond's
 * fault. */
static bool may_read(struct lond *lond)
{
    if (lond->discard != REASON_NONE ||
        scarcity_may_fill(&lond->core->scarcity, &lond->grower, &lond->in))
        return true;
    lond_watch_as_needed(lond);
    deadline_stop(&lond->deadline);
    return false;
}

void replies_may_grow(struct grower *grower)
{
    struct lond *lond = CONTAINER_OF(grower, struct lond, grower);
    lond_watch_as_needed(lond);
    deadline_start(&lond->londs->replying, &lond->deadline);
    loop_queue(&lond->core->loop, &lond->bulk);
}

/* Reads a portion of a reply, and queues for the next one. */
static void read_portion(struct lond *lond)
{
    struct loop *loop = &lond->core->loop;
    uint64_t end = loop->moved + loop_portion(loop);
    while (loop->moved < end)
        if (!may_read(lond) || !read_reply(lond, (size_t)(end - loop->moved)))
            return;
    loop_queue(loop, &lond->bulk);
}

void replies_go_on(struct lond *lond)
{
    if (lond->deciphers)
        decipher(lond);
    else if (lond->readable)
        read_portion(lond);
}

void replies_arrive(struct lond *lond)
{
    if (lond->deciphers) { /* the reply is complete, so this stands behind it */
        lond->closing = true;
        return;
    }
    bool is_long = buffer_length(&lond->in) >= LOOP_SHORT || lond->discard != REASON_NONE;
    lond->readable = true;
    if (is_long)
        loop_queue(&lond->core->loop, &lond->bulk);
    else
        read_portion(lond);
}
