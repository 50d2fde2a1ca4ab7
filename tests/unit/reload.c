/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A reload of real files: what comes into force, what does not, and who is told.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "keeper/client/clients.h"
#include "keeper/control/lonclog.h"
#include "keeper/control/reload.h"
#include "tests/unit/heard.h"

#define LONG UINT64_C(5000000)

#define MSUL1 "msul1:msu:library:msul1.edu:127.0.0.1\n"
#define MSUL2 "msul2:msu:library:msul2.edu:127.0.0.2\n"

static struct core core;
static struct hosts hosts;
static struct status status;
static struct reload_parts parts = {.hosts = &hosts};
static struct reload *reload;

struct asker {
    struct reload_waiter waiter;
    unsigned told;
    bool failed;
    size_t hosts;
    char errors[512];
};

static void on_done(struct reload_waiter *waiter, const struct reload_outcome *outcome)
{
    struct asker *asker = CONTAINER_OF(waiter, struct asker, waiter);
    asker->told++;
    asker->failed = outcome->failed;
    asker->hosts = hosts.count;
    if (buffer_length(&outcome->errors) > 0)
        snprintf(asker->errors, sizeof(asker->errors), "%s",
                 outcome->errors.data + outcome->errors.start);
}

static char here[128]; /* the working directory */

static void write_settings(const char *more)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "loncapa_conf = %s/loncapa.conf\nruntime_dir = %s/run\nstate_dir = %s/state\n"
             "log_target = stderr\nconfig_retry_min = 100ms\nconfig_retry_max = 1s\n%s",
             here, here, here, more);
    write_file("keeper.conf", text);
}

static void configure(void)
{
    char text[1024];
    cr_assert_not_null(getcwd(here, sizeof(here)));
    snprintf(text, sizeof(text),
             "PerlSetVar lonHostID annarborl1\nPerlSetVar lonSockDir %s/sockets\n"
             "PerlSetVar lonTabDir %s/tabs\nPerlSetVar lonDaemons %s\nPerlSetVar lonDocRoot %s\n",
             here, here, here, here);
    write_file("loncapa.conf", text);
    write_settings("");
    write_file("tabs/hosts.tab", MSUL1);
}

/* As keeper.c puts them together. */
static void start(void)
{
    struct diagnostics diagnostics = heard;
    struct config *config = config_load("keeper.conf", &diagnostics);
    cr_assert_not_null(config);
    cr_assert_eq(core_start(&core, config), 0);
    core.descriptors_max = 1000;
    cr_assert_eq(hosts_open(&hosts, &core), 0);
    parts.deferred = deferred_new(&hosts);
    status = (struct status){.core = &core, .hosts = &hosts, .deferred = parts.deferred};
    parts.notifier = notifier_new(&core, &status);
    parts.certificates = certificates_new(&hosts);
    reload = reload_new(&parts, "keeper.conf");
    cr_assert_not_null(reload);
    cr_assert_eq(reload_first(reload, config, diagnostics.first), 0);
}

static void begin(void)
{
    static const char *const folders[] = {"sockets", "sockets/delayed", "tabs", "logs", "run",
                                          "state"};
    heard_begin();
    signal(SIGIO, SIG_IGN);
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        cr_assert_eq(mkdir(folders[i], 0755), 0);
    configure();
}

static void end(void)
{
    core.stopping = true;
    hosts_abandon(&hosts);
    deferred_free(parts.deferred);
    notifier_free(parts.notifier);
    reload_free(reload);
    certificates_free(parts.certificates);
    hosts_close(&hosts);
    lonclog_close();
    core_end(&core);
    heard_end();
}

TestSuite(reload, .init = begin, .fini = end, .timeout = 60);

static void turn_until_told(const struct asker *asker)
{
    uint64_t give_up = monotonic_now() + LONG;
    while (asker->told == 0) {
        cr_assert_lt(monotonic_now(), give_up, "nobody is told");
        cr_assert_geq(loop_turn(&core.loop, 10000), 0);
    }
}

static struct asker ask(void)
{
    struct asker asker = {.waiter.done = on_done};
    reload_ask(reload, &asker.waiter);
    turn_until_told(&asker);
    return asker;
}

static bool is_listed(const char *id)
{
    struct host *host = hosts_hold(&hosts, id);
    if (host != NULL)
        hosts_release(host);
    return host != NULL;
}

Test(reload, the_first_configuration_is_in_force_at_once)
{
    start();
    cr_expect(core.config->valid);
    cr_expect(is_listed("msul1"));
    cr_expect_not(trouble_is_present(&core, TROUBLE_CONFIG));
}

Test(reload, a_changed_table_and_setting_come_into_force)
{
    start();
    write_file("tabs/hosts.tab", MSUL2);
    write_settings("queue_per_host = 7\n");
    struct asker asker = ask();
    cr_expect_not(asker.failed);
    cr_expect_eq(asker.hosts, 1);
    cr_expect(is_listed("msul2"));
    cr_expect_not(is_listed("msul1"));
    cr_expect_eq(core.settings.queue_per_host, 7);
}

Test(reload, one_mistake_leaves_all_as_it_was_until_it_is_mended)
{
    start();
    write_file("tabs/hosts.tab", MSUL1 MSUL2 "bad line\n");
    write_settings("queue_per_host = 7\n");
    struct asker asker = ask();
    cr_expect(asker.failed);
    cr_expect_not_null(strstr(asker.errors, "hosts.tab:3: "), "%s", asker.errors);
    cr_expect_not(is_listed("msul2"));
    cr_expect_neq(core.settings.queue_per_host, 7);
    cr_expect(trouble_is_present(&core, TROUBLE_CONFIG));

    write_file("tabs/hosts.tab", MSUL1 MSUL2);
    asker = ask();
    cr_expect_not(asker.failed);
    cr_expect_str_eq(asker.errors, "");
    cr_expect_eq(asker.hosts, 2);
    cr_expect_eq(core.settings.queue_per_host, 7);
    cr_expect_not(trouble_is_present(&core, TROUBLE_CONFIG));
}

Test(reload, who_asks_while_one_is_under_way_is_told_of_the_next)
{
    struct asker first = {.waiter.done = on_done}, second = first, third = first;
    start();
    reload_ask(reload, &first.waiter);
    while (hosts.by_id.rbh_root == NULL) /* a host is there from the start */
        cr_assert_geq(loop_turn(&core.loop, 0), 0);
    for (int i = 0; i < 3; i++) /* the table has been read */
        cr_assert_geq(loop_turn(&core.loop, 0), 0);
    write_file("tabs/hosts.tab", MSUL1 MSUL2);
    reload_ask(reload, &second.waiter);
    reload_ask(reload, &third.waiter);
    turn_until_told(&first);
    cr_expect_eq(second.told, 0);
    turn_until_told(&second);
    cr_expect_eq(second.hosts, 2);
    cr_expect_eq(third.told, 1, "one reload serves both");
    cr_expect_eq(first.told, 1);
}

Test(reload, who_has_gone_is_not_told)
{
    struct asker gone = {.waiter.done = on_done}, other = gone;
    start();
    reload_ask(reload, &gone.waiter);
    reload_ask(reload, &other.waiter);
    reload_withdraw(&gone.waiter);
    reload_withdraw(&gone.waiter);
    turn_until_told(&other);
    cr_expect_eq(gone.told, 0);
}

Test(reload, lonc_hosts_is_asked_when_nobody_waits)
{
    start();
    (void)ask();
    cr_expect_neq(access("run/reloaded", F_OK), 0, "who waits runs it itself");
    struct asker after = {.waiter.done = on_done};
    reload_ask(reload, NULL);
    cr_assert_geq(loop_turn(&core.loop, 0), 0);
    reload_ask(reload, &after.waiter);
    turn_until_told(&after);
    cr_expect_eq(access("run/reloaded", F_OK), 0);
}

Test(reload, without_a_valid_configuration_the_files_are_read_again_by_themselves)
{
    write_file("tabs/hosts.tab", "bad line\n");
    start();
    cr_expect_not(core.config->valid);
    cr_expect(trouble_is_present(&core, TROUBLE_CONFIG));
    uint64_t give_up = monotonic_now() + LONG;
    for (int i = 0; i < 30; i++) /* some attempts may fail */
        cr_assert_geq(loop_turn(&core.loop, 10000), 0);
    write_file("tabs/hosts.tab", MSUL1);
    while (!core.config->valid || trouble_is_present(&core, TROUBLE_CONFIG)) {
        cr_assert_lt(monotonic_now(), give_up, "they are not");
        cr_assert_geq(loop_turn(&core.loop, 10000), 0);
    }
    cr_expect(is_listed("msul1"));
    cr_expect_eq(access("run/reloaded", F_OK), 0, "lonc-hosts is asked for sockets");
}
