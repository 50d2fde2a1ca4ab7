/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The TLS inside ssl mode (lonc-protocol(7) section 2): it lasts for TLS's own handshake and one
 * line, the key; then the connection continues in clear text. lonc must show a certificate of the
 * CA, as to a real lond. Old versions and weak keys are accepted here, so whatever fails was lonc's
 * decision.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/lond/lond.h"

#define KEY_BYTES 16

static SSL_CTX *context;
static char last_failure[256], last_client[256];

/* --- Settings --- */

static const struct {
    const char *name;
    int version;
    enum count count;
} versions[] = {
    {"1.0", TLS1_VERSION, COUNT_TLS_1_0},
    {"1.1", TLS1_1_VERSION, COUNT_TLS_1_1},
    {"1.2", TLS1_2_VERSION, COUNT_TLS_1_2},
    {"1.3", TLS1_3_VERSION, COUNT_TLS_1_3},
};
#define VERSION_COUNT (sizeof(versions) / sizeof(versions[0]))

/* -1 if there is no such version. */
static int parse_version(const char *text, size_t length)
{
    for (size_t i = 0; i < VERSION_COUNT; i++)
        if (strlen(versions[i].name) == length && memcmp(versions[i].name, text, length) == 0)
            return versions[i].version;
    return -1;
}

bool tls_parse_versions(const char *text, int *least, int *most)
{
    size_t length = strcspn(text, "-");
    const char *end = text[length] == '-' ? text + length + 1 : text;
    int low = parse_version(text, length), high = parse_version(end, strlen(end));

    if (low < 0 || high < low)
        return false;
    *least = low;
    *most = high;
    return true;
}

/* The fault `alert`. */
static int on_client_hello(SSL *tls, int *alert, void *argument)
{
    struct connection *connection = SSL_get_app_data(tls);

    (void)argument;
    if (connection->tls_fault != MANNER_ALERT)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

/* Without a certificate TLS is anonymous, which version 1.3 does not support. */
static bool set_certificate(SSL_CTX *fresh)
{
    if (lond.certificate[0] == '\0')
        return SSL_CTX_set_cipher_list(fresh, "aNULL:@SECLEVEL=0") &&
               SSL_CTX_set_max_proto_version(fresh, TLS1_2_VERSION);
    return SSL_CTX_set_cipher_list(fresh, "DEFAULT:@SECLEVEL=0") &&
           SSL_CTX_set_max_proto_version(fresh, lond.tls_most) &&
           SSL_CTX_use_certificate_chain_file(fresh, lond.certificate) == 1 &&
           SSL_CTX_use_PrivateKey_file(fresh, lond.certificate, SSL_FILETYPE_PEM) == 1;
}

static bool set_authority(SSL_CTX *fresh)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(lond.authority);

    SSL_CTX_set_client_CA_list(fresh, names);
    SSL_CTX_set_verify(fresh, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return names != NULL && SSL_CTX_load_verify_file(fresh, lond.authority) == 1;
}

/* The reason of what has just failed. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text != NULL ? text : "no reason";
}

bool tls_prepare(const char **error)
{
    static char text[256 + sizeof(lond.certificate) + sizeof(lond.authority)];
    SSL_CTX *fresh;

    if (!lond.offers[MODE_SSL])
        return true;
    ERR_clear_error();
    fresh = SSL_CTX_new(TLS_server_method());
    if (fresh == NULL || !SSL_CTX_set_min_proto_version(fresh, lond.tls_least) ||
        !set_certificate(fresh) || !set_authority(fresh)) {
        snprintf(text, sizeof(text), "%s (--certificate %s, --ca %s)", reason(), lond.certificate,
                 lond.authority);
        *error = text;
        SSL_CTX_free(fresh);
        return false;
    }
    SSL_CTX_set_mode(fresh, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_client_hello_cb(fresh, on_client_hello, NULL);
    SSL_CTX_free(context); /* connections hold the one they were made with */
    context = fresh;
    return true;
}

const char *tls_last_failure(void)
{
    return last_failure[0] != '\0' ? last_failure : "none";
}

const char *tls_last_client(void)
{
    return last_client[0] != '\0' ? last_client : "none";
}

/* --- TLS's handshake --- */

void tls_begin(struct connection *connection)
{
    enum manner fault = fault_take(STAGE_TLS);

    connection->stage = STAGE_TLS;
    if (connection->in_start < connection->in.length) { /* lonc did not wait for `ok:ssl` */
        counts[COUNT_WRONG_LINES]++;
        connection_drop(connection, false);
        return;
    }
    connection->tls = SSL_new(context);
    if (connection->tls == NULL || !SSL_set_fd(connection->tls, connection->watch.fd))
        fail("SSL_new: %s", reason());
    /* If only half of the first flight is to be sent, it is collected in memory first. */
    if (fault == MANNER_HALF || fault == MANNER_STALL)
        SSL_set0_wbio(connection->tls, BIO_new(BIO_s_mem()));
    SSL_set_app_data(connection->tls, connection);
    connection->tls_fault = fault;
    connection->doing = DOING_TLS;
}

static void count(SSL *tls)
{
    X509 *client = SSL_get0_peer_certificate(tls);

    for (size_t i = 0; i < VERSION_COUNT; i++)
        counts[versions[i].count] += versions[i].version == SSL_version(tls);
    if (client == NULL || SSL_get_verify_result(tls) != X509_V_OK)
        return;
    counts[COUNT_CLIENTS_VERIFIED]++;
    X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_commonName, last_client,
                              sizeof(last_client));
}

static void make_key(char key[33])
{
    unsigned char bytes[KEY_BYTES];

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        fail("RAND_bytes: %s", reason());
    for (size_t i = 0; i < KEY_BYTES; i++)
        snprintf(key + 2 * i, 3, "%02x", bytes[i]);
}

/* Reads what is left: unread bytes would make the kernel reset the connection, and lonc might miss
 * the alert. */
static void drop_unread(const struct connection *connection)
{
    char bytes[4096];

    while (recv(connection->watch.fd, bytes, sizeof(bytes), 0) > 0)
        continue;
}

static void give_up(struct connection *connection)
{
    counts[COUNT_TLS_FAILED]++;
    snprintf(last_failure, sizeof(last_failure), "%s (%s)", reason(),
             X509_verify_cert_error_string(SSL_get_verify_result(connection->tls)));
    SAY("%d TLS: %s", connection->watch.fd, last_failure);
    drop_unread(connection);
    connection_drop(connection, false);
}

/* The faults that cut lond's first flight, once there is one. */
static void cut_flight(struct connection *connection)
{
    enum manner fault = connection->tls_fault;
    struct buffer flight = {0};
    char *bytes;
    long length;

    if (fault != MANNER_HALF && fault != MANNER_STALL)
        return;
    length = BIO_get_mem_data(SSL_get_wbio(connection->tls), &bytes);
    if (length <= 0)
        return;
    buffer_append(&flight, bytes, (size_t)length);
    tls_end(connection);
    answer_impose(connection, fault, flight.data, flight.length);
    buffer_free(&flight);
}

static void accept_some(struct connection *connection)
{
    int result = SSL_accept(connection->tls), error;

    if (result == 1) {
        SAY("%d %s", connection->watch.fd, SSL_get_version(connection->tls));
        count(connection->tls);
        connection->stage = STAGE_TLS_KEY;
        make_key(connection->key);
        answer_text(connection, MANNER_PLAIN, connection->key);
        return;
    }
    error = SSL_get_error(connection->tls, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        give_up(connection);
    else
        cut_flight(connection);
}

/* Other faults wait for lonc's first flight, and then take the place of TLS. */
void tls_continue(struct connection *connection)
{
    enum manner fault = connection->tls_fault;

    ERR_clear_error();
    if (fault == MANNER_PLAIN || fault == MANNER_ALERT || fault == MANNER_HALF ||
        fault == MANNER_STALL) {
        accept_some(connection);
        return;
    }
    tls_end(connection);
    drop_unread(connection);
    answer_impose(connection, fault, "", 0);
}

uint32_t tls_interest(const struct connection *connection)
{
    return SSL_want_write(connection->tls) ? EPOLLOUT : EPOLLIN;
}

/* --- What goes through it, and its end --- */

ssize_t tls_send(struct connection *connection, const char *data, size_t length)
{
    size_t sent;
    int error;

    if (connection->tls == NULL)
        return send(connection->watch.fd, data, length, MSG_NOSIGNAL);
    ERR_clear_error();
    if (SSL_write_ex(connection->tls, data, length, &sent) == 1)
        return (ssize_t)sent;
    error = SSL_get_error(connection->tls, 0);
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
}

void tls_notify(struct connection *connection)
{
    SSL_shutdown(connection->tls);
}

void tls_ticket(struct connection *connection)
{
    if (SSL_version(connection->tls) != TLS1_3_VERSION)
        return;
    if (SSL_new_session_ticket(connection->tls) != 1 || SSL_do_handshake(connection->tls) != 1)
        fail("SSL_new_session_ticket: %s", reason());
}

void tls_end(struct connection *connection)
{
    SSL_free(connection->tls);
    connection->tls = NULL;
}
