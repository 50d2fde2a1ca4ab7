/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A certificate, made by OpenSSL and read by keeper/net/tls_context.c like any other.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "tests/fuzz/certificate.h"
#include "tests/fuzz/fuzz.h"

static void make(char *certificate_path, char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    CHECK(key != NULL && certificate != NULL);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"msul1", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);

    FILE *file = fopen(certificate_path, "w");
    CHECK(file != NULL && PEM_write_X509(file, certificate) == 1 && fclose(file) == 0);
    file = fopen(key_path, "w");
    CHECK(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    CHECK(fclose(file) == 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

struct tls_context *fuzz_tls_context(void)
{
    static struct tls_context *context;
    static char certificate[128], key[128];
    if (context != NULL)
        return context;
    snprintf(certificate, sizeof(certificate), "%s/certificate", fuzz_folder());
    snprintf(key, sizeof(key), "%s/key", fuzz_folder());
    make(certificate, key);
    struct loncapa loncapa = {
        .authority = certificate, .certificate = certificate, .private_key = key};
    struct settings settings = {.tls_min_version = TLS_VERSION_1_2,
                                .tls_revocations = (char[]){""}};
    struct diagnostics diagnostics = fuzz_complaints();
    CHECK(tls_context_load(&context, &loncapa, &settings, &diagnostics) == TLS_USABLE);
    return context;
}
