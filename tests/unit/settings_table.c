/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of settings keeps its own rules.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "tests/unit/keeper_conf.h"

TestSuite(settings_table, .init = heard_begin, .fini = keeper_conf_end);

Test(settings_table, every_default_is_within_its_own_bounds_and_written_in_the_standard_way)
{
    cr_assert_eq(settings_load(&loaded, "nowhere.conf", true, &heard), 0);
    expect_heard("");
    for (size_t i = 0; i < settings_count; i++) {
        char text[256];
        setting_format(&settings_table[i], &loaded, text, sizeof(text));
        cr_expect_str_eq(text, settings_table[i].default_value, "%s: %s", settings_table[i].name,
                         text);
    }
}

/* With the static check of the number of rows: every member has exactly one. */
Test(settings_table, no_two_rows_share_a_member_or_a_name)
{
    for (size_t i = 0; i < settings_count; i++)
        for (size_t j = 0; j < i; j++) {
            cr_expect_neq(settings_table[i].offset, settings_table[j].offset);
            cr_expect_str_neq(settings_table[i].name, settings_table[j].name);
        }
}

Test(settings_table, every_row_has_bounds_in_order_and_a_meaning_that_is_a_sentence)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        cr_expect_lt(row->low, row->high, "%s", row->name);
        cr_expect_gt(strlen(row->meaning), 20, "%s", row->name);
        cr_expect_eq(row->meaning[strlen(row->meaning) - 1], '.', "%s", row->name);
        cr_expect_eq(row->words != NULL, row->kind == SETTING_CHOICE, "%s", row->name);
    }
}

Test(settings_table, the_defaults_are_those_of_the_design)
{
    expect_good("");
    cr_expect_str_eq(loaded.loncapa_conf, "");
    cr_expect_str_eq(loaded.runtime_dir, "/run/lonc");
    cr_expect_eq(loaded.log_target, LOG_TARGET_AUTO);
    cr_expect_eq(loaded.log_level, 6);
    cr_expect_eq(loaded.connections_per_host, 10);
    cr_expect_eq(loaded.queue_per_host, 1000);
    cr_expect_eq(loaded.queue_total, 4000);
    cr_expect_eq(loaded.failures_until_dead, 2);
    cr_expect_eq(loaded.line_limit, 64U << 20);
    cr_expect_eq(loaded.buffers_limit, 256U << 20);
    cr_expect_eq(loaded.connect_timeout, 3000000);
    cr_expect_eq(loaded.resolve, RESOLVE_TABLE);
    cr_expect_str_eq(loaded.resolve_servers, "");
    cr_expect_eq(loaded.resolve_cache, 60000000);
    cr_expect_eq(loaded.resolve_failure_cache, 15000000);
    cr_expect_eq(loaded.handshake_timeout, 30000000);
    cr_expect_eq(loaded.request_timeout, 120000000);
    cr_expect_eq(loaded.connection_idle_timeout, 300000000);
    cr_expect_eq(loaded.probe_max, 60000000);
    cr_expect_eq(loaded.drain_timeout, 10000000);
}

/* A bound that its own parser refused would be named in diagnostics and yet not work. */
Test(settings_table, both_bounds_of_every_number_can_be_written_and_read_back)
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
            keeper_conf_load(line);
            cr_expect_arr_eq((char *)&loaded + row->offset, &bound, sizeof(bound), "%s", line);
        }
    }
}

Test(settings_table, the_longest_runtime_dir_leaves_room_for_the_sockets_name)
{
    struct sockaddr_un address;
    char line[256] = "runtime_dir = /";
    size_t most = sizeof(address.sun_path) - sizeof("/control.sock");

    memset(line + strlen(line), 'r', most - 1);
    expect_good(line);
    cr_expect_eq(strlen(loaded.runtime_dir), most);
    strcat(line, "r");
    cr_expect_eq(keeper_conf_load(line), -1);
    cr_expect_not_null(strstr(heard_text(), "expected an absolute path of at most 94 bytes\n"));
}
