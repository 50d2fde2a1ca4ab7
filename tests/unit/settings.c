/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file keeper.conf: its lines, and the exact words for what is wrong with one of them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "tests/unit/keeper_conf.h"

#define CONNECT "expected a time from 10ms to 300s\n"

TestSuite(settings, .init = heard_begin, .fini = keeper_conf_end);

/* --- Reading ---------------------------------------------------------------------------------- */

Test(settings, a_line_sets_a_value_and_blanks_around_it_do_not_matter)
{
    expect_good("connections_per_host=5\n  queue_per_host\t=  7  \nruntime_dir = /run/other\n");
    cr_expect_eq(loaded.connections_per_host, 5);
    cr_expect_eq(loaded.queue_per_host, 7);
    cr_expect_str_eq(loaded.runtime_dir, "/run/other");
}

Test(settings, comments_blank_lines_and_CR_mean_nothing)
{
    expect_good("# the keeper\r\n\r\nqueue_per_host = 7 # few\r\n   # more\r\n");
    cr_expect_eq(loaded.queue_per_host, 7);
}

Test(settings, what_the_file_leaves_out_keeps_its_default)
{
    expect_good("queue_per_host = 7\n");
    cr_expect_eq(loaded.queue_total, 4000);
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
    cr_expect_eq(loaded.connect_timeout, 4000000, "the first stands");
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
    cr_expect_eq(keeper_conf_load(text), -1);
    cr_expect_eq(heard.count, 30);
    cr_expect_not_null(strstr(heard_text(), "keeper.conf:20: "));
    cr_expect_null(strstr(heard_text(), "keeper.conf:21: "));
}

Test(settings, unprintable_bytes_and_NUL_do_not_get_through)
{
    static const char bytes[] = "connect_timeout = 3\033s\nqueue_total = 5\0000\n";
    write_bytes("keeper.conf", bytes, sizeof(bytes) - 1);
    cr_expect_eq(settings_load(&loaded, "keeper.conf", false, &heard), -1);
    expect_heard("keeper.conf:1: connect_timeout: \"3?s\": " CONNECT
                 "keeper.conf:2: the line contains a NUL byte\n");
    cr_expect_eq(loaded.queue_total, 4000);
}

Test(settings, a_missing_file_is_a_mistake_unless_it_is_optional)
{
    cr_expect_eq(settings_load(&loaded, "nowhere.conf", false, &heard), -1);
    expect_heard("nowhere.conf: cannot be read: No such file or directory\n");
    cr_expect_str_eq(loaded.runtime_dir, "/run/lonc", "the defaults are set all the same");
    settings_free(&loaded);
    cr_expect_eq(settings_load(&loaded, "nowhere.conf", true, &heard), 0);
    cr_expect_eq(heard.count, 1);
}

Test(settings, an_optional_file_that_cannot_be_read_is_a_mistake)
{
    write_file("file", "");
    cr_expect_eq(settings_load(&loaded, "file/keeper.conf", true, &heard), -1);
    expect_heard("file/keeper.conf: cannot be read: Not a directory\n");
}

Test(settings, the_null_device_holds_no_settings)
{
    cr_expect_eq(settings_load(&loaded, "/dev/null", false, &heard), 0);
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
