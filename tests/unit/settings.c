/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper.conf: the table keeps its own rules, values are read and written by it, and the exact
 * words for what is wrong.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/settings.h"
#include "tests/unit/heard.h"

static struct settings settings;

static void end(void)
{
    settings_free(&settings);
    heard_end();
}

TestSuite(settings, .init = heard_begin, .fini = end);

static int load(const char *text)
{
    write_file("keeper.conf", text);
    settings_free(&settings);
    return settings_load(&settings, "keeper.conf", false, &heard);
}

static void expect_good(const char *text)
{
    int result = load(text);
    cr_assert_eq(result, 0, "heard:\n%s", heard_text());
    expect_heard("");
}

static void expect_complaints(const char *text, const char *diagnostics)
{
    cr_assert_eq(load(text), -1);
    expect_heard(diagnostics);
}

/* --- The table -------------------------------------------------------------------------------- */

Test(settings, every_default_is_within_its_own_bounds_and_written_in_the_standard_way)
{
    cr_assert_eq(settings_load(&settings, "nowhere.conf", true, &heard), 0);
    expect_heard("");
    for (size_t i = 0; i < settings_count; i++) {
        char text[256];
        setting_format(&settings_table[i], &settings, text, sizeof(text));
        cr_expect_str_eq(text, settings_table[i].default_value, "%s: %s", settings_table[i].name,
                         text);
    }
}

/* With the static check of the number of rows: every member has exactly one. */
Test(settings, no_two_rows_share_a_member_or_a_name)
{
    for (size_t i = 0; i < settings_count; i++)
        for (size_t j = 0; j < i; j++) {
            cr_expect_neq(settings_table[i].offset, settings_table[j].offset);
            cr_expect_str_neq(settings_table[i].name, settings_table[j].name);
        }
}

Test(settings, every_row_has_bounds_in_order_and_a_meaning_that_is_a_sentence)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        cr_expect_lt(row->low, row->high, "%s", row->name);
        cr_expect_gt(strlen(row->meaning), 20, "%s", row->name);
        cr_expect_eq(row->meaning[strlen(row->meaning) - 1], '.', "%s", row->name);
        cr_expect_eq(row->words != NULL, row->kind == SETTING_CHOICE, "%s", row->name);
    }
}

Test(settings, the_defaults_are_those_of_the_design)
{
    expect_good("");
    cr_expect_str_eq(settings.loncapa_conf, "");
    cr_expect_str_eq(settings.runtime_dir, "/run/lonc");
    cr_expect_eq(settings.log_target, LOG_TARGET_AUTO);
    cr_expect_eq(settings.log_level, 6);
    cr_expect_eq(settings.connections_per_host, 10);
    cr_expect_eq(settings.queue_per_host, 1000);
    cr_expect_eq(settings.queue_total, 4000);
    cr_expect_eq(settings.failures_until_dead, 2);
    cr_expect_eq(settings.line_limit, 64U << 20);
    cr_expect_eq(settings.buffers_limit, 256U << 20);
    cr_expect_eq(settings.connect_timeout, 3000000);
    cr_expect_eq(settings.resolve, RESOLVE_TABLE);
    cr_expect_str_eq(settings.resolve_servers, "");
    cr_expect_eq(settings.resolve_cache, 60000000);
    cr_expect_eq(settings.resolve_failure_cache, 15000000);
    cr_expect_eq(settings.handshake_timeout, 30000000);
    cr_expect_eq(settings.request_timeout, 120000000);
    cr_expect_eq(settings.connection_idle_timeout, 300000000);
    cr_expect_eq(settings.probe_max, 60000000);
    cr_expect_eq(settings.drain_timeout, 10000000);
}

/* A bound that its own parser refused would be named in diagnostics and yet not work. */
Test(settings, both_bounds_of_every_number_can_be_written_and_read_back)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (row->kind == SETTING_TEXT || row->kind == SETTING_NAMES || row->kind == SETTING_SERVERS)
            continue;
        for (int high = 0; high < 2; high++) {
            uint64_t bound = high ? row->high : row->low;
            struct settings wanted = {0};
            memcpy((char *)&wanted + row->offset, &bound, sizeof(bound));

            char value[64];
            char line[128];
            setting_format(row, &wanted, value, sizeof(value));
            snprintf(line, sizeof(line), "%s = %s\n", row->name, value);
            /* An extreme may contradict another setting; what counts is that it is read. */
            load(line);
            cr_expect_arr_eq((char *)&settings + row->offset, &bound, sizeof(bound), "%s", line);
        }
    }
}

Test(settings, the_longest_runtime_dir_leaves_room_for_the_sockets_name)
{
    struct sockaddr_un address;
    char line[256] = "runtime_dir = /";
    size_t most = sizeof(address.sun_path) - sizeof("/control.sock");

    memset(line + strlen(line), 'r', most - 1);
    expect_good(line);
    cr_expect_eq(strlen(settings.runtime_dir), most);
    strcat(line, "r");
    cr_expect_eq(load(line), -1);
    cr_expect_not_null(strstr(heard_text(), "expected an absolute path of at most 94 bytes\n"));
}

/* --- Reading ---------------------------------------------------------------------------------- */

Test(settings, a_line_sets_a_value_and_blanks_around_it_do_not_matter)
{
    expect_good("connections_per_host=5\n  queue_per_host\t=  7  \nruntime_dir = /run/other\n");
    cr_expect_eq(settings.connections_per_host, 5);
    cr_expect_eq(settings.queue_per_host, 7);
    cr_expect_str_eq(settings.runtime_dir, "/run/other");
}

Test(settings, comments_blank_lines_and_CR_mean_nothing)
{
    expect_good("# the keeper\r\n\r\nqueue_per_host = 7 # few\r\n   # more\r\n");
    cr_expect_eq(settings.queue_per_host, 7);
}

Test(settings, what_the_file_leaves_out_keeps_its_default)
{
    expect_good("queue_per_host = 7\n");
    cr_expect_eq(settings.queue_total, 4000);
}

Test(settings, times_have_units_fractions_and_seconds_when_none_is_said)
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
        cr_expect_eq(settings.connect_timeout, times[i].microseconds, "%s", times[i].text);
    }
}

Test(settings, hours_are_a_unit_too)
{
    expect_good("queue_timeout = 24h\nreply_timeout = 1.5h\n");
    cr_expect_eq(settings.queue_timeout, UINT64_C(86400000000));
    cr_expect_eq(settings.reply_timeout, UINT64_C(5400000000));
}

Test(settings, sizes_have_units_in_powers_of_1024_and_bytes_when_none_is_said)
{
    expect_good("line_limit = 4096\n");
    cr_expect_eq(settings.line_limit, 4096);
    expect_good("line_limit = 8k\nbuffers_limit = 2G\n");
    cr_expect_eq(settings.line_limit, 8192);
    cr_expect_eq(settings.buffers_limit, UINT64_C(2) << 30);
    expect_good("line_limit = 16 M\n");
    cr_expect_eq(settings.line_limit, 16U << 20);
}

Test(settings, choices_are_words)
{
    static const char *const levels[] = {"emerg",   "alert",  "crit", "err",
                                         "warning", "notice", "info", "debug"};
    for (size_t i = 0; i < 8; i++) {
        char line[64];
        snprintf(line, sizeof(line), "log_level = %s\n", levels[i]);
        expect_good(line);
        cr_expect_eq(settings.log_level, i);
    }
    expect_good("log_target = stderr\n");
    cr_expect_eq(settings.log_target, LOG_TARGET_STDERR);
}

Test(settings, loncapa_conf_may_be_set_to_nothing)
{
    expect_good("loncapa_conf =\n");
    cr_expect_str_eq(settings.loncapa_conf, "");
}

Test(settings, a_value_may_hold_an_equals_sign)
{
    expect_good("loncapa_conf = /etc/a=b\n");
    cr_expect_str_eq(settings.loncapa_conf, "/etc/a=b");
}

/* --- What is wrong with a value --------------------------------------------------------------- */

#define CONNECT "expected a time from 10ms to 300s\n"

Test(settings, a_time_must_be_one)
{
    expect_complaints("connect_timeout = 3 parsecs\n",
                      "keeper.conf:1: connect_timeout: \"3 parsecs\": " CONNECT);
}

Test(settings, a_time_cannot_be_written_in_other_ways)
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
        cr_expect_eq(settings.connect_timeout, 3000000, "the default stands");
    }
}

Test(settings, a_number_that_overflows_is_out_of_bounds_and_not_a_small_one)
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

Test(settings, a_count_is_a_whole_number_within_bounds)
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

Test(settings, a_size_is_a_whole_number_with_its_own_units)
{
    expect_complaints("line_limit = 1.5M\nbuffers_limit = 64m\n",
                      "keeper.conf:1: line_limit: \"1.5M\": expected a size from 1k to 1G\n"
                      "keeper.conf:2: buffers_limit: \"64m\": expected a size from 1M to 64G\n");
}

Test(settings, keep_alive_times_are_whole_seconds_as_the_kernel_counts_them)
{
    expect_good("keepalive_idle = 1min\nkeepalive_interval = 2000ms\n");
    cr_expect_eq(settings.keepalive_interval, 2000000);
    expect_complaints("keepalive_idle = 1.5s\nkeepalive_interval = 999ms\n",
                      "keeper.conf:1: keepalive_idle: \"1.5s\": "
                      "expected a time from 1s to 1h, in whole seconds\n"
                      "keeper.conf:2: keepalive_interval: \"999ms\": "
                      "expected a time from 1s to 1h, in whole seconds\n");
}

Test(settings, a_choice_is_one_of_its_words)
{
    expect_complaints("log_target = syslog\nlog_level = 7\n",
                      "keeper.conf:1: log_target: \"syslog\": expected auto, journal or stderr\n"
                      "keeper.conf:2: log_level: \"7\": expected emerg, alert, crit, err, warning, "
                      "notice, info or debug\n");
}

Test(settings, DNS_servers_are_addresses_with_or_without_a_port)
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
        cr_expect_str_eq(settings.resolve_servers, good[i]);
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

Test(settings, a_path_is_absolute)
{
    expect_complaints("loncapa_conf = etc/loncapa.conf\nruntime_dir =\n",
                      "keeper.conf:1: loncapa_conf: \"etc/loncapa.conf\": "
                      "expected an absolute path of at most 4000 bytes, or nothing\n"
                      "keeper.conf:2: runtime_dir: \"\": "
                      "expected an absolute path of at most 94 bytes\n");
    cr_expect_str_eq(settings.runtime_dir, "/run/lonc");
}

/* --- What is wrong with a line or the file ---------------------------------------------------- */

Test(settings, an_unknown_name_is_a_mistake)
{
    expect_complaints("conect_timeout = 3s\nConnect_Timeout = 3s\n= 3s\n",
                      "keeper.conf:1: name: \"conect_timeout\": expected the name of a setting\n"
                      "keeper.conf:2: name: \"Connect_Timeout\": expected the name of a setting\n"
                      "keeper.conf:3: name: \"\": expected the name of a setting\n");
}

Test(settings, a_line_without_an_equals_sign_is_a_mistake)
{
    expect_complaints("connect_timeout 3s\n[keeper]\nlog_level # = info\n",
                      "keeper.conf:1: line: \"connect_timeout 3s\": expected name = value\n"
                      "keeper.conf:2: line: \"[keeper]\": expected name = value\n"
                      "keeper.conf:3: line: \"log_level\": expected name = value\n");
}

Test(settings, a_name_may_be_set_only_once)
{
    expect_complaints(
        "connect_timeout = 4s\n\nconnect_timeout = 4s\nconnect_timeout = x\n",
        "keeper.conf:3: connect_timeout: \"4s\": expected only once, but line 1 sets it too\n"
        "keeper.conf:4: connect_timeout: \"x\": expected only once, but line 1 sets it too\n");
    cr_expect_eq(settings.connect_timeout, 4000000, "the first stands");
}

Test(settings, all_mistakes_are_named_in_one_run)
{
    expect_complaints("nonsense\nconnect_timeout = x\nprobe_min = 2h\n",
                      "keeper.conf:1: line: \"nonsense\": expected name = value\n"
                      "keeper.conf:2: connect_timeout: \"x\": " CONNECT
                      "keeper.conf:3: probe_min: \"2h\": "
                      "expected at most probe_max, which is 60s\n");
}

Test(settings, more_than_twenty_mistakes_are_counted)
{
    char text[1024] = "";
    for (int i = 0; i < 30; i++)
        strcat(text, "nonsense\n");
    cr_expect_eq(load(text), -1);
    cr_expect_eq(heard.count, 30);
    cr_expect_not_null(strstr(heard_text(), "keeper.conf:20: "));
    cr_expect_null(strstr(heard_text(), "keeper.conf:21: "));
}

Test(settings, unprintable_bytes_and_NUL_do_not_get_through)
{
    static const char bytes[] = "connect_timeout = 3\033s\nqueue_total = 5\0000\n";
    write_bytes("keeper.conf", bytes, sizeof(bytes) - 1);
    cr_expect_eq(settings_load(&settings, "keeper.conf", false, &heard), -1);
    expect_heard("keeper.conf:1: connect_timeout: \"3?s\": " CONNECT
                 "keeper.conf:2: the line contains a NUL byte\n");
    cr_expect_eq(settings.queue_total, 4000);
}

Test(settings, a_missing_file_is_a_mistake_unless_it_is_optional)
{
    cr_expect_eq(settings_load(&settings, "nowhere.conf", false, &heard), -1);
    expect_heard("nowhere.conf: cannot be read: No such file or directory\n");
    cr_expect_str_eq(settings.runtime_dir, "/run/lonc", "the defaults are set all the same");
    settings_free(&settings);
    cr_expect_eq(settings_load(&settings, "nowhere.conf", true, &heard), 0);
    cr_expect_eq(heard.count, 1);
}

Test(settings, an_optional_file_that_cannot_be_read_is_a_mistake)
{
    write_file("file", "");
    cr_expect_eq(settings_load(&settings, "file/keeper.conf", true, &heard), -1);
    expect_heard("file/keeper.conf: cannot be read: Not a directory\n");
}

Test(settings, the_null_device_holds_no_settings)
{
    cr_expect_eq(settings_load(&settings, "/dev/null", false, &heard), 0);
    expect_heard("");
}

/* --- Contradictions --------------------------------------------------------------------------- */

Test(settings, the_first_probe_cannot_come_after_the_last)
{
    expect_complaints("probe_min = 90s\n", "keeper.conf:1: probe_min: \"90s\": "
                                           "expected at most probe_max, which is 60s\n");
}

Test(settings, the_later_line_is_the_one_to_blame)
{
    expect_complaints("probe_min = 90s\nprobe_max = 80s\n",
                      "keeper.conf:2: probe_max: \"80s\": "
                      "expected at least probe_min, which is 90s\n");
}

Test(settings, one_hosts_queue_cannot_be_longer_than_all_together)
{
    expect_complaints("queue_total = 999\n", "keeper.conf:1: queue_total: \"999\": "
                                             "expected at least queue_per_host, which is 1000\n");
}

Test(settings, one_line_cannot_be_longer_than_all_buffers)
{
    expect_complaints("buffers_limit = 32M\n", "keeper.conf:1: buffers_limit: \"32M\": "
                                               "expected at least line_limit, which is 64M\n");
}

Test(settings, equal_bounds_do_not_contradict)
{
    expect_good("probe_min = 60s\nqueue_total = 1000\nbuffers_limit = 64M\n");
}

Test(settings, a_bad_value_is_not_blamed_for_a_contradiction_as_well)
{
    expect_complaints("probe_max = never\nprobe_min = 90s\n",
                      "keeper.conf:1: probe_max: \"never\": expected a time from 10ms to 24h\n");
}

/* --- Names ------------------------------------------------------------------------------------ */

Test(settings, each_value_knows_the_line_that_it_is_from)
{
    size_t probe = settings_find("probe_min"), conf = settings_find("loncapa_conf");
    cr_assert_lt(probe, settings_count);
    cr_assert_eq(settings_find("probe"), settings_count);
    expect_good("# a comment\n\nprobe_min = 5s\nloncapa_conf = /etc/x\n");
    cr_expect_eq(settings.lines[probe], 3, "also where it is what the default is");
    cr_expect_eq(settings.lines[conf], 4);
    cr_expect_eq(settings.lines[settings_find("probe_max")], 0, "the default is of no line");
}

Test(settings, a_bad_value_leaves_the_default_which_is_of_no_line)
{
    cr_assert_eq(load("probe_min = soon\n"), -1);
    cr_expect_eq(settings.lines[settings_find("probe_min")], 0);
}

Test(settings, names_of_hosts_stand_with_blanks_between)
{
    expect_good("activation_exceptions = msul1 \t s10-a.msu.edu\n");
    cr_expect_str_eq(settings.activation_exceptions, "msul1 \t s10-a.msu.edu");
    expect_good("activation_exceptions =\n");
    cr_expect_str_eq(settings.activation_exceptions, "");
}

Test(settings, what_is_no_name_of_a_host_is_no_exception)
{
    expect_complaints("activation_exceptions = msul1, msul2\n",
                      "keeper.conf:1: activation_exceptions: \"msul1, msul2\": expected host "
                      "names separated by blanks, or nothing\n");
    cr_expect_eq(load("activation_exceptions = ../x\n"), -1);
}

Test(settings, a_name_that_is_too_long_is_no_exception_either)
{
    char text[400];
    char name[255];
    memset(name, 'a', 254);
    name[254] = '\0';
    snprintf(text, sizeof(text), "activation_exceptions = %s\n", name + 1);
    cr_expect_eq(load(text), 0);
    snprintf(text, sizeof(text), "activation_exceptions = %s\n", name);
    cr_expect_eq(load(text), -1);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void expect_written(const char *name, const char *value, const char *written)
{
    char text[256];
    snprintf(text, sizeof(text), "%s = %s\n", name, value);
    expect_good(text);
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].name, name) == 0)
            setting_format(&settings_table[i], &settings, text, sizeof(text));
    cr_expect_str_eq(text, written, "%s = %s is written %s", name, value, text);
}

Test(settings, a_value_is_written_in_the_largest_unit_that_reads_well)
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

Test(settings, a_value_that_does_not_fit_the_room_is_cut)
{
    char text[5];
    expect_good("");
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].name, "runtime_dir") == 0)
            setting_format(&settings_table[i], &settings, text, sizeof(text));
    cr_expect_str_eq(text, "/run");
}
