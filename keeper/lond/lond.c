/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A connection to a lond. What the handshake says is handshake.c's, when to open a connection and
 * what a loss means for the host is host.c's; this moves the bytes and watches the clock. A long
 * request or reply goes in portions, as does what enciphers and deciphers it: see next_portion.
 */
#include <bsd/string.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/lond/credentials.h"
#include "keeper/lond/keyfile.h"
#include "keeper/lond/lond.h"
#include "keeper/lond/request.h"
#include "keeper/net/tls_worker.h"

/* An enciphered request is sent in pieces of so much, which need a few turns each to be made. */
#define PIECE ((size_t)16 * 1024)

/* Where replies that are dropped go, which takes a fraction of what keeping them does. */
static char dustbin[LOOP_PORTION];
#define DROPPING_SHARE 4

/* --- The end ---------------------------------------------------------------------------------- */

static void free_handshake(struct lond *lond)
{
    keyfile_remove(&lond->key_file);
    if (lond->handshake != NULL)
        explicit_bzero(lond->handshake, sizeof(*lond->handshake));
    free(lond->handshake);
    lond->handshake = NULL;
}

/* While TLS is spoken the socket is not the connection's to close. */
static void close_socket(struct lond *lond)
{
    int fd = lond->watch.fd;
    loop_unwatch(&lond->core->loop, &lond->watch);
    if (lond->tls != NULL) {
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
    scarcity_leave(lond->core, &lond->grower);
    close_socket(lond);
    free_handshake(lond);
    free(lond->candidates);
    cipher_free(lond->cipher);
    explicit_bzero(lond->key, sizeof(lond->key));
    buffer_free(&lond->in);
    buffer_free(&lond->out);
    free(lond);
}

static void lose_saying(struct lond *lond, enum reason reason, const char *detail)
{
    struct transaction *transaction = lond->transaction;
    lond->transaction = NULL;
    lond->state = LOND_DISCONNECTED;
    lond->londs->events->lost(lond, transaction, reason, detail);
    lond_close(lond);
}

static void lose(struct lond *lond, enum reason reason)
{
    lose_saying(lond, reason, NULL);
}

static void on_handshake_timeout(struct deadline *deadline)
{
    lose(CONTAINER_OF(deadline, struct lond, deadline), REASON_TIMED_OUT);
}

static void on_reply_timeout(struct deadline *deadline)
{
    lose(CONTAINER_OF(deadline, struct lond, deadline), REASON_REPLY_TIMEOUT);
}

static void on_idle_too_long(struct deadline *deadline)
{
    lose(CONTAINER_OF(deadline, struct lond, deadline), REASON_NONE);
}

/* --- Sending ---------------------------------------------------------------------------------- */

#define READABLE (EPOLLIN | EPOLLRDHUP)

/* Who waits to grow is told of nothing but the connection's loss. */
static void watch_as_needed(struct lond *lond)
{
    uint32_t events = lond->grower.waiting ? 0 : READABLE;
    loop_change(&lond->core->loop, &lond->watch, lond->writing ? events | EPOLLOUT : events);
}

static void wait_for_room(struct lond *lond, bool wait)
{
    if (lond->writing == wait)
        return;
    lond->writing = wait;
    watch_as_needed(lond);
}

static bool is_sending(const struct lond *lond)
{
    return lond->rest_length > 0 || lond->enciphers;
}

static void stop_sending(struct lond *lond)
{
    lond->rest_length = 0;
    lond->enciphers = false;
    buffer_consume(&lond->out, buffer_length(&lond->out));
}

/* Enciphers some more of the request, for `out` to be sent when it is full. Returns what it took.
 */
static size_t encipher(struct lond *lond, size_t portion)
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

/* How much the kernel took of the rest, or a negative errno. */
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
        return -EPIPE; /* nothing taken, and no reason: the peer is hanging up */
    lond->sent_any = true;
    lond->rest += n;
    lond->rest_length -= (size_t)n;
    return n;
}

/* All has been sent. */
static void sent(struct lond *lond)
{
    stop_sending(lond);
    wait_for_room(lond, false);
    if (lond->state == LOND_SENDING_REQUEST)
        lond->state = LOND_RECEIVING_REPLY;
}

/* Sends a portion, as far as the kernel takes it; the next one queues. 0 or a negative errno. */
static int flush(struct lond *lond)
{
    struct loop *loop = &lond->core->loop;
    size_t portion = loop_portion(loop), done = 0;
    while (done < portion && is_sending(lond)) {
        ssize_t n = lond->rest_length > 0 ? send_rest(lond, portion - done)
                                          : (ssize_t)encipher(lond, portion - done);
        if (n == -EAGAIN) {
            wait_for_room(lond, true);
            break;
        }
        if (n < 0)
            return (int)n;
        done += (size_t)n;
    }
    loop_moved(loop, done);
    if (!is_sending(lond))
        sent(lond);
    else if (!lond->writing)
        loop_queue(loop, &lond->bulk);
    return 0;
}

static int send_bytes(struct lond *lond, const char *bytes, size_t length)
{
    lond->sent_any = false;
    lond->rest = bytes;
    lond->rest_length = length;
    return flush(lond);
}

static int need_cipher(struct lond *lond)
{
    return lond->cipher != NULL ? 0 : cipher_new(&lond->cipher, lond->key);
}

/* The command is to be enciphered, piece by piece, in memory that is taken here. */
static int start_enciphering(struct lond *lond, const struct request *request)
{
    size_t size = cipher_encrypted_size(request->length) + CIPHER_ROOM;
    int r = need_cipher(lond);
    if (r == 0)
        r = buffer_reserve(&lond->out, size < PIECE ? size : PIECE);
    if (r < 0)
        return r == -ENOBUFS ? r : -ENOMEM;
    cipher_encrypt_begin(&lond->to_wire, request->command, request->length);
    lond->enciphers = true;
    return 0;
}

bool lond_has_stirred(const struct lond *lond)
{
    char byte;
    return recv(lond->watch.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 || errno != EAGAIN;
}

int lond_send(struct lond *lond, struct transaction *transaction)
{
    const char *bytes = transaction->request;
    size_t length = transaction->length;
    struct request request = request_parse(bytes, length);
    if (request.encrypt) {
        int r = start_enciphering(lond, &request);
        if (r < 0)
            return r;
        length = request.prefix; /* which lond reads first, in clear text */
    }
    /* lond goes on as whom it was told to be, and the next request is not meant for that one. */
    if (request_leaves_other(&request, lond->identity->remote_id))
        lond->closing = true;
    lond->state = LOND_SENDING_REQUEST;
    int r = send_bytes(lond, bytes, length);
    if (r < 0 && !lond->sent_any) {
        stop_sending(lond);
        lond->state = LOND_IDLE;
        return r;
    }
    lond->transaction = transaction;
    lond->discard = REASON_NONE;
    deadline_start(&lond->londs->replying, &lond->deadline);
    /* A loss after the first byte shows when the connection is read: not inside this call. */
    return 0;
}

/* --- The handshake ---------------------------------------------------------------------------- */

static void go_idle(struct lond *lond)
{
    lond->state = LOND_IDLE;
    deadline_start(&lond->londs->pruning, &lond->deadline);
}

static int send_handshake_line(struct lond *lond)
{
    char line[HANDSHAKE_LINE_MAX + 1];
    size_t length = handshake_output(lond->handshake, line);
    lond->state = lond->handshake->state;
    if (length == 0)
        return 0;
    int r = buffer_append(&lond->out, line, length);
    return r < 0 ? r : send_bytes(lond, lond->out.data + lond->out.start, length);
}

/* What only the handshake needed is given back: there are many idle connections. */
static void finish_handshake(struct lond *lond)
{
    memcpy(lond->key, lond->handshake->key, sizeof(lond->key));
    strlcpy(lond->version, lond->handshake->peer_version, sizeof(lond->version));
    lond->mode = lond->handshake->mode;
    free_handshake(lond);
    buffer_free(&lond->out);
    lond->opened = true;
    go_idle(lond);
    lond->londs->events->opened(lond);
}

static void lose_handshake(struct lond *lond, enum handshake_error error)
{
    static const struct {
        enum reason reason;
        const char *detail;
    } meanings[] = {
        [HANDSHAKE_REFUSED] = {REASON_AUTHENTICATION, "lond does not accept this server"},
        [HANDSHAKE_INSECURE_ONLY] = {REASON_AUTHENTICATION,
                                     "lond speaks insecure only, and loncAllowInsecure is 0"},
        [HANDSHAKE_UNEXPECTED] = {REASON_HANDSHAKE, NULL},
    };
    lose_saying(lond, meanings[error].reason, meanings[error].detail);
}

/* Our turn, and then the time that a state may take begins. */
static void go_on(struct lond *lond)
{
    if (send_handshake_line(lond) < 0) {
        lose(lond, REASON_HANDSHAKE);
        return;
    }
    if (lond->state == LOND_IDLE)
        finish_handshake(lond);
    else
        deadline_start(&lond->londs->handshaking, &lond->deadline);
}

/* The key is here, and TLS is over. */
static void take_key(struct lond *lond)
{
    struct tls_task *work = lond->tls;
    enum handshake_error error =
        handshake_take_key(lond->handshake, work->digits, sizeof(work->digits));
    if (error != HANDSHAKE_OK) {
        lose_saying(lond, REASON_TLS, "the key's line has something else than hex digits");
        return;
    }
    lond->tls_version = tls_version(work->tls);
    lond->tls = NULL;
    tls_task_free(work);
    go_on(lond);
}

static void on_tls_advanced(struct tls_task *work)
{
    struct lond *lond = work->owner;
    if (work->progress == TLS_FAILED)
        lose_saying(lond, REASON_TLS, tls_failure(work->tls));
    else if (loop_watch(&lond->core->loop, &lond->watch, work->fd,
                        work->progress == TLS_WANTS_WRITE ? EPOLLOUT : READABLE) < 0)
        lose(lond, REASON_NO_MEMORY);
    else if (work->progress == TLS_DONE)
        take_key(lond);
}

/* The thread has the descriptor to itself. The step has one time-out, however often it goes on. */
static void advance_tls(struct lond *lond)
{
    loop_unwatch(&lond->core->loop, &lond->watch);
    if (tls_task_advance(lond->tls) < 0)
        lose(lond, REASON_NO_MEMORY);
}

static void start_tls(struct lond *lond)
{
    const struct credentials *credentials = lond->londs->credentials;
    struct tls_context *context = credentials->tls;
    if (context == NULL) {
        lose_saying(lond, REASON_TLS,
                    credentials->wanted ? credentials->problem : "ssl was turned off meanwhile");
        return;
    }
    lond->tls =
        tls_task_new(lond->londs->tls_worker, context, lond->watch.fd, lond->identity->remote_name);
    if (lond->tls == NULL) {
        lose(lond, REASON_NO_MEMORY);
        return;
    }
    lond->tls->advanced = on_tls_advanced;
    lond->tls->owner = lond;
    deadline_start(&lond->londs->handshaking, &lond->deadline);
    advance_tls(lond);
}

/* One line of the dialogue has come. */
static void advance(struct lond *lond, size_t length)
{
    enum handshake_error error =
        handshake_input(lond->handshake, lond->in.data + lond->in.start, length - 1);
    if (error != HANDSHAKE_OK) {
        lose_handshake(lond, error);
        return;
    }
    buffer_consume(&lond->in, length);
    lond->state = lond->handshake->state;
    /* It answers what is asked and nothing more; whatever else this is, it is no lond. */
    if (buffer_length(&lond->in) > 0)
        lose(lond, REASON_HANDSHAKE);
    else if (lond->state == LOND_EXCHANGING_KEY)
        start_tls(lond);
    else
        go_on(lond);
}

static void read_handshake(struct lond *lond)
{
    bool more;
    ssize_t n = buffer_receive(&lond->in, lond->watch.fd, LOOP_SHORT, &more);
    if (n == -EAGAIN)
        return;
    size_t length = n > 0 ? buffer_line(&lond->in) : 0;
    if (n <= 0 || (length == 0 && buffer_length(&lond->in) > HANDSHAKE_LINE_MAX))
        lose(lond, n == -ENOBUFS || n == -ENOMEM ? REASON_NO_MEMORY : REASON_HANDSHAKE);
    else if (length > 0)
        advance(lond, length);
}

/* More is sent of what is being sent. False where the connection is lost, and freed. */
static bool flush_on(struct lond *lond)
{
    if (flush(lond) < 0) {
        lose(lond, lond->opened ? REASON_LOST : REASON_HANDSHAKE);
        return false;
    }
    if (lond->transaction != NULL)
        deadline_start(&lond->londs->replying, &lond->deadline);
    return true;
}

/* --- Replies ---------------------------------------------------------------------------------- */

/*
 * The reply's last byte has been read. Bytes behind it would be taken for the next request's reply,
 * and a reply to half a request says that the peer is done with us: after either, the connection
 * ends.
 */
static void end_exchange(struct lond *lond)
{
    if (lond->state == LOND_SENDING_REQUEST)
        lond->closing = true;
    lond->readable = false;
    stop_sending(lond);
    scarcity_leave(lond->core, &lond->grower);
}

/* The reply is complete, or its last byte has been dropped. `reply` is NULL with a reason. */
static void answer(struct lond *lond, enum reason reason, struct buffer *reply, size_t length)
{
    struct transaction *transaction = lond->transaction;
    lond->transaction = NULL;
    end_exchange(lond);
    loop_unqueue(&lond->core->loop, &lond->bulk);
    deadline_stop(&lond->deadline);
    go_idle(lond);
    lond->londs->events->answered(lond, transaction, reason, reply, length);
}

static void answer_nothing(struct lond *lond, enum reason reason)
{
    buffer_consume(&lond->in, buffer_length(&lond->in));
    answer(lond, reason, NULL, 0);
}

/* What is left of a reply when it has been answered with is wiped, and becomes the spare. */
static void recycle(struct londs *londs, struct buffer *reply)
{
    buffer_consume(reply, buffer_length(reply));
    if (londs->spare.data == NULL)
        londs->spare = *reply;
    else
        buffer_free(reply);
    core_check_memory(londs->core);
}

/*
 * The buffer leaves with the reply, because the connection may have been given the next request, or
 * be freed, by the time the reply is passed on.
 */
static void hand_over_reply(struct lond *lond, size_t length)
{
    struct londs *londs = lond->londs;
    struct buffer reply = lond->in;
    lond->in = londs->spare;
    londs->spare = (struct buffer){.data = NULL};
    answer(lond, REASON_NONE, &reply, length);
    recycle(londs, &reply);
}

/* Deciphers some more. Whether there is more left. */
static bool decipher_some(struct lond *lond, enum reason *reason)
{
    struct deciphering *work = &lond->from_wire;
    struct loop *loop = &lond->core->loop;
    size_t before = work->done;
    int r = cipher_decrypt(lond->cipher, work, loop_portion(loop) / CIPHER_COST);
    size_t until = work->done < work->n ? work->done : work->n;
    loop_moved(loop, (work->done - before) * CIPHER_COST);
    /* The clear text is exactly one line, or it is no reply. */
    if (r < 0 || (until > before && memchr(work->line + before, '\n', until - before) != NULL))
        *reason = REASON_BAD_REPLY;
    return *reason == REASON_NONE && r == 1;
}

/* The clear text takes the place of its line. */
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
        answer_nothing(lond, reason);
        return;
    }
    work->line[work->n] = '\n';
    hand_over_reply(lond, work->n + 1);
}

static void take_reply(struct lond *lond, size_t length)
{
    char *line = lond->in.data + lond->in.start;
    if (length <= 4 || memcmp(line, "enc:", 4) != 0) {
        hand_over_reply(lond, length);
    } else if (need_cipher(lond) < 0) {
        answer_nothing(lond, REASON_NO_MEMORY);
    } else if (cipher_decrypt_begin(&lond->from_wire, line, length - 1) < 0) {
        answer_nothing(lond, REASON_BAD_REPLY);
    } else {
        end_exchange(lond);
        lond->deciphers = true;
        decipher(lond);
    }
}

static void discard_reply(struct lond *lond, enum reason reason)
{
    scarcity_leave(lond->core, &lond->grower);
    lond->discard = reason;
    buffer_consume(&lond->in, buffer_length(&lond->in));
}

/*
 * The rest of this reply is dropped, so that its connection lives, but its client need not wait for
 * that: the reply may have no end. From here on it has one reply_timeout for all that is left.
 */
static void overflow(struct lond *lond, enum reason reason)
{
    discard_reply(lond, reason);
    deadline_start(&lond->londs->replying, &lond->deadline);
    /* While half of the request is unsent, its bytes are needed. */
    if (lond->state != LOND_RECEIVING_REPLY)
        return;
    struct transaction *transaction = lond->transaction;
    lond->transaction = NULL;
    lond->londs->events->overflowed(transaction, reason);
}

/*
 * A reply's line has come, and perhaps more behind it: in what was read, or in the socket where the
 * room for reading was full. A connection with a surplus is not used again.
 */
static void check_surplus(struct lond *lond, bool in_hand, bool was_full)
{
    char byte;
    if (in_hand || (was_full && recv(lond->watch.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0))
        lond->closing = true;
}

/* Drops what has come. True while it goes on. */
static bool read_dropping(struct lond *lond)
{
    ssize_t n = recv(lond->watch.fd, dustbin, sizeof(dustbin), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        lond->readable = errno == EINTR;
        return lond->readable;
    }
    if (n <= 0) {
        lose(lond, REASON_LOST);
        return false;
    }
    loop_moved(&lond->core->loop, (size_t)n / DROPPING_SHARE);
    if (lond->transaction != NULL)
        deadline_start(&lond->londs->replying, &lond->deadline);
    const char *lf = memchr(dustbin, '\n', (size_t)n);
    explicit_bzero(dustbin, (size_t)n); /* nor does a reply stay there */
    if (lf == NULL)
        return true;
    check_surplus(lond, lf != dustbin + n - 1, (size_t)n == sizeof(dustbin));
    answer(lond, lond->discard, NULL, 0);
    return false;
}

/*
 * Reads up to `most` bytes of a reply. True while there may be more to read at once; else there is
 * not, or the reply is complete, or the connection gone and freed.
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
        lose(lond, REASON_LOST);
        return false;
    }
    loop_moved(&core->loop, (size_t)n);
    size_t length = buffer_line(&lond->in);
    if (length > 0)
        check_surplus(lond, length < buffer_length(&lond->in), more);
    if (length > 0 && length <= core->settings.line_limit) {
        take_reply(lond, length);
        return false;
    }
    if (length > 0) {
        discard_reply(lond, REASON_TOO_LARGE);
        answer(lond, REASON_TOO_LARGE, NULL, 0);
        return false;
    }
    if (buffer_length(&lond->in) >= core->settings.line_limit)
        overflow(lond, REASON_TOO_LARGE);
    else
        deadline_start(&lond->londs->replying, &lond->deadline);
    lond->readable = more;
    return more;
}

/* Whether it may be read on. Where it may not, its lond has all the time until it may. */
static bool may_read(struct lond *lond)
{
    if (lond->discard != REASON_NONE || scarcity_may_fill(lond->core, &lond->grower, &lond->in))
        return true;
    watch_as_needed(lond);
    deadline_stop(&lond->deadline);
    return false;
}

static void on_may_grow(struct grower *grower)
{
    struct lond *lond = CONTAINER_OF(grower, struct lond, grower);
    struct core *core = lond->core;
    watch_as_needed(lond);
    deadline_start(&lond->londs->replying, &lond->deadline);
    loop_queue(&core->loop, &lond->bulk);
}

/* Reads a portion of a reply; the next one queues. */
static void read_portion(struct lond *lond)
{
    struct loop *loop = &lond->core->loop;
    uint64_t end = loop->moved + loop_portion(loop);
    while (loop->moved < end)
        if (!may_read(lond) || !read_reply(lond, (size_t)(end - loop->moved)))
            return;
    loop_queue(loop, &lond->bulk);
}

/* The next portion of a long reply, or of a long request. */
static void next_portion(struct bulk *bulk)
{
    struct lond *lond = CONTAINER_OF(bulk, struct lond, bulk);
    if (lond->deciphers) {
        decipher(lond);
        return;
    }
    if (is_sending(lond) && !lond->writing && !flush_on(lond))
        return;
    if (lond->readable)
        read_portion(lond);
}

/* An idle peer has nothing to say: its close, or anything else, ends the connection. */
static void readable(struct lond *lond)
{
    if (!lond->opened)
        read_handshake(lond);
    else if (lond->state == LOND_IDLE)
        lose(lond, REASON_LOST);
    else if (lond->deciphers) /* whatever this is, it comes behind the reply */
        lond->closing = true;
    else {
        bool is_long = buffer_length(&lond->in) >= LOOP_SHORT || lond->discard != REASON_NONE;
        lond->readable = true;
        if (is_long)
            loop_queue(&lond->core->loop, &lond->bulk);
        else
            read_portion(lond);
    }
}

/* --- Opening ---------------------------------------------------------------------------------- */

static void try_next(struct lond *lond, enum reason reason);

static void connected(struct lond *lond)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(lond->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error != 0) {
        try_next(lond, reason_from_errno(error));
        return;
    }
    free(lond->candidates);
    lond->candidates = NULL;
    lond->connecting = false;
    loop_change(&lond->core->loop, &lond->watch, READABLE);
    deadline_start(&lond->londs->handshaking, &lond->deadline);
    if (send_handshake_line(lond) < 0)
        lose(lond, REASON_HANDSHAKE);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct lond *lond = CONTAINER_OF(watch, struct lond, watch);
    if (lond->connecting) {
        connected(lond);
        return;
    }
    if (lond->tls != NULL) {
        advance_tls(lond);
        return;
    }
    if (events & EPOLLOUT) {
        wait_for_room(lond, false);
        if (!flush_on(lond))
            return;
    }
    if (lond->grower.waiting && (events & (EPOLLHUP | EPOLLERR))) {
        lose(lond, REASON_LOST);
        return;
    }
    /* A peer that says no more may finish its reply, and gets no other request. */
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        lond->closing = true;
    if (events & ~(uint32_t)EPOLLOUT)
        readable(lond);
}

/* A peer whose machine is gone must be noticed though nothing is sent (keeper/README.md rule 7). */
static int set_options(int fd, const struct settings *settings)
{
    const struct {
        int level, name;
        uint64_t value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, settings->keepalive_idle / 1000000},
        {IPPROTO_TCP, TCP_KEEPINTVL, settings->keepalive_interval / 1000000},
        {IPPROTO_TCP, TCP_KEEPCNT, settings->keepalive_count},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, settings->unacknowledged_timeout / 1000},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        int value = (int)options[i].value;
        if (setsockopt(fd, options[i].level, options[i].name, &value, sizeof(value)) < 0)
            return -errno;
    }
    return 0;
}

/* The addresses of an attempt. */
struct candidates {
    struct addresses addresses;
    unsigned next; /* to be tried */
    uint16_t port;
};

/* A socket on its way to lond->address, watched. 0 or a negative errno. */
static int start_connecting(struct lond *lond, uint16_t port)
{
    socklen_t size = address_with_port(&lond->address, port);
    int fd = socket(lond->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = set_options(fd, &lond->core->settings);
    if (r == 0 && connect(fd, &lond->address.any, size) < 0 && errno != EINPROGRESS)
        r = -errno;
    if (r == 0)
        r = loop_watch(&lond->core->loop, &lond->watch, fd, EPOLLOUT);
    if (r < 0) {
        close(fd);
        return r;
    }
    core_descriptor_opened(lond->core);
    lond->connecting = true;
    return 0;
}

/* Chooses the mode, with what it needs. 0 or a negative errno: -ENOKEY where there is none that is
 * allowed, -EKEYREJECTED where a key file cannot be written. */
static int begin_handshake(struct lond *lond, const struct handshake_identity *identity)
{
    const struct credentials *credentials = lond->londs->credentials;
    enum handshake_mode mode = credentials_mode(credentials, identity);
    uint8_t key[CIPHER_KEY_SIZE] = {0};
    if (mode == HANDSHAKE_INSECURE && !identity->allow_insecure)
        return -ENOKEY;
    if (mode == HANDSHAKE_LOCAL) {
        int r = keyfile_create(credentials->directory, &lond->key_file, key);
        if (r < 0) {
            log_write(LOG_WARNING, &(struct log_about){.host = identity->remote_id},
                      "cannot write a key file in %s: %s", credentials->directory, strerror(-r));
            return -EKEYREJECTED;
        }
    }
    handshake_begin(lond->handshake, identity, mode, lond->key_file);
    memcpy(lond->handshake->key, key, sizeof(key));
    explicit_bzero(key, sizeof(key));
    lond->state = lond->handshake->state;
    return 0;
}

/* On its way to the first address left where that does not fail at once. 0 or a negative errno. */
static int connect_next(struct lond *lond)
{
    struct candidates *candidates = lond->candidates;
    int r = -EADDRNOTAVAIL;
    while (r < 0 && candidates->next < candidates->addresses.count) {
        lond->address = candidates->addresses.at[candidates->next++];
        r = start_connecting(lond, candidates->port);
    }
    if (r == 0)
        deadline_start(&lond->londs->connecting, &lond->deadline);
    return r;
}

/*
 * This address failed for `reason`: the next, or the attempt has failed. One that this machine has
 * no way to, as where it has no IPv6, says less than the one before it.
 */
static void try_next(struct lond *lond, enum reason reason)
{
    close_socket(lond);
    if (lond->candidates->next < lond->candidates->addresses.count) {
        int r = connect_next(lond);
        if (r == 0)
            return;
        if (reason_from_errno(-r) != REASON_UNREACHABLE)
            reason = reason_from_errno(-r);
    }
    lose(lond, reason);
}

static void on_connect_timeout(struct deadline *deadline)
{
    try_next(CONTAINER_OF(deadline, struct lond, deadline), REASON_TIMED_OUT);
}

struct lond *lond_open(struct londs *londs, const struct addresses *addresses, uint16_t port,
                       const struct handshake_identity *identity)
{
    struct lond *lond = calloc(1, sizeof(*lond));
    struct handshake *handshake = malloc(sizeof(*handshake));
    struct candidates *candidates = malloc(sizeof(*candidates));
    if (lond == NULL || handshake == NULL || candidates == NULL) {
        free(lond);
        free(handshake);
        free(candidates);
        errno = ENOMEM;
        return NULL;
    }
    lond->londs = londs;
    lond->core = londs->core;
    lond->watch = (struct watch){.fd = -1, .urgent = true, .ready = on_ready};
    lond->bulk.go_on = next_portion;
    lond->grower.may_grow = on_may_grow;
    lond->handshake = handshake;
    lond->identity = identity;
    lond->candidates = candidates;
    *candidates = (struct candidates){.addresses = *addresses, .port = port};
    int r = begin_handshake(lond, identity);
    if (r == 0)
        r = connect_next(lond);
    if (r < 0) {
        lond_close(lond);
        errno = -r;
        return NULL;
    }
    return lond;
}

void lond_close_after_reply(struct lond *lond)
{
    lond->closing = true;
}

/* --- What connections share ------------------------------------------------------------------- */

int londs_open(struct londs *londs, struct core *core, const struct lond_events *events)
{
    const struct settings *settings = &core->settings;
    struct loop *loop = &core->loop;
    *londs = (struct londs){.core = core, .events = events};
    scarcity_setup(core);
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
