/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The value of one setting: how it is read and written, and the exact words for what is wrong with
 * it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "tests/unit/keeper_conf.h"

TestSuite(setting, .init = heard_begin, .fini = keeper_conf_end);

/* --- Reading ---------------------------------------------------------------------------------- */

Test(setting, times_have_units_fractions_and_seconds_when_none_is_said)
{
    static const struct {
        const char *text;
        uint64_t microseconds;
    } times[] = {
        {"10000us", 10000},      {"100ms", 100000},
        {"3s", 3000000},         {"3", 3000000},
        {"3 s", 3000000},        {"2min", 120000000},
        {"0.5", 500000},         {"1.25s", 1250000},
        {"0.05min", 3000000},    {"0.001h", 3600000},
        {"0010", 10000000},      {"12.5 ms", 12500},
        {"1.0000019s", 1000001}, {"1.00000000000000000000s", 1000000},
    };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        char line[128];
        snprintf(line, sizeof(line), "connect_timeout = %s\n", times[i].text);
        expect_good(line);
        cr_expect_eq(loaded.connect_timeout, times[i].microseconds, "%s", times[i].text);
    }
}

Test(setting, hours_are_a_unit_too)
{
    expect_good("queue_timeout = 24h\nreply_timeout = 1.5h\n");
    cr_expect_eq(loaded.queue_timeout, UINT64_C(86400000000));
    cr_expect_eq(loaded.reply_timeout, UINT64_C(5400000000));
}

Test(setting, sizes_have_units_in_powers_of_1024_and_bytes_when_none_is_said)
{
    expect_good("line_limit = 4096\n");
    cr_expect_eq(loaded.line_limit, 4096);
    expect_good("line_limit = 8k\nbuffers_limit = 2G\n");
    cr_expect_eq(loaded.line_limit, 8192);
    cr_expect_eq(loaded.buffers_limit, UINT64_C(2) << 30);
    expect_good("line_limit = 16 M\n");
    cr_expect_eq(loaded.line_limit, 16U << 20);
}

Test(setting, choices_are_words)
{
    static const char *const levels[] = {"emerg",   "alert",  "crit", "err",
                                         "warning", "notice", "info", "debug"};
    for (size_t i = 0; i < 8; i++) {
        char line[64];
        snprintf(line, sizeof(line), "log_level = %s\n", levels[i]);
        expect_good(line);
        cr_expect_eq(loaded.log_level, i);
    }
    expect_good("log_target = stderr\n");
    cr_expect_eq(loaded.log_target, LOG_TARGET_STDERR);
}

Test(setting, loncapa_conf_may_be_set_to_nothing)
{
    expect_good("loncapa_conf =\n");
    cr_expect_str_eq(loaded.loncapa_conf, "");
}

Test(setting, a_value_may_hold_an_equals_sign)
{
    expect_good("loncapa_conf = /etc/a=b\n");
    cr_expect_str_eq(loaded.loncapa_conf, "/etc/a=b");
}

/* --- What is wrong with a value --------------------------------------------------------------- */

#define CONNECT "expected a time from 10ms to 300s\n"

Test(setting, a_time_must_be_one)
{
    expect_complaints("connect_timeout = 3 parsecs\n",
                      "keeper.conf:1: connect_timeout: \"3 parsecs\": " CONNECT);
}

Test(setting, a_time_cannot_be_written_in_other_ways)
{
    static const char *const bad[] = {
        "",      "s",    "-3s",    "+3s", "3S",  "3m",      "3ss",   "3s s", "three",
        ".5s",   "3.s",  "1.2.3s", "1e3", "0x3", "3,5s",    "1s 2s", "1 2",  "3k",
        "1..5s", "3 s.", "inf",    "nan", "0",   "9.999ms", "301s",  "6min",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[128];
        char diagnostic[256];
        heard_end();
        heard_begin();
        snprintf(line, sizeof(line), "connect_timeout = %s\n", bad[i]);
        snprintf(diagnostic, sizeof(diagnostic), "keeper.conf:1: connect_timeout: \"%s\": " CONNECT,
                 bad[i]);
        expect_complaints(line, diagnostic);
        cr_expect_eq(loaded.connect_timeout, 3000000, "the default stands");
    }
}

Test(setting, a_number_that_overflows_is_out_of_bounds_and_not_a_small_one)
{
    expect_complaints(
        "connections_per_host = 18446744073709551617\n" /* 2^64 + 1 */
        "line_limit = 17179869185G\n"                   /* 2^64 + 1G */
        "queue_timeout = 18446744073709551616s\n"
        "reply_timeout = 5124095576030432h\n"    /* past 2^64 us */
        "retry_delay = 18446744073709.571616s\n" /* 2^64 us + 20 ms */
        "keepalive_count = 18446744073709551621\n" /* 2^64 + 5 */,
        "keeper.conf:1: connections_per_host: \"18446744073709551617\": "
        "expected a whole number from 1 to 100\n"
        "keeper.conf:2: line_limit: \"17179869185G\": expected a size from 1k to 1G\n"
        "keeper.conf:3: queue_timeout: \"18446744073709551616s\": expected a time from 10ms to "
        "24h\n"
        "keeper.conf:4: reply_timeout: \"5124095576030432h\": expected a time from 10ms to 24h\n"
        "keeper.conf:5: retry_delay: \"18446744073709.571616s\": "
        "expected a time from 10ms to 24h\n"
        "keeper.conf:6: keepalive_count: \"18446744073709551621\": "
        "expected a whole number from 1 to 100\n");
}

Test(setting, a_count_is_a_whole_number_within_bounds)
{
    expect_complaints("connections_per_host = 0\n"
                      "queue_per_host = 100001\n"
                      "queue_total = -1\n"
                      "channel_connections = 1.5\n"
                      "descriptor_reserve = 16\n"
                      "failures_until_dead = 2x\n"
                      "keepalive_count =\n",
                      "keeper.conf:1: connections_per_host: \"0\": "
                      "expected a whole number from 1 to 100\n"
                      "keeper.conf:2: queue_per_host: \"100001\": "
                      "expected a whole number from 1 to 100000\n"
                      "keeper.conf:3: queue_total: \"-1\": "
                      "expected a whole number from 1 to 1000000\n"
                      "keeper.conf:4: channel_connections: \"1.5\": "
                      "expected a whole number from 1 to 100000\n"
                      "keeper.conf:5: descriptor_reserve: \"16\": "
                      "expected a whole number from 17 to 10000\n"
                      "keeper.conf:6: failures_until_dead: \"2x\": "
                      "expected a whole number from 1 to 100\n"
                      "keeper.conf:7: keepalive_count: \"\": "
                      "expected a whole number from 1 to 100\n");
}

Test(setting, a_size_is_a_whole_number_with_its_own_units)
{
    expect_complaints("line_limit = 1.5M\nbuffers_limit = 64m\n",
                      "keeper.conf:1: line_limit: \"1.5M\": expected a size from 1k to 1G\n"
                      "keeper.conf:2: buffers_limit: \"64m\": expected a size from 1M to 64G\n");
}

Test(setting, keep_alive_times_are_whole_seconds_as_the_kernel_counts_them)
{
    expect_good("keepalive_idle = 1min\nkeepalive_interval = 2000ms\n");
    cr_expect_eq(loaded.keepalive_interval, 2000000);
    expect_complaints("keepalive_idle = 1.5s\nkeepalive_interval = 999ms\n",
                      "keeper.conf:1: keepalive_idle: \"1.5s\": "
                      "expected a time from 1s to 1h, in whole seconds\n"
                      "keeper.conf:2: keepalive_interval: \"999ms\": "
                      "expected a time from 1s to 1h, in whole seconds\n");
}

Test(setting, a_choice_is_one_of_its_words)
{
    expect_complaints("log_target = syslog\nlog_level = 7\n",
                      "keeper.conf:1: log_target: \"syslog\": expected auto, journal or stderr\n"
                      "keeper.conf:2: log_level: \"7\": expected emerg, alert, crit, err, warning, "
                      "notice, info or debug\n");
}

Test(setting, DNS_servers_are_addresses_with_or_without_a_port)
{
    static const char *const good[] = {
        "",
        "192.0.2.1",
        "192.0.2.1:5353",
        "192.0.2.1,192.0.2.2:1,192.0.2.3:65535",
        "2001:db8::1",
        "[2001:db8::1]",
        "[::1]:5353,192.0.2.1",
    };
    static const char *const bad[] = {
        "localhost",
        "192.0.2",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1: 1",
        ",",
        "192.0.2.1,",
        ",192.0.2.1",
        "192.0.2.1,,192.0.2.2",
        "[::1",
        "[::1]53",
        "[::1]:x",
        "[192.0.2.1]:53",
        "192.0.2.1 192.0.2.2",
        "::1:53:",
        "192.0.2.1;192.0.2.2",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char line[128];
        snprintf(line, sizeof(line), "resolve_servers = %s\n", good[i]);
        expect_good(line);
        cr_expect_str_eq(loaded.resolve_servers, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char line[128];
        char diagnostic[256];
        heard_end();
        heard_begin();
        snprintf(line, sizeof(line), "resolve_servers = %s\n", bad[i]);
        snprintf(diagnostic, sizeof(diagnostic),
                 "keeper.conf:1: resolve_servers: \"%s\": expected ADDRESS[:PORT] separated "
                 "by commas, or nothing\n",
                 bad[i]);
        expect_complaints(line, diagnostic);
    }
}

Test(setting, a_path_is_absolute)
{
    expect_complaints("loncapa_conf = etc/loncapa.conf\nruntime_dir =\n",
                      "keeper.conf:1: loncapa_conf: \"etc/loncapa.conf\": "
                      "expected an absolute path of at most 4000 bytes, or nothing\n"
                      "keeper.conf:2: runtime_dir: \"\": "
                      "expected an absolute path of at most 94 bytes\n");
    cr_expect_str_eq(loaded.runtime_dir, "/run/lonc");
}

/* --- Names ------------------------------------------------------------------------------------ */

Test(setting, each_value_knows_the_line_that_it_is_from)
{
    size_t probe = settings_find("probe_min"), conf = settings_find("loncapa_conf");
    cr_assert_lt(probe, settings_count);
    cr_assert_eq(settings_find("probe"), settings_count);
    expect_good("# a comment\n\nprobe_min = 5s\nloncapa_conf = /etc/x\n");
    cr_expect_eq(loaded.lines[probe], 3, "also where it is what the default is");
    cr_expect_eq(loaded.lines[conf], 4);
    cr_expect_eq(loaded.lines[settings_find("probe_max")], 0, "the default is of no line");
}

Test(setting, a_bad_value_leaves_the_default_which_is_of_no_line)
{
    cr_assert_eq(keeper_conf_load("probe_min = soon\n"), -1);
    cr_expect_eq(loaded.lines[settings_find("probe_min")], 0);
}

Test(setting, names_of_hosts_stand_with_blanks_between)
{
    expect_good("activation_exceptions = msul1 \t s10-a.msu.edu\n");
    cr_expect_str_eq(loaded.activation_exceptions, "msul1 \t s10-a.msu.edu");
    expect_good("activation_exceptions =\n");
    cr_expect_str_eq(loaded.activation_exceptions, "");
}

Test(setting, what_is_no_name_of_a_host_is_no_exception)
{
    expect_complaints("activation_exceptions = msul1, msul2\n",
                      "keeper.conf:1: activation_exceptions: \"msul1, msul2\": expected host "
                      "names separated by blanks, or nothing\n");
    cr_expect_eq(keeper_conf_load("activation_exceptions = ../x\n"), -1);
}

Test(setting, a_name_that_is_too_long_is_no_exception_either)
{
    char text[400];
    char name[255];
    memset(name, 'a', 254);
    name[254] = '\0';
    snprintf(text, sizeof(text), "activation_exceptions = %s\n", name + 1);
    cr_expect_eq(keeper_conf_load(text), 0);
    snprintf(text, sizeof(text), "activation_exceptions = %s\n", name);
    cr_expect_eq(keeper_conf_load(text), -1);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void expect_written(const char *name, const char *value, const char *written)
{
    char text[256];
    snprintf(text, sizeof(text), "%s = %s\n", name, value);
    expect_good(text);
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].name, name) == 0)
            setting_format(&settings_table[i], &loaded, text, sizeof(text));
    cr_expect_str_eq(text, written, "%s = %s is written %s", name, value, text);
}

Test(setting, a_value_is_written_in_the_largest_unit_that_reads_well)
{
    expect_written("queue_timeout", "0.1", "100ms");
    expect_written("queue_timeout", "10001us", "10001us");
    expect_written("queue_timeout", "1.5s", "1500ms");
    expect_written("queue_timeout", "5min", "300s");
    expect_written("queue_timeout", "600", "10min");
    expect_written("queue_timeout", "90min", "90min");
    expect_written("queue_timeout", "120min", "2h");
    expect_written("line_limit", "1024", "1k");
    expect_written("line_limit", "1025", "1025");
    expect_written("line_limit", "1536k", "1536k");
    expect_written("buffers_limit", "1024M", "1G");
    expect_written("connections_per_host", "007", "7");
    expect_written("log_level", "warning", "warning");
    expect_written("runtime_dir", "/run/x", "/run/x");
}

Test(setting, a_value_that_does_not_fit_the_room_is_cut)
{
    char text[5];
    expect_good("");
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].name, "runtime_dir") == 0)
            setting_format(&settings_table[i], &loaded, text, sizeof(text));
    cr_expect_str_eq(text, "/run");
}
