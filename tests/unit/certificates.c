/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which credentials are in force when the files for ssl are missing, unusable or removed. Files
 * that are right need a CA: tests/scenario/certificates.t has one.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "keeper/host/certificates.h"
#include "keeper/host/hosts.h"
#include "tests/unit/heard.h"

/* What does not come within this, in microseconds, does not come at all. */
#define LONG UINT64_C(10000000)

static struct core core;
static struct config config;
static struct hosts hosts;
static struct certificates *certificates;
static char directory[PATH_MAX];

static void begin(void)
{
    heard_begin();
    cr_assert_not_null(getcwd(directory, sizeof(directory)));
    cr_assert_geq(loop_open(&core.loop), 0);
    scarcity_init(&core.scarcity, &core.loop, &core.settings.buffers_limit);
    config.references = 1;
    config.loncapa.cert_dir = directory;
    config.loncapa.authority = (char *)(uintptr_t) "ca.pem";
    config.loncapa.certificate = (char *)(uintptr_t) "own.pem";
    config.loncapa.private_key = (char *)(uintptr_t) "own.key";
    config.loncapa.allow_insecure = true;
    config.settings.tls_revocations = (char *)(uintptr_t) "";
    config.settings.tls_min_version = TLS_VERSION_1_2;
    config.settings.certificate_settle = 1000;
    config.settings.trouble_retry = 3600 * LONG;
    core.config = &config;
    core.settings = config.settings;
    stats_init(&core.stats, core.loop.now);
    log_open("unit-tests", LOG_TARGET_STDERR, LOG_CRIT, LOG_JOURNAL_SOCKET);
    cr_assert_eq(hosts_open(&hosts, &core), 0);
    certificates = certificates_new(&hosts);
    cr_assert_not_null(certificates);
}

static void end(void)
{
    certificates_free(certificates);
    hosts_close(&hosts);
    loop_close(&core.loop);
    heard_end();
}

TestSuite(certificates, .init = begin, .fini = end, .timeout = 60);

static struct credentials *load(void)
{
    struct diagnostics diagnostics = {.say = heard.say};
    struct credentials *credentials = credentials_load(&config, &diagnostics);
    cr_assert_not_null(credentials);
    return credentials;
}

static void write_rubbish(void)
{
    write_file("ca.pem", "no certificate\n");
    write_file("own.pem", "no certificate\n");
    write_file("own.key", "no key\n");
}

static void remove_files(void)
{
    cr_assert_eq(unlink("ca.pem"), 0);
    cr_assert_eq(unlink("own.pem"), 0);
    cr_assert_eq(unlink("own.key"), 0);
}

Test(certificates, without_files_ssl_is_off_and_that_is_no_trouble)
{
    cr_expect_null(certificates_apply(certificates, load()));
    cr_expect_not(hosts.londs.credentials->wanted);
    cr_expect(credentials_lack_files(hosts.londs.credentials), "the log says so, though");
    cr_expect_not(trouble_is_present(&core, TROUBLE_TLS));
}

Test(certificates, files_that_cannot_be_used_are_a_trouble_and_a_warning)
{
    write_rubbish();
    const char *warning = certificates_apply(certificates, load());
    cr_assert_not_null(warning);
    cr_expect_str_eq(warning, "ssl cannot be used: londs that offer ssl are not reached");
    cr_expect(hosts.londs.credentials->wanted);
    cr_expect_null(hosts.londs.credentials->tls);
    cr_expect(trouble_is_present(&core, TROUBLE_TLS));
}

Test(certificates, with_tls_fallback_the_warning_says_what_is_lost)
{
    config.settings.tls_fallback = 1;
    write_rubbish();
    const char *warning = certificates_apply(certificates, load());
    cr_assert_not_null(warning);
    cr_expect_str_eq(warning,
                     "ssl cannot be used: londs are spoken to insecurely, as tls_fallback says");
}

Test(certificates, files_that_vanish_do_not_turn_ssl_off)
{
    uint64_t give_up = monotonic_now() + LONG;
    write_rubbish();
    cr_assert_not_null(certificates_apply(certificates, load()));
    remove_files();
    while (strstr(hosts.londs.credentials->problem, "has gone") == NULL) {
        cr_assert_geq(loop_turn(&core.loop, 1000), 0);
        cr_assert_lt(monotonic_now(), give_up, "the files are not looked at");
    }
    cr_expect(hosts.londs.credentials->wanted);
    cr_expect(trouble_is_present(&core, TROUBLE_TLS));
}

Test(certificates, a_reload_turns_ssl_off_when_the_files_have_gone)
{
    write_rubbish();
    cr_assert_not_null(certificates_apply(certificates, load()));
    remove_files();
    const char *warning = certificates_apply(certificates, load());
    cr_assert_not_null(warning);
    cr_expect_str_eq(warning, "ssl is off now: none of its files exists any more");
    cr_expect_not(trouble_is_present(&core, TROUBLE_TLS));
}

Test(certificates, local_mode_comes_and_goes_with_a_reload_only)
{
    struct credentials *old = load(), *new = load();
    cr_assert(new->local, "the folder can be written");
    old->local = false;
    credentials_follow(new, old);
    cr_expect_not(new->local);
    credentials_free(old);
    credentials_free(new);
}

Test(certificates, the_mode_to_begin_with_is_ssl_where_ssl_is_wanted)
{
    struct handshake_identity identity = {.allow_insecure = true};
    struct credentials *credentials = load();
    cr_expect_eq(credentials_mode(credentials, &identity), HANDSHAKE_INSECURE);
    credentials->wanted = true;
    cr_expect_eq(credentials_mode(credentials, &identity), HANDSHAKE_SSL);
    credentials->fallback = true;
    cr_expect_eq(credentials_mode(credentials, &identity), HANDSHAKE_INSECURE);
    identity.here = true;
    cr_expect_eq(credentials_mode(credentials, &identity), HANDSHAKE_LOCAL);
    credentials_free(credentials);
}
