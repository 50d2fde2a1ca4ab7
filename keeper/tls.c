/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * OpenSSL's part in a connection to lond. OpenSSL reads a record's head, then just its body, as
 * long as nobody asks it to read ahead: so what follows the key's record in clear text stays in the
 * socket.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/tls.h"

struct tls_context {
    SSL_CTX *ssl;
    bool verify_name;
    time_t expires;
    char *expires_path;
};

struct tls {
    SSL *ssl;
    bool connected;
    size_t length; /* of what has come of the line */
    char line[TLS_KEY_DIGITS + 1];
    char failure[160];
};

/* --- Files ------------------------------------------------------------------------------------ */

/* One of the three files, with the variable that names it. */
struct file {
    const char *variable, *name;
    char *path; /* NULL: not configured */
    bool exists;
};
enum { FILE_AUTHORITY, FILE_CERTIFICATE, FILE_KEY, FILE_COUNT };

/* What is being loaded. */
struct loading {
    struct tls_context *context;
    struct file files[FILE_COUNT];
    struct complaints *complaints;
    unsigned before; /* complaints */
};

/* OpenSSL's word for what has just failed there; its queue of errors is empty afterwards. The first
 * is the cause ("Permission denied"), those behind it say which of its parts heard of it. */
static const char *first_error(void)
{
    unsigned long code = ERR_peek_error();
    const char *text =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    ERR_clear_error();
    return text != NULL ? text : "no reason given";
}

static bool find_files(struct loading *loading, const struct loncapa *loncapa)
{
    for (int i = 0; i < FILE_COUNT; i++) {
        struct file *file = &loading->files[i];
        if (file->name == NULL)
            continue;
        int r = file->name[0] == '/'
                    ? asprintf(&file->path, "%s", file->name)
                    : asprintf(&file->path, "%s/%s", loncapa->cert_dir, file->name);
        if (r < 0) {
            file->path = NULL;
            complain(loading->complaints, file->variable, 0, "out of memory");
            return false;
        }
        /* One that cannot be looked at is there: loading it tells why it cannot be. */
        file->exists = access(file->path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
    }
    return true;
}

/* Some of the three alone are a mistake that would turn ssl off without a word. */
static bool all_exist(const struct loading *loading)
{
    bool all = true;
    for (int i = 0; i < FILE_COUNT; i++) {
        const struct file *file = &loading->files[i];
        if (file->path == NULL)
            complain(loading->complaints, file->variable, 0,
                     "not set, though other files for ssl exist");
        else if (!file->exists)
            complain(loading->complaints, file->path, 0,
                     "%s: does not exist, though other files for ssl do", file->variable);
        all = all && file->exists;
    }
    return all;
}

/* A file whose key is enciphered would have OpenSSL ask for a password at the terminal. */
static int no_password(char *text, int size, int writing, void *argument)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)argument;
    return -1;
}

static bool load(const struct loading *loading, int which, int result, const char *expected)
{
    const struct file *file = &loading->files[which];
    if (result == 1)
        return true;
    complain(loading->complaints, file->path, 0, "%s: expected %s: %s", file->variable, expected,
             first_error());
    return false;
}

static bool load_files(const struct loading *loading)
{
    SSL_CTX *ssl = loading->context->ssl;
    const struct file *files = loading->files;
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    bool good =
        load(loading, FILE_AUTHORITY, SSL_CTX_load_verify_file(ssl, files[FILE_AUTHORITY].path),
             "a CA's certificate in PEM that OpenSSL accepts");
    if (!load(loading, FILE_CERTIFICATE,
              SSL_CTX_use_certificate_chain_file(ssl, files[FILE_CERTIFICATE].path),
              "a certificate in PEM that OpenSSL accepts") ||
        !load(loading, FILE_KEY,
              SSL_CTX_use_PrivateKey_file(ssl, files[FILE_KEY].path, SSL_FILETYPE_PEM),
              "that certificate's private key in PEM, without a password"))
        return false;
    return good;
}

static time_t expiry_of(const X509 *certificate)
{
    struct tm when;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &when) == 1 ? timegm(&when) : 0;
}

/* The first to expire counts. */
static bool take_expiry(const struct loading *loading, int which, const X509 *certificate)
{
    struct tls_context *context = loading->context;
    const struct file *file = &loading->files[which];
    time_t expires = expiry_of(certificate);
    if (expires <= time(NULL)) {
        char date[32];
        struct tm when;
        gmtime_r(&expires, &when);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &when);
        complain(loading->complaints, file->path, 0,
                 "%s: expected a certificate that is valid, but it expired at %s", file->variable,
                 date);
        return false;
    }
    if (context->expires_path != NULL && context->expires <= expires)
        return true;
    char *path = strdup(file->path);
    if (path == NULL) {
        complain(loading->complaints, file->path, 0, "out of memory");
        return false;
    }
    free(context->expires_path);
    context->expires_path = path;
    context->expires = expires;
    return true;
}

/* OpenSSL looks into a certificate once, and where it gets no memory for that the certificate is
 * invalid for good, or without its key: so it looks now, and not in a handshake. */
static bool check(const struct loading *loading, int which, X509 *certificate)
{
    const struct file *file = &loading->files[which];
    if ((X509_get_extension_flags(certificate) & EXFLAG_INVALID) == 0 &&
        X509_get0_pubkey(certificate) != NULL)
        return take_expiry(loading, which, certificate);
    complain(loading->complaints, file->path, 0,
             "%s: expected a certificate that OpenSSL understands: %s", file->variable,
             first_error());
    return false;
}

static bool check_certificates(const struct loading *loading)
{
    const SSL_CTX *ssl = loading->context->ssl;
    bool good = check(loading, FILE_CERTIFICATE, SSL_CTX_get0_certificate(ssl));
    STACK_OF(X509_OBJECT) *authorities = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));
    for (int i = 0; i < sk_X509_OBJECT_num(authorities); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(authorities, i));
        if (authority != NULL)
            good = check(loading, FILE_AUTHORITY, authority) && good;
    }
    return good;
}

/* A list of another CA, or one that has expired, fails each handshake, and says so there. */
static bool load_revocations(const struct loading *loading, const char *path)
{
    if (path[0] == '\0')
        return true;
    X509_STORE *store = SSL_CTX_get_cert_store(loading->context->ssl);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) <= 0) {
        complain(loading->complaints, path, 0,
                 "tls_revocations: expected a list of revoked certificates in PEM: %s",
                 first_error());
        return false;
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

/* --- The context ------------------------------------------------------------------------------ */

static bool set_rules(const struct loading *loading, const struct settings *settings)
{
    static const int versions[] = {
        [TLS_VERSION_1_0] = TLS1_VERSION,
        [TLS_VERSION_1_1] = TLS1_1_VERSION,
        [TLS_VERSION_1_2] = TLS1_2_VERSION,
        [TLS_VERSION_1_3] = TLS1_3_VERSION,
    };
    SSL_CTX *ssl = loading->context->ssl;
    bool old = settings->tls_min_version < TLS_VERSION_1_2;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_quiet_shutdown(ssl, 1);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* each lond is a new process */
    /* Above level 0 there is no version before 1.2, whatever the minimum says. */
    SSL_CTX_set_security_level(ssl, old ? 0 : (int)settings->tls_security_level);
    if (SSL_CTX_set_min_proto_version(ssl, versions[settings->tls_min_version]) == 1)
        return true;
    complain(loading->complaints, "tls_min_version", 0, "OpenSSL does not offer it: %s",
             first_error());
    return false;
}

/* Its generator begins with the first number, and where it gets no memory for that it is broken
 * for good, or crashes: that is to be seen now and not in a handshake. */
static bool begin_random(const struct loading *loading)
{
    unsigned char byte;
    if (RAND_bytes(&byte, 1) == 1 && RAND_priv_bytes(&byte, 1) == 1)
        return true;
    complain(loading->complaints, "ssl", 0, "OpenSSL has no random numbers: %s", first_error());
    return false;
}

static bool build(struct loading *loading, const struct settings *settings)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    loading->context = context;
    if (context != NULL)
        context->ssl = SSL_CTX_new(TLS_client_method());
    if (context == NULL || context->ssl == NULL) {
        complain(loading->complaints, "ssl", 0, "out of memory");
        return false;
    }
    context->verify_name = settings->tls_verify_name;
    return begin_random(loading) && set_rules(loading, settings) && load_files(loading) &&
           check_certificates(loading) && load_revocations(loading, settings->tls_revocations);
}

int tls_context_load(struct tls_context **context, const struct loncapa *loncapa,
                     const struct settings *settings, struct complaints *complaints)
{
    struct loading loading = {
        .files = {[FILE_AUTHORITY] = {"lonnetCertificateAuthority", loncapa->authority, NULL,
                                      false},
                  [FILE_CERTIFICATE] = {"lonnetCertificate", loncapa->certificate, NULL, false},
                  [FILE_KEY] = {"lonnetPrivateKey", loncapa->private_key, NULL, false}},
        .complaints = complaints,
    };
    bool good = find_files(&loading, loncapa);
    bool any = false;
    for (int i = 0; i < FILE_COUNT; i++)
        any = any || loading.files[i].exists;
    if (good && any)
        good = all_exist(&loading) && build(&loading, settings);
    for (int i = 0; i < FILE_COUNT; i++)
        free(loading.files[i].path);
    if (!good) {
        tls_context_free(loading.context);
        loading.context = NULL;
    }
    *context = loading.context;
    return good ? 0 : -1;
}

void tls_context_free(struct tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ssl);
    free(context->expires_path);
    free(context);
}

time_t tls_context_expires(const struct tls_context *context, const char **path)
{
    *path = context->expires_path;
    return context->expires;
}

/* --- One connection --------------------------------------------------------------------------- */

struct tls *tls_new(struct tls_context *context, int fd, const char *name)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return NULL;
    tls->ssl = SSL_new(context->ssl);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1 ||
        SSL_set_tlsext_host_name(tls->ssl, name) != 1 ||
        (context->verify_name && SSL_set1_host(tls->ssl, name) != 1)) {
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

/* What OpenSSL's `result`, which is no success, means. */
static enum tls_progress judge(struct tls *tls, int result)
{
    int error = errno;
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return fail(tls, "close_notify instead of a key");
    case SSL_ERROR_SYSCALL:
        return fail(tls, error != 0 ? strerror(error) : "the connection was closed");
    default:
        break;
    }
    long verified = SSL_get_verify_result(tls->ssl);
    if (!tls->connected && verified != X509_V_OK) {
        snprintf(tls->failure, sizeof(tls->failure), "%s (%s)", first_error(),
                 X509_verify_cert_error_string(verified));
        return TLS_FAILED;
    }
    return fail(tls, first_error());
}

/* Byte by byte, since what is behind the line must not be taken with it. */
static enum tls_progress read_line(struct tls *tls, char digits[TLS_KEY_DIGITS])
{
    for (;;) {
        char byte;
        errno = 0;
        int n = SSL_read(tls->ssl, &byte, 1);
        if (n <= 0)
            return judge(tls, n);
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
            return judge(tls, n);
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
