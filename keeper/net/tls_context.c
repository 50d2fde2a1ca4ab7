/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loading the files for ssl into OpenSSL, with a diagnostic for whatever is wrong with them.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/net/openssl.h"
#include "keeper/net/tls_context.h"

struct tls_context {
    SSL_CTX *ssl;
    bool verify_name;
    struct tls_files files;    /* from which it was read */
    struct validity *validity; /* the dates of all certificates and lists in it */
    size_t validity_count;
};

/* --- Files ------------------------------------------------------------------------------------ */

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

/* A context being loaded. */
struct loading {
    struct tls_context *context;
    struct diagnostics *diagnostics;
    bool exists[TLS_FILE_COUNT];
};

static bool refuse_file(const struct loading *loading, enum tls_file which, const char *why)
{
    diagnostics_add(loading->diagnostics, loading->context->files.path[which], 0,
                    "%s: expected %s: %s", kinds[which].variable, kinds[which].expected, why);
    return false;
}

static bool report_no_memory(const struct loading *loading)
{
    diagnostics_add(loading->diagnostics, "ssl", 0, "out of memory");
    return false;
}

/* A file that cannot be examined counts as existing: loading it will tell why. */
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

/* If only some of the three exist, that is a mistake: taking ssl for off would hide it. */
static bool all_exist(const struct loading *loading)
{
    bool all = true;
    for (int i = 0; i < TLS_FILE_REVOCATIONS; i++) {
        const char *path = loading->context->files.path[i];
        if (path == NULL)
            diagnostics_add(loading->diagnostics, kinds[i].variable, 0,
                            "not set, although other files for ssl exist");
        else if (!loading->exists[i])
            diagnostics_add(loading->diagnostics, path, 0,
                            "%s: does not exist, although other files for ssl do",
                            kinds[i].variable);
        all = all && loading->exists[i];
    }
    return all;
}

/* Reads a file and parses it with `parse`, which leaves the reason of a failure in OpenSSL's queue.
 */
static bool load_file(const struct loading *loading, enum tls_file which,
                      bool (*parse)(const struct loading *loading, BIO *bytes))
{
    const char *why;
    size_t length;
    char *bytes = tls_files_read(loading->context->files.path[which], &length, &why);
    if (bytes == NULL)
        return refuse_file(loading, which, why);
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    bool parsed = bio != NULL && parse(loading, bio);
    if (!parsed)
        refuse_file(loading, which, openssl_first_error());
    BIO_free(bio);
    explicit_bzero(bytes, length); /* it may have been the key */
    free(bytes);
    ERR_clear_error();
    return parsed;
}

/* Without this, OpenSSL would ask for the password of an encrypted key at the terminal. */
static int no_password(char *text, int size, int writing, void *argument)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)argument;
    return -1;
}

/* At the end of a file, OpenSSL reports that it finds no further PEM block. */
static bool is_at_end(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static bool parse_authorities(const struct loading *loading, BIO *bytes)
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

/* This server's certificate, followed by those that lead to the CA. */
static bool parse_certificate(const struct loading *loading, BIO *bytes)
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

static bool parse_key(const struct loading *loading, BIO *bytes)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bytes, NULL, no_password, NULL);
    bool good = key != NULL && SSL_CTX_use_PrivateKey(loading->context->ssl, key) == 1;
    EVP_PKEY_free(key);
    return good;
}

static bool parse_revocations(const struct loading *loading, BIO *bytes)
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
    bool good = load_file(loading, TLS_FILE_AUTHORITY, parse_authorities);
    /* Without the certificate, whether the key fits it cannot be checked. */
    if (!load_file(loading, TLS_FILE_CERTIFICATE, parse_certificate) ||
        !load_file(loading, TLS_FILE_KEY, parse_key))
        return false;
    return good && (loading->context->files.path[TLS_FILE_REVOCATIONS] == NULL ||
                    load_file(loading, TLS_FILE_REVOCATIONS, parse_revocations));
}

/* --- Dates ------------------------------------------------------------------------------------ */

/* A missing date means no end: a hundred thousand years from now. */
static time_t seconds_of(const ASN1_TIME *time)
{
    struct tm when;
    return time != NULL && ASN1_TIME_to_tm(time, &when) == 1 ? timegm(&when) : (time_t)1 << 42;
}

static bool add_validity(const struct loading *loading, enum validity_role role,
                         enum tls_file which, const ASN1_TIME *from, const ASN1_TIME *until,
                         const X509_NAME *subject)
{
    struct tls_context *context = loading->context;
    struct validity *grown =
        reallocarray(context->validity, context->validity_count + 1, sizeof(*context->validity));
    if (grown == NULL)
        return report_no_memory(loading);
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

/*
 * OpenSSL decodes a certificate on first use. If that fails for lack of memory, the certificate
 * stays invalid, or without its key, for good; so it is decoded now rather than in a handshake.
 */
static bool add_certificate(const struct loading *loading, enum validity_role role,
                            enum tls_file which, X509 *certificate)
{
    if ((X509_get_extension_flags(certificate) & EXFLAG_INVALID) == 0 &&
        X509_get0_pubkey(certificate) != NULL)
        return add_validity(loading, role, which, X509_get0_notBefore(certificate),
                            X509_get0_notAfter(certificate), X509_get_subject_name(certificate));
    diagnostics_add(loading->diagnostics, loading->context->files.path[which], 0,
                    "%s: expected a certificate that OpenSSL understands: %s",
                    kinds[which].variable, openssl_first_error());
    return false;
}

/* The certificates of the CA's file and the lists of revoked ones. */
static bool add_trusted(const struct loading *loading)
{
    bool lists = loading->context->files.path[TLS_FILE_REVOCATIONS] != NULL;
    STACK_OF(X509_OBJECT) *trusted =
        X509_STORE_get0_objects(SSL_CTX_get_cert_store(loading->context->ssl));
    bool good = true;
    for (int i = 0; good && i < sk_X509_OBJECT_num(trusted); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, i));
        X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(trusted, i));
        if (authority != NULL)
            good = add_certificate(loading, VALIDITY_AUTHORITY, TLS_FILE_AUTHORITY, authority);
        else if (list != NULL &&
                 lists) /* without tls_revocations, a list in the CA's file is not used */
            good = add_validity(loading, VALIDITY_REVOCATIONS, TLS_FILE_REVOCATIONS,
                                X509_CRL_get0_lastUpdate(list), X509_CRL_get0_nextUpdate(list),
                                X509_CRL_get_issuer(list));
    }
    return good;
}

static bool add_own(const struct loading *loading)
{
    SSL_CTX *ssl = loading->context->ssl;
    STACK_OF(X509) *chain = NULL;
    bool good =
        add_certificate(loading, VALIDITY_OWN, TLS_FILE_CERTIFICATE, SSL_CTX_get0_certificate(ssl));
    SSL_CTX_get0_chain_certs(ssl, &chain);
    for (int i = 0; good && i < sk_X509_num(chain); i++)
        good =
            add_certificate(loading, VALIDITY_CHAIN, TLS_FILE_CERTIFICATE, sk_X509_value(chain, i));
    return good;
}

static bool check_dates(const struct loading *loading)
{
    struct validity_verdict verdict;
    if (!add_own(loading) || !add_trusted(loading))
        return false;
    tls_context_judge(loading->context, time(NULL), 0, &verdict);
    if (!verdict.usable)
        diagnostics_add(loading->diagnostics, verdict.path, 0, "%s", verdict.problem);
    return verdict.usable;
}

/* --- The context ------------------------------------------------------------------------------ */

static void ignore_diagnostic(void *argument, const char *text)
{
    (void)argument;
    (void)text;
}

/* What the settings demand of a lond. Connections in progress keep the rules they began with. */
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
    /* Above level 0 OpenSSL offers no version before 1.2, whatever the minimum is. */
    SSL_CTX_set_security_level(ssl, old ? 0 : (int)settings->tls_security_level);
    if (SSL_CTX_set_min_proto_version(ssl, versions[settings->tls_min_version]) == 1)
        return true;
    diagnostics_add(loading->diagnostics, "tls_min_version", 0, "OpenSSL does not offer it: %s",
                    openssl_first_error());
    return false;
}

/*
 * OpenSSL sets up its random numbers on first use. If that fails for lack of memory, they stay
 * broken for good, or OpenSSL crashes; so they are used now rather than in a handshake.
 */
static bool start_random(const struct loading *loading)
{
    unsigned char byte;
    if (RAND_bytes(&byte, 1) == 1 && RAND_priv_bytes(&byte, 1) == 1)
        return true;
    diagnostics_add(loading->diagnostics, "ssl", 0, "OpenSSL has no random numbers: %s",
                    openssl_first_error());
    return false;
}

static bool build_context(struct loading *loading, const struct settings *settings)
{
    struct tls_context *context = loading->context;
    context->ssl = SSL_CTX_new(TLS_client_method());
    if (context->ssl == NULL)
        return report_no_memory(loading);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_quiet_shutdown(context->ssl, 1);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF); /* londs are new processes */
    return start_random(loading) && set_rules(loading, settings) && load_files(loading) &&
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
        report_no_memory(&loading);
        return TLS_UNUSABLE;
    }
    bool wanted = any_exists(&loading);
    if (wanted && all_exist(&loading) && build_context(&loading, settings)) {
        *context = loading.context;
        return TLS_USABLE;
    }
    tls_context_free(loading.context);
    return wanted ? TLS_UNUSABLE : TLS_OFF;
}

bool tls_context_follow(struct tls_context *context, const struct settings *settings)
{
    struct diagnostics unheard = {.say = ignore_diagnostic};
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

SSL *tls_context_new_session(const struct tls_context *context, const char *name)
{
    SSL *ssl = SSL_new(context->ssl);
    if (ssl != NULL && SSL_set_tlsext_host_name(ssl, name) == 1 &&
        (!context->verify_name || SSL_set1_host(ssl, name) == 1))
        return ssl;
    ERR_clear_error();
    SSL_free(ssl);
    return NULL;
}
