/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * OpenSSL's part in a connection to lond. OpenSSL reads a record's head, then just its body, as
 * long as nobody asks it to read ahead: so what follows the key's record in clear text stays in the
 * socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/net/tls.h"

struct tls_context {
    SSL_CTX *ssl;
    bool verify_name;
    struct tls_files files;    /* what it was read from */
    struct validity *validity; /* of all certificates and lists in it */
    size_t validity_count;
};

struct tls {
    SSL *ssl;
    bool connected;
    size_t length; /* of what has come of the line */
    char line[TLS_KEY_DIGITS + 1];
    char failure[160];
};

/* --- Files ------------------------------------------------------------------------------------ */

/* A CA's bundle of a whole operating system has a quarter of it. */
#define FILE_MAX ((off_t)1 << 20)

static const struct {
    const char *variable, *expected;
} kinds[TLS_FILE_COUNT] = {
    [TLS_FILE_AUTHORITY] = {"lonnetCertificateAuthority",
                            "a CA's certificate in PEM that OpenSSL accepts"},
    [TLS_FILE_CERTIFICATE] = {"lonnetCertificate", "a certificate in PEM that OpenSSL accepts"},
    [TLS_FILE_KEY] = {"lonnetPrivateKey",
                      "that certificate's private key in PEM, without a password"},
    [TLS_FILE_REVOCATIONS] = {"tls_revocations", "a list of revoked certificates in PEM"},
};

/* What is being loaded. */
struct loading {
    struct tls_context *context;
    struct diagnostics *diagnostics;
    bool exists[TLS_FILE_COUNT];
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

static bool refuse(const struct loading *loading, enum tls_file which, const char *why)
{
    diagnostics_add(loading->diagnostics, loading->context->files.path[which], 0,
                    "%s: expected %s: %s", kinds[which].variable, kinds[which].expected, why);
    return false;
}

static bool out_of_memory(const struct loading *loading)
{
    diagnostics_add(loading->diagnostics, "ssl", 0, "out of memory");
    return false;
}

int tls_files_find(struct tls_files *files, const struct loncapa *loncapa,
                   const struct settings *settings)
{
    const char *const names[TLS_FILE_COUNT] = {
        [TLS_FILE_AUTHORITY] = loncapa->authority,
        [TLS_FILE_CERTIFICATE] = loncapa->certificate,
        [TLS_FILE_KEY] = loncapa->private_key,
        [TLS_FILE_REVOCATIONS] = settings->tls_revocations,
    };
    *files = (struct tls_files){.path = {NULL}};
    for (int i = 0; i < TLS_FILE_COUNT; i++) {
        if (names[i] == NULL || names[i][0] == '\0')
            continue;
        int r = names[i][0] == '/'
                    ? asprintf(&files->path[i], "%s", names[i])
                    : asprintf(&files->path[i], "%s/%s", loncapa->cert_dir, names[i]);
        if (r < 0) {
            files->path[i] = NULL;
            tls_files_free(files);
            return -ENOMEM;
        }
    }
    return 0;
}

void tls_files_free(struct tls_files *files)
{
    for (int i = 0; i < TLS_FILE_COUNT; i++)
        free(files->path[i]);
    *files = (struct tls_files){.path = {NULL}};
}

/* Whether any of those for ssl is there. One that cannot be looked at is: loading it tells why. */
static bool any_exists(struct loading *loading)
{
    bool any = false;
    for (int i = 0; i < TLS_FILE_REVOCATIONS; i++) {
        const char *path = loading->context->files.path[i];
        loading->exists[i] =
            path != NULL && (access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR));
        any = any || loading->exists[i];
    }
    return any;
}

/* Some of the three alone are a mistake that would turn ssl off without a word. */
static bool all_exist(const struct loading *loading)
{
    bool all = true;
    for (int i = 0; i < TLS_FILE_REVOCATIONS; i++) {
        const char *path = loading->context->files.path[i];
        if (path == NULL)
            diagnostics_add(loading->diagnostics, kinds[i].variable, 0,
                            "not set, though other files for ssl exist");
        else if (!loading->exists[i])
            diagnostics_add(loading->diagnostics, path, 0,
                            "%s: does not exist, though other files for ssl do", kinds[i].variable);
        all = all && loading->exists[i];
    }
    return all;
}

/* Why the open file is of no use as one for ssl, or NULL. */
static const char *find_fault(const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return S_ISDIR(status->st_mode) ? "it is a folder" : "it is no file";
    if (status->st_size == 0)
        return "it is empty";
    return status->st_size > FILE_MAX ? "it is longer than 1 MiB" : NULL;
}

/* The bytes of a descriptor's file; NULL, with the reason in *why, when they cannot be had. */
static char *read_open_file(int fd, size_t *length, const char **why)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        *why = strerror(errno);
        return NULL;
    }
    *why = find_fault(&status);
    if (*why != NULL)
        return NULL;
    char *bytes = malloc((size_t)status.st_size);
    ssize_t n = bytes != NULL ? read(fd, bytes, (size_t)status.st_size) : -1;
    if (n < 0) {
        *why = strerror(errno);
        free(bytes);
        return NULL;
    }
    *length = (size_t)n;
    return bytes;
}

/* The bytes of a file, for free() after they are wiped; NULL, with *why, when they cannot be had.
 * Nothing that is no file is opened for long: reading from a FIFO would wait for its writer. */
static char *read_bytes(const char *path, size_t *length, const char **why)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        *why = strerror(errno);
        return NULL;
    }
    char *bytes = read_open_file(fd, length, why);
    close(fd);
    return bytes;
}

/* Has `take` read the file, which says why it fails through OpenSSL's errors. */
static bool load(const struct loading *loading, enum tls_file which,
                 bool (*take)(const struct loading *loading, BIO *bytes))
{
    const char *why;
    size_t length;
    char *bytes = read_bytes(loading->context->files.path[which], &length, &why);
    if (bytes == NULL)
        return refuse(loading, which, why);
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    bool taken = bio != NULL && take(loading, bio);
    if (!taken)
        refuse(loading, which, first_error());
    BIO_free(bio);
    explicit_bzero(bytes, length); /* it may have been the key */
    free(bytes);
    ERR_clear_error();
    return taken;
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

/* Whether a loop over the file's parts came to its end, where OpenSSL finds no other part. */
static bool is_at_end(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static bool take_authorities(const struct loading *loading, BIO *bytes)
{
    X509_STORE *store = SSL_CTX_get_cert_store(loading->context->ssl);
    STACK_OF(X509_INFO) *parts = PEM_X509_INFO_read_bio(bytes, NULL, no_password, NULL);
    int certificates = 0;
    bool good = parts != NULL;
    for (int i = 0; good && i < sk_X509_INFO_num(parts); i++) {
        const X509_INFO *part = sk_X509_INFO_value(parts, i);
        if (part->x509 != NULL)
            good = X509_STORE_add_cert(store, part->x509) == 1 && ++certificates > 0;
        if (good && part->crl != NULL)
            good = X509_STORE_add_crl(store, part->crl) == 1;
    }
    sk_X509_INFO_pop_free(parts, X509_INFO_free);
    if (good && certificates == 0)
        ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    return good && certificates > 0;
}

/* This server's certificate, and behind it those that lead to the CA. */
static bool take_certificate(const struct loading *loading, BIO *bytes)
{
    SSL_CTX *ssl = loading->context->ssl;
    X509 *certificate = PEM_read_bio_X509_AUX(bytes, NULL, no_password, NULL);
    bool good = certificate != NULL && SSL_CTX_use_certificate(ssl, certificate) == 1;
    X509_free(certificate);
    while (good && (certificate = PEM_read_bio_X509(bytes, NULL, no_password, NULL)) != NULL)
        if (SSL_CTX_add0_chain_cert(ssl, certificate) != 1) {
            X509_free(certificate);
            good = false;
        }
    return good && is_at_end();
}

static bool take_key(const struct loading *loading, BIO *bytes)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bytes, NULL, no_password, NULL);
    bool good = key != NULL && SSL_CTX_use_PrivateKey(loading->context->ssl, key) == 1;
    EVP_PKEY_free(key);
    return good;
}

static bool take_revocations(const struct loading *loading, BIO *bytes)
{
    X509_STORE *store = SSL_CTX_get_cert_store(loading->context->ssl);
    X509_CRL *list;
    int lists = 0;
    bool good = true;
    while (good && (list = PEM_read_bio_X509_CRL(bytes, NULL, no_password, NULL)) != NULL) {
        good = X509_STORE_add_crl(store, list) == 1;
        X509_CRL_free(list);
        lists++;
    }
    if (!good || lists == 0 || !is_at_end())
        return false;
    return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
}

static bool load_files(const struct loading *loading)
{
    bool good = load(loading, TLS_FILE_AUTHORITY, take_authorities);
    /* A certificate that cannot be read cannot fit its key either. */
    if (!load(loading, TLS_FILE_CERTIFICATE, take_certificate) ||
        !load(loading, TLS_FILE_KEY, take_key))
        return false;
    return good && (loading->context->files.path[TLS_FILE_REVOCATIONS] == NULL ||
                    load(loading, TLS_FILE_REVOCATIONS, take_revocations));
}

/* --- Dates ------------------------------------------------------------------------------------ */

/* Without a date there is no end, which is a hundred thousand years away. */
static time_t seconds_of(const ASN1_TIME *time)
{
    struct tm when;
    return time != NULL && ASN1_TIME_to_tm(time, &when) == 1 ? timegm(&when) : (time_t)1 << 42;
}

static bool note_validity(const struct loading *loading, enum validity_role role,
                          enum tls_file which, const ASN1_TIME *from, const ASN1_TIME *until,
                          const X509_NAME *subject)
{
    struct tls_context *context = loading->context;
    struct validity *grown =
        reallocarray(context->validity, context->validity_count + 1, sizeof(*context->validity));
    if (grown == NULL)
        return out_of_memory(loading);
    context->validity = grown;
    struct validity *one = &grown[context->validity_count++];
    *one = (struct validity){.role = role,
                             .from = seconds_of(from),
                             .until = seconds_of(until),
                             .path = context->files.path[which],
                             .variable = kinds[which].variable};
    if (X509_NAME_get_text_by_NID(subject, NID_commonName, one->subject, sizeof(one->subject)) < 0)
        X509_NAME_oneline(subject, one->subject, sizeof(one->subject));
    return true;
}

/* OpenSSL looks into a certificate once, and where it gets no memory for that the certificate is
 * invalid for good, or without its key: so it looks now, and not in a handshake. */
static bool note_certificate(const struct loading *loading, enum validity_role role,
                             enum tls_file which, X509 *certificate)
{
    if ((X509_get_extension_flags(certificate) & EXFLAG_INVALID) == 0 &&
        X509_get0_pubkey(certificate) != NULL)
        return note_validity(loading, role, which, X509_get0_notBefore(certificate),
                             X509_get0_notAfter(certificate), X509_get_subject_name(certificate));
    diagnostics_add(loading->diagnostics, loading->context->files.path[which], 0,
                    "%s: expected a certificate that OpenSSL understands: %s",
                    kinds[which].variable, first_error());
    return false;
}

/* What the CA's file and the lists brought. */
static bool note_trust(const struct loading *loading)
{
    bool lists = loading->context->files.path[TLS_FILE_REVOCATIONS] != NULL;
    STACK_OF(X509_OBJECT) *trusted =
        X509_STORE_get0_objects(SSL_CTX_get_cert_store(loading->context->ssl));
    bool good = true;
    for (int i = 0; good && i < sk_X509_OBJECT_num(trusted); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, i));
        X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(trusted, i));
        if (authority != NULL)
            good = note_certificate(loading, VALIDITY_AUTHORITY, TLS_FILE_AUTHORITY, authority);
        else if (list != NULL && lists) /* those in the CA's file alone are not asked */
            good = note_validity(loading, VALIDITY_REVOCATIONS, TLS_FILE_REVOCATIONS,
                                 X509_CRL_get0_lastUpdate(list), X509_CRL_get0_nextUpdate(list),
                                 X509_CRL_get_issuer(list));
    }
    return good;
}

static bool note_own(const struct loading *loading)
{
    SSL_CTX *ssl = loading->context->ssl;
    STACK_OF(X509) *chain = NULL;
    bool good = note_certificate(loading, VALIDITY_OWN, TLS_FILE_CERTIFICATE,
                                 SSL_CTX_get0_certificate(ssl));
    SSL_CTX_get0_chain_certs(ssl, &chain);
    for (int i = 0; good && i < sk_X509_num(chain); i++)
        good = note_certificate(loading, VALIDITY_CHAIN, TLS_FILE_CERTIFICATE,
                                sk_X509_value(chain, i));
    return good;
}

static bool check_dates(const struct loading *loading)
{
    struct validity_verdict verdict;
    if (!note_own(loading) || !note_trust(loading))
        return false;
    tls_context_judge(loading->context, time(NULL), 0, &verdict);
    if (!verdict.usable)
        diagnostics_add(loading->diagnostics, verdict.path, 0, "%s", verdict.problem);
    return verdict.usable;
}

/* --- The context ------------------------------------------------------------------------------ */

static void say_nothing(void *argument, const char *text)
{
    (void)argument;
    (void)text;
}

/* What settings ask of a lond; connections under way have rules of their own. */
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
    loading->context->verify_name = settings->tls_verify_name;
    /* Above level 0 there is no version before 1.2, whatever the minimum says. */
    SSL_CTX_set_security_level(ssl, old ? 0 : (int)settings->tls_security_level);
    if (SSL_CTX_set_min_proto_version(ssl, versions[settings->tls_min_version]) == 1)
        return true;
    diagnostics_add(loading->diagnostics, "tls_min_version", 0, "OpenSSL does not offer it: %s",
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
    diagnostics_add(loading->diagnostics, "ssl", 0, "OpenSSL has no random numbers: %s",
                    first_error());
    return false;
}

static bool build(struct loading *loading, const struct settings *settings)
{
    struct tls_context *context = loading->context;
    context->ssl = SSL_CTX_new(TLS_client_method());
    if (context->ssl == NULL)
        return out_of_memory(loading);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_quiet_shutdown(context->ssl, 1);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF); /* londs are new processes */
    return begin_random(loading) && set_rules(loading, settings) && load_files(loading) &&
           check_dates(loading);
}

enum tls_outcome tls_context_load(struct tls_context **context, const struct loncapa *loncapa,
                                  const struct settings *settings, struct diagnostics *diagnostics)
{
    struct loading loading = {.context = calloc(1, sizeof(struct tls_context)),
                              .diagnostics = diagnostics};
    *context = NULL;
    if (loading.context == NULL || tls_files_find(&loading.context->files, loncapa, settings) < 0) {
        tls_context_free(loading.context);
        out_of_memory(&loading);
        return TLS_UNUSABLE;
    }
    bool wanted = any_exists(&loading);
    if (wanted && all_exist(&loading) && build(&loading, settings)) {
        *context = loading.context;
        return TLS_USABLE;
    }
    tls_context_free(loading.context);
    return wanted ? TLS_UNUSABLE : TLS_OFF;
}

bool tls_context_follow(struct tls_context *context, const struct settings *settings)
{
    struct diagnostics unheard = {.say = say_nothing};
    const struct loading loading = {.context = context, .diagnostics = &unheard};
    const char *list = context->files.path[TLS_FILE_REVOCATIONS];
    if (settings->tls_revocations[0] != '\0' &&
        (list == NULL || strcmp(list, settings->tls_revocations) != 0))
        return false;
    return set_rules(&loading, settings);
}

void tls_context_free(struct tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ssl);
    tls_files_free(&context->files);
    free(context->validity);
    free(context);
}

void tls_context_judge(const struct tls_context *context, time_t now, time_t warning,
                       struct validity_verdict *verdict)
{
    validity_judge(context->validity, context->validity_count, now, warning, verdict);
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

/* Alerts that a peer sends where it does not like the certificate it was shown. */
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
 * TLS 1.3's client has finished before lond has looked at its certificate. So whatever ends the
 * connection there, before a byte of the key, is lond's verdict on it.
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

/* What OpenSSL's `result`, which is no success, means. */
static enum tls_progress judge(struct tls *tls, int result)
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
        snprintf(tls->failure, sizeof(tls->failure), "%s (%s)", first_error(),
                 X509_verify_cert_error_string(verified));
        return TLS_FAILED;
    }
    return say(tls, first_error());
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
