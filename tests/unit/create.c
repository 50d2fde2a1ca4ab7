/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where lonnet asks for sockets, and which lines mean one. What needs a keeper is tested with one
 * (tests/scenario/create.t).
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "keeper/client/create.h"
#include "tests/unit/heard.h"
#include "units/lonc-hosts/paths.h"

static struct config config;

static void begin(void)
{
    heard_begin();
    config = (struct config){.settings = {.socket_names = SOCKET_NAMES_BOTH}, .valid = true};
    config.loncapa.sock_dir = strdup("/s");
    config.loncapa.sock_create = strdup("/s/common_parent");
}

static void end(void)
{
    hosttab_free(&config.table);
    free(config.loncapa.sock_dir);
    free(config.loncapa.sock_create);
    heard_end();
}

TestSuite(create, .init = begin, .fini = end);

static void set_table(const char *text)
{
    hosttab_free(&config.table);
    write_file("hosts.tab", text);
    cr_assert_eq(hosttab_load(&config.table, "hosts.tab", &heard), 0, "%s", heard_text());
}

static void set_create(const char *path)
{
    free(config.loncapa.sock_create);
    config.loncapa.sock_create = strdup(path);
}

/* --- Where ------------------------------------------------------------------------------------ */

static void expect_no_path(const char *path, bool is_wrong)
{
    const char *why;
    set_create(path);
    cr_expect_null(config_create_path(&config, &why), "%s", path);
    cr_expect_eq(why != NULL, is_wrong, "%s", path);
    cr_expect_not(create_is_meant(&config, path), "%s", path);
}

Test(create, its_path_is_one_that_a_socket_and_a_unit_can_have)
{
    const char *why;
    char path[110];
    set_table("msul1:msu:library:msul1.edu\n");
    cr_expect_str_eq(config_create_path(&config, &why), "/s/common_parent");
    snprintf(path, sizeof(path), "/%0106d", 1);
    set_create(path);
    cr_expect_str_eq(config_create_path(&config, &why), path, "107 bytes");
    snprintf(path, sizeof(path), "/%0107d", 1);
    expect_no_path(path, true);
    expect_no_path("s/common_parent", true);
    expect_no_path("common_parent", true);
    expect_no_path("", true);
    expect_no_path("/", true);
    expect_no_path("/s/", true);
    expect_no_path("/s/a b", true);
    expect_no_path("/s/delayed", true);
}

Test(create, a_host_that_has_its_name_goes_first)
{
    static const char *const tables[] = {"common_parent:msu:library:msul1.edu\n",
                                         "msul1:msu:library:common_parent\n",
                                         "msul1:msu:library:Common_Parent\n"};
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        set_table(tables[i]);
        expect_no_path("/s/common_parent", false);
        expect_no_path("/elsewhere/common_parent", false);
    }
}

Test(create, a_client_means_it_by_its_path)
{
    set_table("msul1:msu:library:msul1.edu\n");
    cr_expect(create_is_meant(&config, "/s/common_parent"));
    cr_expect(create_is_meant(&config, "/s//common_parent"));
    cr_expect_not(create_is_meant(&config, "/s/msul1"));
    cr_expect_not(create_is_meant(&config, "/s/common_parent.x"));
    cr_expect_not(create_is_meant(&config, "/t/common_parent"));
    cr_expect_not(create_is_meant(&config, "common_parent"));
    cr_expect_not(create_is_meant(&config, ""));
    set_create("/common_parent");
    cr_expect(create_is_meant(&config, "/common_parent"));
    cr_expect_not(create_is_meant(&config, "/s/common_parent"));
    free(config.loncapa.sock_create);
    config.loncapa.sock_create = NULL;
    cr_expect_not(create_is_meant(&config, "/s/common_parent"));
}

/* --- Lines ------------------------------------------------------------------------------------ */

static void expect_answer(const char *line, size_t length, const char *expected)
{
    char text[CREATE_TEXT_SIZE];
    bool good = create_find_path(&config, line, length, text) == 0;
    cr_expect_str_eq(text, expected, "%s: %s", line, text);
    cr_expect_eq(good, expected[0] == '/', "%s", line);
}

#define EXPECTED "error: expected DNSNAME:LONHOSTID[:LONHOSTID...]\n"

Test(create, a_line_has_a_name_and_ids_of_it)
{
    static const char *const cases[][2] = {
        {"x.edu:a", "/s/x.edu"},
        {"x.edu:a\n", "/s/x.edu"},
        {"x.edu:b:a:a", "/s/x.edu"},
        {"x.edu:c", "error: c is no lonHostID of x.edu in hosts.tab\n"},
        {"x.edu:a:d", "error: d is no lonHostID of x.edu in hosts.tab\n"},
        {"x.edu:x.edu", "error: x.edu is no lonHostID of x.edu in hosts.tab\n"},
        {"z.edu:a", "error: z.edu is no DNS name in hosts.tab\n"},
        {"X.edu:a", "error: the socket of X.edu is x.edu\n"},
        {"x.edu", EXPECTED},
        {"x.edu:", EXPECTED},
        {"x.edu:a:", EXPECTED},
        {"x.edu::a", EXPECTED},
        {":a", EXPECTED},
        {"", EXPECTED},
        {"\n", EXPECTED},
        {":\n", EXPECTED},
        {"x.edu:a\n\n", EXPECTED},
        {"z.edu:a b", EXPECTED},
        {"x.edu:/a", EXPECTED},
    };
    set_table("a:msu:library:x.edu\nb:msu:library:X.EDU\nc:msu:library:y.edu\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect_answer(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    expect_answer("x.edu:a\0", 8, EXPECTED);
    expect_answer("x.edu\0:a", 8, EXPECTED);
    expect_answer("x.edu:a:c", 7, "/s/x.edu");
}

Test(create, names_have_253_bytes_at_most)
{
    char line[1024], expected[1024];
    set_table("a:msu:library:x.edu\n");
    snprintf(line, sizeof(line), "%0253d:%0253d", 1, 2);
    snprintf(expected, sizeof(expected), "error: %0253d is no DNS name in hosts.tab\n", 1);
    expect_answer(line, strlen(line), expected);
    snprintf(line, sizeof(line), "%0254d:a", 1);
    expect_answer(line, strlen(line), EXPECTED);
    snprintf(line, sizeof(line), "x.edu:%0254d", 1);
    expect_answer(line, strlen(line), EXPECTED);
    /* The longest answer. */
    snprintf(expected, sizeof(expected), "a:msu:library:x%0252d\n", 1);
    set_table(expected);
    snprintf(line, sizeof(line), "x%0252d:%0253d", 1, 2);
    snprintf(expected, sizeof(expected), "error: %0253d is no lonHostID of x%0252d in hosts.tab\n",
             2, 1);
    expect_answer(line, strlen(line), expected);
}

Test(create, a_path_of_107_bytes_is_the_longest)
{
    char path[PATH_MAX];
    set_table("a:msu:library:x.edu\n");
    free(config.loncapa.sock_dir);
    snprintf(path, sizeof(path), "/%0100d", 1);
    config.loncapa.sock_dir = strdup(path);
    strcat(path, "/x.edu");
    expect_answer("x.edu:a", 7, path);
    free(config.loncapa.sock_dir);
    snprintf(path, sizeof(path), "/%0101d", 1);
    config.loncapa.sock_dir = strdup(path);
    expect_answer("x.edu:a", 7, "error: the path of x.edu is too long for a socket\n");
}

/*
 * Whatever the table: a name is promised a socket exactly where lonc-hosts makes one by it for a
 * host that has it as its DNS name.
 */
static bool is_listed(enum socket_names which, const char *name)
{
    struct path_names *names = paths_names(&config.table, which);
    bool listed = false;
    cr_assert_not_null(names);
    for (size_t i = 0; i < config.table.count; i++)
        for (size_t n = 0; n < PATHS_MAX && names[i].name[n] != NULL; n++)
            listed |= strcmp(names[i].name[n], name) == 0 &&
                      strcasecmp(config.table.entries[i].name, name) == 0;
    free(names);
    return listed;
}

Test(create, sockets_are_promised_where_lonc_hosts_makes_them)
{
    static const char *const words[] = {"a", "A", "b", "B", "c.edu", "C.edu"};
    enum { WORDS = sizeof(words) / sizeof(*words) };
    unsigned random = 1;
    size_t promised = 0, refused = 0;
    for (int round = 0; round < 300; round++) {
        char table[512] = "", line[64], text[CREATE_TEXT_SIZE];
        for (int i = 0; i < WORDS; i++) { /* each id once, perhaps */
            random = random * 1103515245 + 12345;
            if (random >> 16 & 1)
                sprintf(table + strlen(table), "%s:msu:library:%s\n", words[i],
                        words[(random >> 20) % WORDS]);
        }
        if (table[0] == '\0')
            continue;
        set_table(table);
        for (size_t i = 0; i < config.table.count; i++)
            for (uint64_t which = SOCKET_NAMES_ID; which <= SOCKET_NAMES_BOTH; which++) {
                const struct hosttab_entry *entry = &config.table.entries[i];
                config.settings.socket_names = which;
                snprintf(line, sizeof(line), "%s:%s", entry->name, entry->id);
                bool good = create_find_path(&config, line, strlen(line), text) == 0;
                promised += good;
                refused += !good;
                cr_assert_eq(good, is_listed((enum socket_names)which, entry->name),
                             "%s with\n%s%s", line, table, text);
            }
    }
    cr_expect_gt(promised, 300);
    cr_expect_gt(refused, 300);
}
