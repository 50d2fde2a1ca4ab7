/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sending to lond. Only here is it decided whether the kernel has taken a byte of a request
 * (`sent_any`), on which it depends whether the request may ever be sent again (keeper/README.md
 * rule 2).
 */
#include <errno.h>
#include <sys/socket.h>

#include "keeper/lond/request.h"
#include "keeper/lond/send.h"

/* The most that is enciphered before it is sent. Making that much takes a few turns of the loop. */
#define PIECE ((size_t)16 * 1024)

static void wait_for_room(struct lond *lond, bool wait)
{
    if (lond->writing == wait)
        return;
    lond->writing = wait;
    lond_watch_as_needed(lond);
}

void send_stop_waiting(struct lond *lond)
{
    wait_for_room(lond, false);
}

bool send_is_unfinished(const struct lond *lond)
{
    return lond->rest_length > 0 || lond->enciphers;
}

void send_abandon(struct lond *lond)
{
    lond->rest_length = 0;
    lond->enciphers = false;
    buffer_consume(&lond->out, buffer_length(&lond->out));
}

/*
 * Enciphers some more of the request into `out`, which is sent when it is full or the request has
 * ended. Returns the cost, in bytes that could have been moved instead.
 */
static size_t encipher_more(struct lond *lond, size_t portion)
{
    struct buffer *out = &lond->out;
    size_t left = lond->to_wire.left, room = out->size - out->end;
    size_t most = 2 * portion / CIPHER_COST + CIPHER_ROOM;
    out->end += cipher_encrypt(lond->cipher, &lond->to_wire, out->data + out->end,
                               most < room ? most : room);
    lond->enciphers = !lond->to_wire.ended;
    if (!lond->enciphers || out->size - out->end < CIPHER_ROOM) {
        lond->rest = out->data;
        lond->rest_length = out->end;
        out->end = 0; /* where the next piece begins */
    }
    return (left - lond->to_wire.left) * CIPHER_COST;
}

/* Returns how many bytes of `rest` the kernel took, or a negative errno. */
static ssize_t send_rest(struct lond *lond, size_t most)
{
    int more = lond->enciphers ? MSG_MORE : 0;
    ssize_t n;
    do
        n = send(lond->watch.fd, lond->rest, most < lond->rest_length ? most : lond->rest_length,
                 MSG_DONTWAIT | MSG_NOSIGNAL | more);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EPIPE; /* nothing taken, and no reason given: the peer is hanging up */
    lond->sent_any = true;
    lond->rest += n;
    lond->rest_length -= (size_t)n;
    return n;
}

static void end_sending(struct lond *lond)
{
    send_abandon(lond);
    wait_for_room(lond, false);
    if (lond->state == LOND_SENDING_REQUEST)
        lond->state = LOND_RECEIVING_REPLY;
}

/* Sends a portion, as far as the kernel takes it, and queues for the next one. */
static int send_portion(struct lond *lond)
{
    struct loop *loop = &lond->core->loop;
    size_t portion = loop_portion(loop), done = 0;
    while (done < portion && send_is_unfinished(lond)) {
        ssize_t n = lond->rest_length > 0 ? send_rest(lond, portion - done)
                                          : (ssize_t)encipher_more(lond, portion - done);
        if (n == -EAGAIN) {
            wait_for_room(lond, true);
            break;
        }
        if (n < 0)
            return (int)n;
        done += (size_t)n;
    }
    loop_moved(loop, done);
    if (!send_is_unfinished(lond))
        end_sending(lond);
    else if (!lond->writing)
        loop_queue(loop, &lond->bulk);
    return 0;
}

static int send_bytes(struct lond *lond, const char *bytes, size_t length)
{
    lond->sent_any = false;
    lond->rest = bytes;
    lond->rest_length = length;
    return send_portion(lond);
}

int send_more(struct lond *lond)
{
    int r = send_portion(lond);
    /* As long as lond takes something, reply_timeout starts anew. */
    if (r == 0 && lond->transaction != NULL)
        deadline_start(&lond->londs->replying, &lond->deadline);
    return r;
}

int send_line(struct lond *lond, const char *line, size_t length)
{
    int r = buffer_append(&lond->out, line, length);
    return r < 0 ? r : send_bytes(lond, lond->out.data + lond->out.start, length);
}

/* All memory that enciphering takes is taken here, so that it cannot fail half way. */
static int start_enciphering(struct lond *lond, const struct request *request)
{
    size_t size = cipher_encrypted_size(request->length) + CIPHER_ROOM;
    int r = lond_need_cipher(lond);
    if (r == 0)
        r = buffer_reserve(&lond->out, size < PIECE ? size : PIECE);
    if (r < 0)
        return r == -ENOBUFS ? r : -ENOMEM;
    cipher_encrypt_begin(&lond->to_wire, request->command, request->length);
    lond->enciphers = true;
    return 0;
}

int send_request(struct lond *lond, struct transaction *transaction)
{
    const char *bytes = transaction->request;
    size_t length = transaction->length;
    struct request request = request_parse(bytes, length);
    if (request.encrypt) {
        int r = start_enciphering(lond, &request);
        if (r < 0)
            return r;
        length = request.prefix; /* lond reads the prefixes first, in clear text */
    }
    /* Behind a stray `sethost:` lond goes on as another host, for which the next request is not. */
    if (request_leaves_other(&request, lond->identity->remote_id))
        lond->closing = true;
    lond->state = LOND_SENDING_REQUEST;
    int r = send_bytes(lond, bytes, length);
    if (r < 0 && !lond->sent_any) {
        send_abandon(lond);
        lond->state = LOND_IDLE;
        return r;
    }
    lond->transaction = transaction;
    lond->discard = REASON_NONE;
    deadline_start(&lond->londs->replying, &lond->deadline);
    /* Where sending failed after the first byte, the loss shows when the connection is next read;
     * telling it from inside this call would surprise the caller. */
    return 0;
}
