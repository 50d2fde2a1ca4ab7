/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncapa.conf, and behind a line "====" its companion loncapa_apache.conf. What was accepted is of
 * its kind; written down and read again, it is the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/host_name.h"
#include "common/loncapa.h"
#include "tests/fuzz/fuzz.h"

#define SEPARATOR "====\n"

static char path[128], companion[128];

static void check(const struct loncapa *conf)
{
    const char *const directories[] = {conf->sock_dir, conf->daemons, conf->tab_dir, conf->doc_root,
                                       conf->cert_dir};
    const char *const texts[] = {conf->version, conf->authority, conf->certificate,
                                 conf->private_key};
    CHECK(host_name_is_valid(conf->host_id));
    CHECK(conf->lond_port > 0);
    for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
        CHECK(directories[i][0] == '/');
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        CHECK(texts[i] == NULL || texts[i][0] != '\0');
}

/* A word more at the end, so that no blank of a value is one at the end of a line. */
static void put(FILE *file, const char *name, const char *value)
{
    if (value == NULL)
        return;
    const char *quote = *value == '#' || strpbrk(value, " \t") != NULL ? "\"" : "";
    fprintf(file, "PerlSetVar %s %s%s%s end\n", name, quote, value, quote);
}

static char *write_down(const struct loncapa *conf, size_t *length)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, length);
    CHECK(file != NULL);
    put(file, "lonHostID", conf->host_id);
    put(file, "lonSockDir", conf->sock_dir);
    put(file, "lonDaemons", conf->daemons);
    put(file, "lonTabDir", conf->tab_dir);
    put(file, "lonDocRoot", conf->doc_root);
    put(file, "lonVersion", conf->version);
    put(file, "lonCertificateDirectory", conf->cert_dir);
    put(file, "lonnetCertificateAuthority", conf->authority);
    put(file, "lonnetCertificate", conf->certificate);
    put(file, "lonnetPrivateKey", conf->private_key);
    fprintf(file, "PerlSetVar londPort %u\n", conf->lond_port);
    put(file, "loncAllowInsecure", conf->allow_insecure ? "1" : "0");
    fclose(file);
    return text;
}

static void read_again(const struct loncapa *conf)
{
    struct loncapa again;
    struct diagnostics diagnostics = fuzz_complaints();
    size_t length, length_again;
    char *first = write_down(conf, &length);
    fuzz_write(path, first, length);
    (void)unlink(companion);
    CHECK(loncapa_load(&again, path, &diagnostics) == 0);
    char *second = write_down(&again, &length_again);
    CHECK(length == length_again && memcmp(first, second, length) == 0);
    loncapa_free(&again);
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t separator = sizeof(SEPARATOR) - 1;
    const uint8_t *cut = size > 0 ? memmem(data, size, SEPARATOR, separator) : NULL;
    size_t length = cut != NULL ? (size_t)(cut - data) : size;
    snprintf(path, sizeof(path), "%s/loncapa.conf", fuzz_folder());
    snprintf(companion, sizeof(companion), "%s/loncapa_apache.conf", fuzz_folder());
    fuzz_write(path, data, length);
    if (cut != NULL)
        fuzz_write(companion, cut + separator, size - length - separator);
    else
        (void)unlink(companion);

    struct loncapa conf;
    struct diagnostics diagnostics = fuzz_complaints();
    int r = loncapa_load(&conf, path, &diagnostics);
    CHECK((r == 0) == (diagnostics.count == 0));
    if (r == 0) {
        check(&conf);
        read_again(&conf);
    }
    loncapa_free(&conf);
    return 0;
}
