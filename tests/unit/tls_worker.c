/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TLS computed beside the loop: the real thread, the real OpenSSL, and a lond that the test plays
 * at the other end of a socket pair.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "keeper/net/tls_worker.h"
#include "tests/unit/heard.h"

#define KEY   "0123456789abcdef0123456789abcdef"
#define CLEAR "in clear text\n"

/* Nothing here takes as long as this unless it does not come at all. */
#define LONG UINT64_C(10000000)

#define TASKS_MAX 20

/* One connection: the keeper's end in `task`, lond's in `ssl`. */
struct connection {
    struct tls_task *task;
    int fd; /* the keeper's end */
    int lond;
    SSL *ssl;
    bool written, advanced;
    unsigned times; /* that `advanced` was called */
};

static struct core core;
static struct tls_worker *worker;
static struct tls_context *context;
static SSL_CTX *lond_context;
static struct connection connections[TASKS_MAX];
static const char *line = KEY "\n", *name = "a.edu";

/* A certificate that is its own CA, with its key, for both ends. */
static void make_certificate(const char *certificate_path, const char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    cr_assert(key != NULL && certificate != NULL);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"a.edu", -1, -1,
                               0);
    X509_set_issuer_name(certificate, subject);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    FILE *file = fopen(certificate_path, "w");
    cr_assert(file != NULL && PEM_write_X509(file, certificate) == 1 && fclose(file) == 0);
    file = fopen(key_path, "w");
    cr_assert(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    cr_assert_eq(fclose(file), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void load_context(const char *authority, bool verify_name)
{
    char directory[256];
    cr_assert_not_null(getcwd(directory, sizeof(directory)));
    struct loncapa loncapa = {
        .cert_dir = directory,
        .authority = (char *)(uintptr_t)authority,
        .certificate = (char *)(uintptr_t) "certificate",
        .private_key = (char *)(uintptr_t) "key",
    };
    struct settings settings = {
        .tls_min_version = TLS_VERSION_1_2,
        .tls_security_level = 2,
        .tls_verify_name = verify_name,
        .tls_revocations = (char[]){""},
    };
    tls_context_free(context);
    cr_assert_eq(tls_context_load(&context, &loncapa, &settings, &heard), TLS_USABLE, "%s",
                 heard_text());
}

static void begin(void)
{
    heard_begin();
    make_certificate("certificate", "key");
    make_certificate("other-certificate", "other-key");
    cr_assert_eq(loop_open(&core.loop), 0);
    worker = tls_worker_new(&core);
    cr_assert_not_null(worker);
    load_context("certificate", false);
    lond_context = SSL_CTX_new(TLS_server_method());
    cr_assert_not_null(lond_context);
    cr_assert_eq(SSL_CTX_use_certificate_chain_file(lond_context, "certificate"), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(lond_context, "key", SSL_FILETYPE_PEM), 1);
}

static void close_connection(struct connection *connection)
{
    if (connection->task != NULL)
        tls_task_close(connection->task);
    connection->task = NULL;
    if (connection->ssl == NULL)
        return;
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    close(connection->lond);
}

static void end(void)
{
    for (int i = 0; i < TASKS_MAX; i++)
        close_connection(&connections[i]);
    tls_worker_free(worker);
    tls_context_free(context);
    SSL_CTX_free(lond_context);
    loop_close(&core.loop);
    heard_end();
}

TestSuite(tls_worker, .init = begin, .fini = end, .timeout = 60);

/* --- Both ends -------------------------------------------------------------------------------- */

static void on_advanced(struct tls_task *task)
{
    struct connection *connection = task->owner;
    connection->advanced = true;
    connection->times++;
}

static void start(struct connection *connection)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    connection->fd = ends[0];
    connection->lond = ends[1];
    connection->ssl = SSL_new(lond_context);
    cr_assert_not_null(connection->ssl);
    cr_assert_eq(SSL_set_fd(connection->ssl, ends[1]), 1);
    core_descriptor_opened(&core); /* the keeper's end */
    connection->task = tls_task_new(worker, context, ends[0], name);
    cr_assert_not_null(connection->task);
    connection->task->owner = connection;
    connection->task->advanced = on_advanced;
    cr_assert_eq(tls_task_advance(connection->task), 0);
}

/* lond's part, as far as it goes: the handshake, its line in TLS, and then clear text. */
static void play_lond(struct connection *connection)
{
    if (connection->written || connection->ssl == NULL || SSL_accept(connection->ssl) != 1) {
        ERR_clear_error();
        return;
    }
    cr_assert_eq(SSL_write(connection->ssl, line, (int)strlen(line)), (int)strlen(line));
    cr_assert_eq(write(connection->lond, CLEAR, strlen(CLEAR)), (ssize_t)strlen(CLEAR));
    connection->written = true;
}

static bool is_over(const struct connection *connection)
{
    return connection->task == NULL ||
           (connection->advanced && !connection->task->running &&
            (connection->task->progress == TLS_DONE || connection->task->progress == TLS_FAILED));
}

/* What a connection to lond does between two steps: waits for the descriptor, and goes on. */
static void play_keeper(struct connection *connection)
{
    if (is_over(connection) || !connection->advanced || connection->task->running)
        return;
    bool reads = connection->task->progress == TLS_WANTS_READ;
    struct pollfd ready = {.fd = connection->fd, .events = reads ? POLLIN : POLLOUT};
    if (poll(&ready, 1, 0) == 1)
        cr_assert_eq(tls_task_advance(connection->task), 0);
}

static void play_until_over(int count)
{
    uint64_t end_time = monotonic_now() + LONG;
    for (bool over = false; !over;) {
        cr_assert_lt(monotonic_now(), end_time, "it does not end");
        cr_assert_geq(loop_turn(&core.loop, 1000), 0);
        over = true;
        for (int i = 0; i < count; i++) {
            play_lond(&connections[i]);
            play_keeper(&connections[i]);
            over = over && is_over(&connections[i]);
        }
    }
}

static void expect_key(const struct connection *connection)
{
    cr_assert_eq(connection->task->progress, TLS_DONE, "%s", tls_failure(connection->task->tls));
    cr_expect_arr_eq(connection->task->digits, KEY, TLS_KEY_DIGITS);
}

static void expect_failure(const char *text)
{
    struct connection *one = &connections[0];
    start(one);
    play_until_over(1);
    cr_assert_eq(one->task->progress, TLS_FAILED);
    cr_expect_not_null(strstr(tls_failure(one->task->tls), text), "%s",
                       tls_failure(one->task->tls));
}

/* --- A key ------------------------------------------------------------------------------------ */

Test(tls_worker, the_key_comes_and_what_follows_it_in_clear_text_stays_in_the_socket)
{
    char text[64] = "";
    struct connection *one = &connections[0];
    start(one);
    play_until_over(1);
    expect_key(one);
    cr_expect_geq(one->times, 2, "it has waited for the peer in between");
    cr_assert_eq(read(one->fd, text, sizeof(text) - 1), (ssize_t)strlen(CLEAR));
    cr_expect_str_eq(text, CLEAR);
}

Test(tls_worker, a_task_that_is_freed_leaves_its_descriptor_open)
{
    struct connection *one = &connections[0];
    start(one);
    play_until_over(1);
    tls_task_free(one->task);
    one->task = NULL;
    cr_expect_geq(fcntl(one->fd, F_GETFD), 0);
    core_close(&core, one->fd);
    cr_expect_eq(core.descriptors, 0);
}

Test(tls_worker, many_connections_are_served_by_one_thread)
{
    for (int i = 0; i < TASKS_MAX; i++)
        start(&connections[i]);
    play_until_over(TASKS_MAX);
    for (int i = 0; i < TASKS_MAX; i++)
        expect_key(&connections[i]);
}

/* --- No key ----------------------------------------------------------------------------------- */

Test(tls_worker, a_lond_whose_certificate_is_of_another_CA_is_refused)
{
    cr_assert_eq(rename("other-certificate", "authority"), 0);
    load_context("authority", false);
    expect_failure("certificate verify failed");
}

Test(tls_worker, a_lond_of_another_name_is_refused_where_names_are_verified)
{
    load_context("certificate", true);
    name = "b.edu";
    expect_failure("hostname mismatch");
}

Test(tls_worker, a_lond_of_the_right_name_is_believed_where_names_are_verified)
{
    load_context("certificate", true);
    start(&connections[0]);
    play_until_over(1);
    expect_key(&connections[0]);
}

Test(tls_worker, a_line_that_is_too_long_is_no_key)
{
    line = KEY "0\n";
    expect_failure("too long");
}

Test(tls_worker, a_line_that_is_too_short_is_no_key)
{
    line = "0123\n";
    expect_failure("too short");
}

Test(tls_worker, nothing_may_follow_the_line_inside_TLS)
{
    line = KEY "\nmore\n";
    expect_failure("follows the key's line");
}

/* --- Ends ------------------------------------------------------------------------------------- */

Test(tls_worker, a_task_that_is_closed_while_the_thread_has_it_is_not_heard_of_again)
{
    for (int i = 0; i < TASKS_MAX; i++) {
        start(&connections[i]);
        tls_task_close(connections[i].task);
        connections[i].task = NULL;
    }
    uint64_t end_time = monotonic_now() + LONG;
    while (core.descriptors > 0) {
        cr_assert_lt(monotonic_now(), end_time, "%zu are open", core.descriptors);
        cr_assert_geq(loop_turn(&core.loop, 1000), 0);
    }
    for (int i = 0; i < TASKS_MAX; i++) {
        cr_expect_eq(connections[i].times, 0);
        cr_expect_eq(fcntl(connections[i].fd, F_GETFD), -1);
    }
}

Test(tls_worker, its_end_frees_what_was_closed_and_still_waits)
{
    for (int i = 0; i < TASKS_MAX; i++) {
        start(&connections[i]);
        tls_task_close(connections[i].task);
        connections[i].task = NULL;
    }
    tls_worker_free(worker);
    worker = NULL;
    cr_expect_eq(core.descriptors, 0);
    for (int i = 0; i < TASKS_MAX; i++)
        cr_expect_eq(fcntl(connections[i].fd, F_GETFD), -1);
}

Test(tls_worker, without_a_task_there_is_no_thread_to_end)
{
    tls_worker_free(worker);
    worker = NULL;
}
