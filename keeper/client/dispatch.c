/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Dispatching a line. The host stays the client's from its first line on; whom a single request is
 * meant for may differ from line to line.
 */
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/host_name.h"
#include "keeper/client/dispatch.h"
#include "keeper/host/hosts.h"
#include "keeper/lond/request.h"

/* A socket's path of full length, and a NUL. */
#define SOCKET_PATH_SIZE (sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1)

#define DEFER_PREFIX "lonc_defer:"

/* --- Answering -------------------------------------------------------------------------------- */

static void pass_answer(struct dispatch *dispatch, const char *text)
{
    dispatch->answered(dispatch, text, strlen(text), NULL);
}

static void on_stored(void *argument, bool stored)
{
    struct dispatch *dispatch = argument;
    dispatch->storing = false;
    if (dispatch->abandoned)
        dispatch->ended(dispatch);
    else
        pass_answer(dispatch, stored ? "con_delayed\n" : "con_failed\n");
}

static void store_request(struct dispatch *dispatch)
{
    dispatch->storing = true;
    deferred_enqueue(dispatch->dispatcher->deferred, dispatch->target->id,
                     dispatch->transaction.request, dispatch->transaction.length, on_stored,
                     dispatch);
}

static void on_transaction_done(struct transaction *transaction, enum reason reason,
                                struct buffer *reply, size_t length)
{
    struct dispatch *dispatch = CONTAINER_OF(transaction, struct dispatch, transaction);
    if (reason != REASON_NONE && dispatch->deferrable)
        store_request(dispatch);
    else if (dispatch->abandoned)
        dispatch->ended(dispatch);
    else if (reason == REASON_NONE)
        dispatch->answered(dispatch, reply->data + reply->start, length, reply);
    else
        pass_answer(dispatch, DISPATCH_CON_LOST);
}

static void count_own_answer(struct dispatch *dispatch, enum reason reason)
{
    struct core *core = dispatch->dispatcher->core;
    core->answers[reason]++;
    if (reason != REASON_NONE)
        stats_con_lost(&core->stats, core->loop.now, 0); /* no time was spent on it */
}

/* Answers a line without asking anybody. */
static void answer_ourselves(struct dispatch *dispatch, enum reason reason, const char *text)
{
    count_own_answer(dispatch, reason);
    pass_answer(dispatch, text);
}

static void on_created(struct create_waiter *waiter, const char *text)
{
    answer_ourselves(CONTAINER_OF(waiter, struct dispatch, creation), REASON_NONE, text);
}

/* --- Which host is meant ---------------------------------------------------------------------- */

/* The path that the client connected to; "" if there is none. The kernel is asked, not the shim. */
static void read_socket_path(const struct dispatch *dispatch, char path[SOCKET_PATH_SIZE])
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    path[0] = '\0';
    if (getsockname(dispatch->fd, (struct sockaddr *)&address, &size) < 0 ||
        address.sun_family != AF_UNIX || size <= offsetof(struct sockaddr_un, sun_path))
        return;
    size_t length = size - offsetof(struct sockaddr_un, sun_path);
    memcpy(path, address.sun_path, length);
    path[length] = '\0'; /* a path of full length has none */
}

/*
 * Finds and holds the host of the client's socket. As long as there is none, each line looks again,
 * since a reload may bring it. Sets *creates when the socket is lonSockCreate, which has no host.
 */
static enum reason find_host(struct dispatch *dispatch, bool *creates)
{
    struct core *core = dispatch->dispatcher->core;
    char path[SOCKET_PATH_SIZE];
    *creates = false;
    if (dispatch->host != NULL)
        return REASON_NONE;
    if (!core->config->valid)
        return REASON_NO_TABLE;
    read_socket_path(dispatch, path);
    const char *name = host_name_from_socket(path, core->config->loncapa.sock_dir);
    if (name != NULL && (dispatch->host = hosts_hold(dispatch->dispatcher->hosts, name)) != NULL)
        return REASON_NONE;
    *creates = create_is_meant(core->config, path);
    if (*creates)
        return REASON_NONE;
    if (name == NULL)
        return REASON_WRONG_DIRECTORY;
    if (dispatch->deferrable)
        deferred_refuse(dispatch->dispatcher->deferred, name, dispatch->transaction.request,
                        dispatch->transaction.length);
    return REASON_UNKNOWN_HOST;
}

/*
 * Several lonHostIDs may share a DNS name and so a socket; a request says by `sethost:` which of
 * them it means. Each id has connections of its own, on which no request of another id travels.
 */
static void choose_target(struct dispatch *dispatch)
{
    struct hosts *hosts = dispatch->dispatcher->hosts;
    struct request request =
        request_parse(dispatch->transaction.request, dispatch->transaction.length);
    struct host *target = NULL;
    char id[HOST_NAME_MAX_LENGTH + 1];
    if (request_is_for_other(&request, dispatch->host->id) && request.id_length < sizeof(id)) {
        memcpy(id, request.id, request.id_length);
        id[request.id_length] = '\0';
        target = hosts_hold_alias(hosts, dispatch->host, id);
    }
    if (target == NULL)
        target = host_hold(dispatch->host);
    if (dispatch->target != NULL)
        hosts_release(dispatch->target);
    dispatch->target = target;
}

/* --- Lines ------------------------------------------------------------------------------------ */

static bool is_line(const struct transaction *transaction, const char *text)
{
    size_t length = strlen(text);
    return transaction->length == length + 1 && memcmp(transaction->request, text, length) == 0;
}

/* Behind the prefix `lonc_defer:` stands the request, which may be stored. */
static void strip_defer_prefix(struct dispatch *dispatch)
{
    struct transaction *transaction = &dispatch->transaction;
    size_t length = strlen(DEFER_PREFIX);
    dispatch->deferrable =
        transaction->length > length && memcmp(transaction->request, DEFER_PREFIX, length) == 0;
    if (dispatch->deferrable) {
        transaction->request += length;
        transaction->length -= length;
    }
}

/* A deferrable request does not wait for a host in trouble: it is stored at once. */
static void submit_to_host(struct dispatch *dispatch)
{
    choose_target(dispatch);
    if (dispatch->deferrable && dispatch->target->health.state != HEALTH_HEALTHY)
        store_request(dispatch);
    else
        host_submit(dispatch->target, &dispatch->transaction);
}

/* Whatever the line looks like, through lonSockCreate it is no request for a host. */
static void ask_for_socket(struct dispatch *dispatch, const char *line, size_t length)
{
    dispatch->deferrable = false;
    const char *text = create_ask(dispatch->dispatcher->create, line, length, &dispatch->creation);
    if (text != NULL)
        on_created(&dispatch->creation, text);
}

void dispatch_begin(struct dispatch *dispatch, const struct dispatcher *dispatcher, int fd,
                    void (*answered)(struct dispatch *dispatch, const char *bytes, size_t length,
                                     struct buffer *reply),
                    void (*ended)(struct dispatch *dispatch))
{
    *dispatch = (struct dispatch){
        .dispatcher = dispatcher,
        .fd = fd,
        .transaction.done = on_transaction_done,
        .creation.done = on_created,
        .answered = answered,
        .ended = ended,
    };
}

void dispatch_line(struct dispatch *dispatch, const char *line, size_t length)
{
    struct transaction *transaction = &dispatch->transaction;
    bool creates;
    dispatch->dispatcher->core->requests++;
    transaction->request = line;
    transaction->length = length;
    strip_defer_prefix(dispatch);

    enum reason reason = find_host(dispatch, &creates);
    if (creates) {
        ask_for_socket(dispatch, line, length);
    } else if (reason != REASON_NONE) {
        answer_ourselves(dispatch, reason,
                         dispatch->deferrable ? "con_failed\n" : DISPATCH_CON_LOST);
    } else if (is_line(transaction, "close_connection_exit")) {
        host_close_connections(dispatch->host);
        answer_ourselves(dispatch, REASON_CLOSED, DISPATCH_CON_LOST);
    } else if (is_line(transaction, "reset_retries")) {
        host_retry(dispatch->host);
        answer_ourselves(dispatch, REASON_NONE, "ok\n");
    } else {
        submit_to_host(dispatch);
    }
}

bool dispatch_is_over_limit(const struct dispatch *dispatch, size_t length)
{
    const struct config *config = dispatch->dispatcher->core->config;
    char path[SOCKET_PATH_SIZE];
    if (length <= CREATE_LINE_MAX || dispatch->host != NULL || !config->valid)
        return false;
    read_socket_path(dispatch, path);
    return create_is_meant(config, path);
}

const char *dispatch_refuse_long(struct dispatch *dispatch)
{
    return create_refuse_long(dispatch->dispatcher->create);
}

void dispatch_count_refused(struct dispatch *dispatch, enum reason reason)
{
    dispatch->dispatcher->core->requests++;
    count_own_answer(dispatch, reason);
}

/* --- The end ---------------------------------------------------------------------------------- */

bool dispatch_is_pending(const struct dispatch *dispatch)
{
    return dispatch->storing || dispatch->transaction.state != TRANSACTION_NONE ||
           dispatch->creation.wanted != NULL;
}

void dispatch_abandon(struct dispatch *dispatch)
{
    bool withdrawn = host_withdraw(&dispatch->transaction);
    dispatch->abandoned = true;
    create_withdraw(&dispatch->creation);
    /* A transaction is worth storing though its client has left: that is what it was sent for. */
    if (withdrawn && dispatch->deferrable)
        store_request(dispatch);
    else if (!dispatch_is_pending(dispatch))
        dispatch->ended(dispatch);
}

void dispatch_release(struct dispatch *dispatch)
{
    if (dispatch->target != NULL)
        hosts_release(dispatch->target);
    if (dispatch->host != NULL)
        hosts_release(dispatch->host);
}
