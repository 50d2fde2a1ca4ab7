/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection's TLS. OpenSSL reads the head of a record and then just its body, unless it is
 * told to read ahead: so the clear text that follows the record with the key stays in the socket.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/net/openssl.h"
#include "keeper/net/tls.h"

struct tls {
    SSL *ssl;
    bool connected; /* the handshake is over */
    size_t length;  /* of what has come of the line */
    char line[TLS_KEY_DIGITS + 1];
    char failure[160];
};

struct tls *tls_new(const struct tls_context *context, int fd, const char *name)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return NULL;
    tls->ssl = tls_context_new_session(context, name);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1) {
        ERR_clear_error();
        tls_free(tls);
        return NULL;
    }
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl); /* wipes its keys, and leaves the descriptor open */
    explicit_bzero(tls, sizeof(*tls));
    free(tls);
}

static enum tls_progress fail(struct tls *tls, const char *text)
{
    snprintf(tls->failure, sizeof(tls->failure), "%s", text);
    return TLS_FAILED;
}

/* Alerts by which a peer rejects the certificate that it was shown. */
static bool is_about_certificate(unsigned long code)
{
    static const int alerts[] = {
        SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,      SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
        SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,  SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
        SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,  SSL_R_TLSV1_ALERT_UNKNOWN_CA,
        SSL_R_TLSV1_ALERT_ACCESS_DENIED,        SSL_R_TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE,
        SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED};
    for (size_t i = 0; i < sizeof(alerts) / sizeof(*alerts); i++)
        if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == alerts[i])
            return true;
    return false;
}

/*
 * In TLS 1.3 the client's handshake is over before lond has checked the client's certificate. So if
 * the connection ends before a byte of the key has come, that is lond's verdict.
 */
static bool awaits_verdict(const struct tls *tls)
{
    return tls->connected && tls->length == 0 && SSL_version(tls->ssl) == TLS1_3_VERSION;
}

static enum tls_progress reject(struct tls *tls, const char *text)
{
    snprintf(tls->failure, sizeof(tls->failure), "lond does not accept our certificate (%s)", text);
    return TLS_FAILED;
}

/* What a `result` of OpenSSL that is no success means. */
static enum tls_progress interpret_result(struct tls *tls, int result)
{
    int error = errno;
    enum tls_progress (*say)(struct tls * tls, const char *text) =
        awaits_verdict(tls) || is_about_certificate(ERR_peek_error()) ? reject : fail;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return say(tls, "close_notify instead of a key");
    case SSL_ERROR_SYSCALL:
        return say(tls, error != 0 ? strerror(error) : "the connection was closed");
    default:
        break;
    }
    long verified = SSL_get_verify_result(tls->ssl);
    if (!tls->connected && verified != X509_V_OK) {
        snprintf(tls->failure, sizeof(tls->failure), "%s (%s)", openssl_first_error(),
                 X509_verify_cert_error_string(verified));
        return TLS_FAILED;
    }
    return say(tls, openssl_first_error());
}

/* Byte by byte, so as to take nothing of what follows the line. */
static enum tls_progress read_line(struct tls *tls, char digits[TLS_KEY_DIGITS])
{
    for (;;) {
        char byte;
        errno = 0;
        int n = SSL_read(tls->ssl, &byte, 1);
        if (n <= 0)
            return interpret_result(tls, n);
        if (byte == '\n')
            break;
        if (tls->length == TLS_KEY_DIGITS)
            return fail(tls, "the key's line is too long");
        tls->line[tls->length++] = byte;
    }
    if (tls->length != TLS_KEY_DIGITS)
        return fail(tls, "the key's line is too short");
    if (SSL_has_pending(tls->ssl))
        return fail(tls, "something follows the key's line");
    memcpy(digits, tls->line, TLS_KEY_DIGITS);
    return TLS_DONE;
}

enum tls_progress tls_advance(struct tls *tls, char digits[TLS_KEY_DIGITS])
{
    ERR_clear_error();
    errno = 0;
    if (!tls->connected) {
        int n = SSL_connect(tls->ssl);
        if (n <= 0)
            return interpret_result(tls, n);
        tls->connected = true;
    }
    return read_line(tls, digits);
}

const char *tls_failure(const struct tls *tls)
{
    return tls->failure;
}

const char *tls_version(const struct tls *tls)
{
    return SSL_get_version(tls->ssl);
}
