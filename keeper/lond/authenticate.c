/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The handshake over a socket: cuts lond's answers into lines, hands them to handshake.c and sends
 * what that says next. For ssl, the socket goes to the thread of tls_worker.c until the session's
 * key is here. handshake_timeout bounds each step; TLS is one.
 */
#include <bsd/string.h>
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "keeper/lond/authenticate.h"
#include "keeper/lond/credentials.h"
#include "keeper/lond/keyfile.h"
#include "keeper/lond/send.h"
#include "keeper/net/tls_worker.h"

/* --- Before the connection is made ------------------------------------------------------------ */

static int create_key_file(struct lond *lond, uint8_t key[CIPHER_KEY_SIZE])
{
    const char *directory = lond->londs->credentials->directory;
    int r = keyfile_create(directory, &lond->key_file, key);
    if (r < 0)
        log_write(LOG_WARNING, &(struct log_about){.host = lond->identity->remote_id},
                  "cannot write a key file in %s: %s", directory, strerror(-r));
    return r;
}

enum reason authenticate_prepare(struct lond *lond, const char **detail)
{
    const struct handshake_identity *identity = lond->identity;
    enum handshake_mode mode = credentials_mode(lond->londs->credentials, identity);
    uint8_t key[CIPHER_KEY_SIZE] = {0};
    if (mode == HANDSHAKE_INSECURE && !identity->allow_insecure) {
        *detail = "there is nothing to show, and loncAllowInsecure is 0";
        return REASON_AUTHENTICATION;
    }
    if (mode == HANDSHAKE_LOCAL && create_key_file(lond, key) < 0) {
        *detail = "no key file can be written in lonCertificateDirectory";
        return REASON_AUTHENTICATION;
    }
    handshake_begin(lond->handshake, identity, mode, lond->key_file);
    memcpy(lond->handshake->key, key, sizeof(key));
    explicit_bzero(key, sizeof(key));
    lond->state = lond->handshake->state;
    return REASON_NONE;
}

/* --- The dialogue ----------------------------------------------------------------------------- */

/* Sends our next line, if it is our turn. */
static int say_next(struct lond *lond)
{
    char line[HANDSHAKE_LINE_MAX + 1];
    size_t length = handshake_output(lond->handshake, line);
    lond->state = lond->handshake->state;
    return length > 0 ? send_line(lond, line, length) : 0;
}

/* There may be thousands of idle connections, so what only the handshake needed is given back. */
static void open_for_requests(struct lond *lond)
{
    memcpy(lond->key, lond->handshake->key, sizeof(lond->key));
    strlcpy(lond->version, lond->handshake->peer_version, sizeof(lond->version));
    lond->mode = lond->handshake->mode;
    lond_free_handshake(lond);
    buffer_free(&lond->out);
    lond_become_idle(lond);
    lond->londs->events->opened(lond);
}

/* Lond's last line was right. Sends the next one; then handshake_timeout starts for the answer. */
static void go_on(struct lond *lond)
{
    if (say_next(lond) < 0) {
        lond_lose(lond, REASON_HANDSHAKE, NULL);
        return;
    }
    if (lond->state == LOND_IDLE)
        open_for_requests(lond);
    else
        deadline_start(&lond->londs->handshaking, &lond->deadline);
}

void authenticate_start(struct lond *lond)
{
    deadline_start(&lond->londs->handshaking, &lond->deadline);
    if (say_next(lond) < 0)
        lond_lose(lond, REASON_HANDSHAKE, NULL);
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* The session's key is here, and TLS is over: the rest of the dialogue is in clear text. */
static void accept_key(struct lond *lond)
{
    struct tls_task *task = lond->tls;
    enum handshake_error error =
        handshake_take_key(lond->handshake, task->digits, sizeof(task->digits));
    if (error != HANDSHAKE_OK) {
        lond_lose(lond, REASON_TLS, "the key's line has something else than hex digits");
        return;
    }
    lond->tls_version = tls_version(task->tls);
    lond->tls = NULL;
    tls_task_free(task);
    go_on(lond);
}

static void on_tls_advanced(struct tls_task *task)
{
    struct lond *lond = task->owner;
    if (task->progress == TLS_FAILED)
        lond_lose(lond, REASON_TLS, tls_failure(task->tls));
    else if (loop_watch(&lond->core->loop, &lond->watch, task->fd,
                        task->progress == TLS_WANTS_WRITE ? EPOLLOUT : LOND_READABLE) < 0)
        lond_lose(lond, REASON_NO_MEMORY, NULL);
    else if (task->progress == TLS_DONE)
        accept_key(lond);
}

/* The thread gets the descriptor to itself. The deadline is not started anew, since a peer that
 * sends a byte now and then would never time out. */
void authenticate_advance_tls(struct lond *lond)
{
    loop_unwatch(&lond->core->loop, &lond->watch);
    if (tls_task_advance(lond->tls) < 0)
        lond_lose(lond, REASON_NO_MEMORY, NULL);
}

static void start_tls(struct lond *lond)
{
    const struct credentials *credentials = lond->londs->credentials;
    struct tls_context *context = credentials->tls;
    if (context == NULL) {
        lond_lose(lond, REASON_TLS,
                  credentials->wanted ? credentials->problem : "ssl was turned off meanwhile");
        return;
    }
    lond->tls =
        tls_task_new(lond->londs->tls_worker, context, lond->watch.fd, lond->identity->remote_name);
    if (lond->tls == NULL) {
        lond_lose(lond, REASON_NO_MEMORY, NULL);
        return;
    }
    lond->tls->advanced = on_tls_advanced;
    lond->tls->owner = lond;
    deadline_start(&lond->londs->handshaking, &lond->deadline);
    authenticate_advance_tls(lond);
}

/* --- What lond says --------------------------------------------------------------------------- */

static void fail_handshake(struct lond *lond, enum handshake_error error)
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
    lond_lose(lond, meanings[error].reason, meanings[error].detail);
}

static void hear_line(struct lond *lond, size_t length)
{
    enum handshake_error error =
        handshake_input(lond->handshake, lond->in.data + lond->in.start, length - 1);
    if (error != HANDSHAKE_OK) {
        fail_handshake(lond, error);
        return;
    }
    buffer_consume(&lond->in, length);
    lond->state = lond->handshake->state;
    /* lond answers what it is asked and says nothing more; a peer that does is no lond. */
    if (buffer_length(&lond->in) > 0)
        lond_lose(lond, REASON_HANDSHAKE, NULL);
    else if (lond->state == LOND_EXCHANGING_KEY)
        start_tls(lond);
    else
        go_on(lond);
}

void authenticate_read(struct lond *lond)
{
    bool more;
    ssize_t n = buffer_receive(&lond->in, lond->watch.fd, LOOP_SHORT, &more);
    if (n == -EAGAIN)
        return;
    size_t length = n > 0 ? buffer_line(&lond->in) : 0;
    if (n <= 0 || (length == 0 && buffer_length(&lond->in) > HANDSHAKE_LINE_MAX))
        lond_lose(lond, n == -ENOBUFS || n == -ENOMEM ? REASON_NO_MEMORY : REASON_HANDSHAKE, NULL);
    else if (length > 0)
        hear_line(lond, length);
}
