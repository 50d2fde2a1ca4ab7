/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hosts.tab in both its forms, and the exact words for everything that can be wrong with one. The
 * reading of lines and the form of diagnostics, which all parsers share, are tested here as well.
 *
 * In one piece because it is the test of one parser.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/hosttab.h"
#include "common/lines.h"
#include "tests/unit/heard.h"

#define RULE                                                                                       \
    "a name of up to 253 letters, digits, '.', '_' and '-', other than \".\", \"..\" and "         \
    "\"delayed\""

static struct hosttab table;

static void end(void)
{
    hosttab_free(&table);
    heard_end();
}

TestSuite(hosttab, .init = heard_begin, .fini = end);

static int load(const char *text)
{
    write_file("hosts.tab", text);
    return hosttab_load(&table, "hosts.tab", &heard);
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

/* `address` is NULL for an entry that has none. */
static void expect_entry(size_t index, const char *id, const char *name, const char *address)
{
    char text[INET_ADDRSTRLEN] = "";
    cr_assert_lt(index, table.count);

    const struct hosttab_entry *entry = &table.entries[index];
    cr_expect_str_eq(entry->id, id);
    cr_expect_str_eq(entry->name, name);
    cr_expect_eq(entry->has_address, address != NULL, "%s", id);
    if (address != NULL)
        cr_expect_str_eq(inet_ntop(AF_INET, &entry->address, text, sizeof(text)), address);
}

/* --- The two shapes --------------------------------------------------------------------------- */

Test(hosttab, the_shape_of_2004_has_an_address_in_its_fifth_field)
{
    expect_good("msul1:msu:library:s10.lite.msu.edu:35.8.63.18\n");
    cr_assert_eq(table.count, 1);
    expect_entry(0, "msul1", "s10.lite.msu.edu", "35.8.63.18");
    cr_expect_str_eq(table.entries[0].domain, "msu");
    cr_expect_str_eq(table.entries[0].role, "library");
    cr_expect_eq(table.entries[0].line, 1);
}

Test(hosttab, the_shape_of_2007_leaves_the_address_to_DNS)
{
    expect_good("msul1:msu:library:s10.lite.msu.edu\n"
                "msul2:msu:access:s11.lite.msu.edu:\n"
                "msul3:msu:access:s12.lite.msu.edu:http\n"
                "msul4:msu:access:s13.lite.msu.edu:https:msu.edu\n");
    cr_assert_eq(table.count, 4);
    expect_entry(0, "msul1", "s10.lite.msu.edu", NULL);
    expect_entry(1, "msul2", "s11.lite.msu.edu", NULL);
    expect_entry(2, "msul3", "s12.lite.msu.edu", NULL);
    expect_entry(3, "msul4", "s13.lite.msu.edu", NULL);
}

Test(hosttab, both_shapes_may_stand_in_one_file)
{
    expect_good("old:msu:library:old.msu.edu:10.0.0.1\nnew:msu:library:new.msu.edu:https\n");
    expect_entry(0, "old", "old.msu.edu", "10.0.0.1");
    expect_entry(1, "new", "new.msu.edu", NULL);
    cr_expect_not(table.entries[0].name_is_address);
    cr_expect_not(table.entries[1].name_is_address);
}

Test(hosttab, a_DNS_name_that_is_an_address_is_one)
{
    expect_good(
        "a:msu:library:10.0.0.1\nb:msu:library:10.0.0.2:http\nc:msu:library:10.0.0.3:10.0.0.4\n");
    expect_entry(0, "a", "10.0.0.1", "10.0.0.1");
    expect_entry(1, "b", "10.0.0.2", "10.0.0.2");
    expect_entry(2, "c", "10.0.0.3", "10.0.0.4");
    for (size_t i = 0; i < table.count; i++)
        cr_expect(table.entries[i].name_is_address);
}

Test(hosttab, fields_past_the_fifth_are_tolerated)
{
    expect_good(
        "a:msu:library:a.msu.edu:10.0.0.1:x:y:z\nb:msu:library:b.msu.edu:http:msu.edu:x:y\n");
    cr_expect_eq(table.count, 2);
}

Test(hosttab, domain_and_role_may_be_empty)
{
    expect_good("a:::a.msu.edu\n");
    cr_expect_str_empty(table.entries[0].domain);
    cr_expect_str_empty(table.entries[0].role);
}

Test(hosttab, several_ids_may_share_a_DNS_name)
{
    expect_good("a:msu:library:s.msu.edu\nb:msu:access:s.msu.edu\n");
    cr_expect_eq(table.count, 2);
}

Test(hosttab, an_entry_is_found_by_its_very_id)
{
    cr_expect_null(hosttab_find_id(&table, "a"));
    expect_good("a:d:library:x.edu\nA:d:library:x.edu\n");
    cr_expect_eq(hosttab_find_id(&table, "a"), &table.entries[0]);
    cr_expect_eq(hosttab_find_id(&table, "A"), &table.entries[1]);
    cr_expect_null(hosttab_find_id(&table, "x.edu"));
}

Test(hosttab, entries_keep_the_order_and_the_line_of_the_file)
{
    expect_good("\nz:d:library:z.edu\n# a comment\na:d:library:a.edu\n");
    cr_assert_eq(table.count, 2);
    cr_expect_str_eq(table.entries[0].id, "z");
    cr_expect_eq(table.entries[0].line, 2);
    cr_expect_str_eq(table.entries[1].id, "a");
    cr_expect_eq(table.entries[1].line, 4);
}

Test(hosttab, whatever_follows_the_address_is_a_remark)
{
    static const char *const remarks[] = {
        "",   " ", "\t", "\r", " \r",           "# old", " # old", " main server", ".",
        "..", ";", ",x", "x",  " (since 2003)", "/24",   " http",  "-1",           "\xc2\xa0"};
    char text[128];
    for (size_t i = 0; i < sizeof(remarks) / sizeof(remarks[0]); i++) {
        snprintf(text, sizeof(text), "a:msu:library:a.msu.edu:10.0.0.1%s\n", remarks[i]);
        expect_good(text);
        expect_entry(0, "a", "a.msu.edu", "10.0.0.1");
        hosttab_free(&table);
    }
}

/* --- Lines that are no hosts, and blanks ------------------------------------------------------ */

Test(hosttab, comments_and_blank_lines_mean_nothing)
{
    expect_good("# LON-CAPA hosts\n\n \t \n   # indented\na:d:library:a.edu # the first\n");
    cr_assert_eq(table.count, 1);
    expect_entry(0, "a", "a.edu", NULL);
}

Test(hosttab, lines_with_a_caret_are_no_hosts)
{
    expect_good("^ns.msu.edu:msu:x\n  ^ns2.msu.edu\na:d:library:a.edu\n");
    cr_expect_eq(table.count, 1);
}

Test(hosttab, a_file_from_Windows_reads_the_same)
{
    expect_good("# hosts\r\n\r\na:d:library:a.edu\r\nb:d:library:b.edu:10.0.0.1\r\n");
    cr_assert_eq(table.count, 2);
    expect_entry(0, "a", "a.edu", NULL);
    expect_entry(1, "b", "b.edu", "10.0.0.1");
}

Test(hosttab, blanks_around_fields_do_not_matter)
{
    expect_good(" a : d\t: library : a.edu : 10.0.0.1 \n");
    expect_entry(0, "a", "a.edu", "10.0.0.1");
    cr_expect_str_eq(table.entries[0].domain, "d");
}

Test(hosttab, the_last_line_needs_no_line_feed)
{
    expect_good("a:d:library:a.edu\nb:d:library:b.edu:10.0.0.1");
    expect_entry(1, "b", "b.edu", "10.0.0.1");
}

/* --- What is wrong with a line ---------------------------------------------------------------- */

Test(hosttab, an_id_must_be_a_name)
{
    expect_complaints("ms/ul1:msu:library:s.msu.edu\n",
                      "hosts.tab:1: id: \"ms/ul1\": expected " RULE "\n");
}

Test(hosttab, an_id_must_not_be_the_folder_of_deferred_requests)
{
    expect_complaints("delayed:msu:library:s.msu.edu\n",
                      "hosts.tab:1: id: \"delayed\": expected " RULE "\n");
}

Test(hosttab, an_id_must_not_be_missing)
{
    expect_complaints("# hosts\n:msu:library:s.msu.edu\n",
                      "hosts.tab:2: id: \"\": expected " RULE "\n");
}

Test(hosttab, a_DNS_name_must_not_be_missing)
{
    expect_complaints("a:msu:library\nb:msu:library::10.0.0.1\n",
                      "hosts.tab:1: DNS name: \"\": expected " RULE ", or an IPv4 address\n"
                      "hosts.tab:2: DNS name: \"\": expected " RULE ", or an IPv4 address\n");
}

Test(hosttab, a_DNS_name_must_be_a_name)
{
    expect_complaints("a:msu:library:s10 msu edu\n",
                      "hosts.tab:1: DNS name: \"s10 msu edu\": expected " RULE
                      ", or an IPv4 address\n");
}

Test(hosttab, a_DNS_name_of_digits_and_dots_must_be_an_address)
{
    expect_complaints("a:msu:library:10.0.1\n",
                      "hosts.tab:1: DNS name: \"10.0.1\": expected " RULE ", or an IPv4 address\n");
}

Test(hosttab, a_fifth_field_of_digits_and_dots_must_be_an_address)
{
    expect_complaints(
        "a:d:library:a.edu:10.0.0.256\n"
        "b:d:library:b.edu:10.0.0\n"
        "c:d:library:c.edu:1.2.3.4.5\n"
        "d:d:library:d.edu:...\n"
        "e:d:library:e.edu:2001:db8::1\n",
        "hosts.tab:1: fifth field: \"10.0.0.256\": expected an IPv4 address, http, https or "
        "nothing\n"
        "hosts.tab:2: fifth field: \"10.0.0\": expected an IPv4 address, http, https or nothing\n"
        "hosts.tab:3: fifth field: \"1.2.3.4.5\": expected an IPv4 address, http, https or "
        "nothing\n"
        "hosts.tab:4: fifth field: \"...\": expected an IPv4 address, http, https or nothing\n"
        "hosts.tab:5: fifth field: \"2001\": expected an IPv4 address, http, https or nothing\n");
}

Test(hosttab, a_fifth_field_must_be_nothing_else_either)
{
    expect_complaints(
        "a:d:library:a.edu:ftp\n",
        "hosts.tab:1: fifth field: \"ftp\": expected an IPv4 address, http, https or nothing\n");
}

Test(hosttab, all_mistakes_are_named_in_one_run)
{
    expect_complaints(
        "a b:d:library::ftp\ngood:d:library:good.edu\nonly\n",
        "hosts.tab:1: id: \"a b\": expected " RULE "\n"
        "hosts.tab:1: DNS name: \"\": expected " RULE ", or an IPv4 address\n"
        "hosts.tab:1: fifth field: \"ftp\": expected an IPv4 address, http, https or nothing\n"
        "hosts.tab:3: DNS name: \"\": expected " RULE ", or an IPv4 address\n");
    cr_assert_eq(table.count, 1);
    expect_entry(0, "good", "good.edu", NULL);
}

Test(hosttab, an_id_may_stand_only_once)
{
    expect_complaints(
        "b:d:library:b.edu\na:d:library:a.edu\nb:d:access:b2.edu\nb:d:access:b3.edu\n",
        "hosts.tab:3: id: \"b\": expected a unique id, but line 1 has it too\n"
        "hosts.tab:4: id: \"b\": expected a unique id, but line 1 has it too\n");
}

Test(hosttab, ids_that_differ_in_case_differ)
{
    expect_good("a:d:library:a.edu\nA:d:library:a.edu\n");
}

/* --- What is wrong with a file ---------------------------------------------------------------- */

Test(hosttab, a_missing_file_is_named)
{
    cr_expect_eq(hosttab_load(&table, "nowhere.tab", &heard), -1);
    expect_heard("nowhere.tab: cannot be read: No such file or directory\n");
}

Test(hosttab, a_table_without_hosts_is_refused)
{
    expect_complaints("# nothing here\n^ns.msu.edu\n", "hosts.tab: the table has no hosts\n");
}

Test(hosttab, a_table_of_bad_lines_only_is_not_called_empty_as_well)
{
    expect_complaints(":::a.edu\n", "hosts.tab:1: id: \"\": expected " RULE "\n");
}

Test(hosttab, a_folder_is_no_table)
{
    mkdir("hosts.tab", 0700);
    cr_expect_eq(hosttab_load(&table, "hosts.tab", &heard), -1);
    expect_heard("hosts.tab: cannot be read: it is not a regular file\n");
}

Test(hosttab, nobody_waits_for_the_other_end_of_a_FIFO, .timeout = 5)
{
    mkfifo("hosts.tab", 0600);
    cr_expect_eq(hosttab_load(&table, "hosts.tab", &heard), -1);
    expect_heard("hosts.tab: cannot be read: it is not a regular file\n");
}

Test(hosttab, a_failing_read_is_reported_as_the_kernel_put_it)
{
    cr_expect_eq(hosttab_load(&table, "/proc/self/mem", &heard), -1);
    expect_heard("/proc/self/mem: cannot be read: Input/output error\n");
}

Test(hosttab, a_line_with_a_NUL_byte_is_refused_and_the_next_is_read)
{
    static const char bytes[] = "a:d:library:a.edu\0:10.0.0.1\nb:d:library:b.edu\n";
    write_bytes("hosts.tab", bytes, sizeof(bytes) - 1);
    cr_expect_eq(hosttab_load(&table, "hosts.tab", &heard), -1);
    expect_heard("hosts.tab:1: the line contains a NUL byte\n");
    cr_assert_eq(table.count, 1);
    expect_entry(0, "b", "b.edu", NULL);
}

Test(hosttab, a_line_of_4096_bytes_is_read_to_its_end)
{
    char domain[LINES_MAX_LENGTH] = "";
    char text[2 * LINES_MAX_LENGTH];
    memset(domain, 'd', LINES_MAX_LENGTH - strlen("a::library:a.edu:10.0.0.12"));
    snprintf(text, sizeof(text), "a:%s:library:a.edu:10.0.0.12\n", domain);
    cr_assert_eq(strlen(text), LINES_MAX_LENGTH + 1);
    expect_good(text);
    expect_entry(0, "a", "a.edu", "10.0.0.12");
}

Test(hosttab, a_longer_line_is_refused_and_the_next_is_read)
{
    char text[2 * LINES_MAX_LENGTH] = "a:d:library:a.edu #";
    memset(text + strlen(text), '#', LINES_MAX_LENGTH + 1 - strlen(text));
    strcpy(text + LINES_MAX_LENGTH + 1, "\nb:d:library:b.edu\n");
    expect_complaints(text, "hosts.tab:1: the line is longer than 4096 bytes\n");
    cr_assert_eq(table.count, 1);
    expect_entry(0, "b", "b.edu", NULL);
}

Test(hosttab, a_file_of_16_MiB_is_read)
{
    write_repeated("hosts.tab", '\n', LINES_MAX_FILE);
    cr_expect_eq(hosttab_load(&table, "hosts.tab", &heard), -1);
    expect_heard("hosts.tab: the table has no hosts\n");
}

Test(hosttab, a_larger_file_is_refused)
{
    write_repeated("hosts.tab", '\n', LINES_MAX_FILE + 1);
    cr_expect_eq(hosttab_load(&table, "hosts.tab", &heard), -1);
    expect_heard("hosts.tab: the file is larger than 16 MiB\n");
}

Test(hosttab, a_line_without_end_is_given_up, .timeout = 30)
{
    cr_expect_eq(hosttab_load(&table, "/dev/zero", &heard), -1);
    expect_heard("/dev/zero: the file is larger than 16 MiB\n");
}

/* --- How diagnostics are said ------------------------------------------------------------------
 */

Test(hosttab, a_table_cannot_write_to_a_terminal)
{
    expect_complaints("a\033[2J\177\xc3\xa9:d:library:a.edu\n",
                      "hosts.tab:1: id: \"a?[2J???\": expected " RULE "\n");
}

Test(hosttab, a_long_value_is_cut_so_that_the_expectation_is_said)
{
    char text[512] = {0};
    char diagnostic[512];
    memset(text, 'x', 300);
    strcat(text, ":d:library:a.edu\n");
    snprintf(diagnostic, sizeof(diagnostic), "hosts.tab:1: id: \"%.100s\": expected " RULE "\n",
             text);
    expect_complaints(text, diagnostic);
}

Test(hosttab, twenty_complaints_are_said_and_the_rest_are_counted)
{
    char text[1024] = "";
    for (int i = 0; i < 25; i++)
        strcat(text, "a:d:library:a.edu:ftp\n");
    cr_assert_eq(load(text), -1);
    cr_expect_eq(heard.count, 25);

    unsigned lines = 0;
    for (const char *c = heard_text(); *c != '\0'; c++)
        lines += *c == '\n';
    cr_expect_eq(lines, DIAGNOSTICS_REPORTED);
    cr_expect_not_null(strstr(heard_text(), "hosts.tab:20: "));
    cr_expect_null(strstr(heard_text(), "hosts.tab:21: "));
}

Test(hosttab, earlier_complaints_do_not_make_a_good_table_bad)
{
    diagnostics_add(&heard, "keeper.conf", 3, "something else");
    cr_expect_eq(load("a:d:library:a.edu\n"), 0);
    expect_heard("keeper.conf:3: something else\n");
}

/* --- Large tables ----------------------------------------------------------------------------- */

static void write_hosts(unsigned count, const char *last)
{
    FILE *file = fopen("hosts.tab", "w");
    cr_assert_not_null(file);
    for (unsigned i = 0; i < count; i++)
        fprintf(file, "host%u:msu:library:host%u.msu.edu:10.0.0.1\n", i, i);
    fputs(last, file);
    cr_assert_eq(fclose(file), 0);
}

/* Comparing each with each would be five thousand million comparisons: minutes. */
Test(hosttab, a_duplicate_among_100000_hosts_is_found_in_seconds, .timeout = 60)
{
    write_hosts(HOSTTAB_MAX_HOSTS - 1, "host7:msu:access:x.msu.edu\n");
    clock_t start = clock();
    cr_expect_eq(hosttab_load(&table, "hosts.tab", &heard), -1);
    cr_expect_lt(clock() - start, 20 * CLOCKS_PER_SEC);
    expect_heard(
        "hosts.tab:100000: id: \"host7\": expected a unique id, but line 8 has it too\n");
    cr_expect_eq(table.count, HOSTTAB_MAX_HOSTS - 1);
}

Test(hosttab, a_table_has_at_most_100000_hosts, .timeout = 60)
{
    write_hosts(HOSTTAB_MAX_HOSTS, "one:msu:access:too.many\n");
    cr_expect_eq(hosttab_load(&table, "hosts.tab", &heard), -1);
    expect_heard("hosts.tab:100001: the table has more than 100000 hosts\n");
    cr_expect_eq(table.count, HOSTTAB_MAX_HOSTS);
}

Test(hosttab, freeing_twice_does_no_harm)
{
    expect_good("a:d:library:a.edu\n");
    hosttab_free(&table);
    cr_expect_null(table.entries);
    cr_expect_eq(table.count, 0);
}
