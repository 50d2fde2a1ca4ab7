/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of mount units, and which folders our services need.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/lonc-hosts/places.h"

/* --- Mounts ----------------------------------------------------------------------------------- */

/* As systemd-escape --path --suffix=mount says them. */
Test(places, a_mount_unit_is_named_as_systemd_does)
{
    static const struct {
        const char *path, *name;
    } rows[] = {
        {"/home", "home.mount"},
        {"/home/httpd", "home-httpd.mount"},
        {"//home///httpd/", "home-httpd.mount"},
        {"/home/./httpd/.", "home-httpd.mount"},
        {"/home/httpd/html/lon-status", "home-httpd-html-lon\\x2dstatus.mount"},
        {"/srv/100% lonc", "srv-100\\x25\\x20lonc.mount"},
        {"/.x/.y/z.1:_", "\\x2ex-.y-z.1:_.mount"},
        {"/\303\244\\", "\\xc3\\xa4\\x5c.mount"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char name[256];
        cr_assert(places_mount_unit(name, sizeof(name), rows[i].path, strlen(rows[i].path)), "%s",
                  rows[i].path);
        cr_expect_str_eq(name, rows[i].name);
    }
}

Test(places, what_is_mounted_nowhere_has_no_unit)
{
    char name[256], path[400];
    cr_expect_not(places_mount_unit(name, sizeof(name), "/", 1));
    cr_expect_not(places_mount_unit(name, sizeof(name), "/a/../b", 7));
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    cr_expect_not(places_mount_unit(name, sizeof(name), path, sizeof(path)));
    cr_expect(places_mount_unit(name, sizeof(name), path, 200));
    cr_expect_eq(strlen(name), 199 + strlen(".mount"));
}

/* --- Folders ---------------------------------------------------------------------------------- */

static char root[] = "/tmp/lonc-places-XXXXXX";
static struct places places;
static struct config config;

/* Static until the next test. */
static char *in_root(const char *name)
{
    static char paths[64][PATH_MAX];
    static size_t next;
    char *path = paths[next++];
    cr_assert_leq(next, sizeof(paths) / sizeof(*paths));
    cr_assert_lt(snprintf(path, PATH_MAX, "%s/%s", root, name), PATH_MAX);
    return path;
}

/* As LON-CAPA has it, below a folder of its own. */
static void begin(void)
{
    static const char *const folders[] = {"sockets", "sockets/delayed", "perl",  "perl/logs",
                                          "html",    "html/lon-status", "certs", "tabs",
                                          "else"};
    char *resolved = mkdtemp(root) != NULL ? realpath(root, NULL) : NULL;
    cr_assert_not_null(resolved);
    cr_assert_str_eq(resolved, root);
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        cr_assert_eq(mkdir(in_root(folders[i]), 0755), 0);
    config = (struct config){
        .settings = {.log_file = (char *)(uintptr_t) ""},
        .loncapa = {.sock_dir = in_root("sockets"),
                    .daemons = in_root("perl"),
                    .doc_root = in_root("html"),
                    .cert_dir = in_root("certs"),
                    .tab_dir = in_root("tabs")},
        .valid = true,
    };
}

static void end(void)
{
    char command[100];
    snprintf(command, sizeof(command), "rm -r %s", root);
    cr_expect_eq(system(command), 0);
}

TestSuite(places, .init = begin, .fini = end);

static bool has(char *const *list, const char *name)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, in_root(name)) == 0)
            return true;
    return false;
}

static size_t count(char *const *list)
{
    size_t n = 0;
    while (list[n] != NULL)
        n++;
    return n;
}

Test(places, folders_elsewhere_are_needed_and_written)
{
    cr_assert_eq(places_find(&places, &config), 0);
    cr_expect_eq(count(places.writable), 4);
    cr_expect_eq(count(places.needed), 5);
    cr_expect(has(places.writable, "sockets") && has(places.writable, "perl/logs"));
    cr_expect(has(places.writable, "html/lon-status") && has(places.writable, "certs"));
    cr_expect(has(places.needed, "tabs"));
    cr_expect_not(has(places.writable, "tabs"));
    places_free(&places);
}

Test(places, a_log_file_may_be_anywhere)
{
    config.settings.log_file = in_root("else/lonc.log");
    cr_assert_eq(places_find(&places, &config), 0);
    cr_expect(has(places.writable, "else") && has(places.needed, "else"));
    places_free(&places);
    config.settings.log_file = in_root("perl/logs/lonc.log");
    cr_assert_eq(places_find(&places, &config), 0);
    cr_expect_eq(count(places.writable), 4);
    places_free(&places);
}

/* Replaces what is there by a link, of root's where this test is root's. */
static void lay(const char *name, const char *target)
{
    (void)remove(in_root(name));
    cr_assert_eq(symlink(target, in_root(name)), 0);
}

Test(places, what_roots_links_lead_to_is_written)
{
    if (geteuid() != 0)
        return;
    cr_assert_eq(mkdir(in_root("else/delayed"), 0755), 0);
    lay("sockets/delayed", "../else/delayed");
    lay("perl/logs/lonnet.perm.log", in_root("else/not-yet/perm.log"));
    lay("perl/logs/lonc.log", "./other.log");
    config.settings.log_file = in_root("perl/logs/lonc.log");
    cr_assert_eq(places_find(&places, &config), 0);
    cr_expect_eq(count(places.writable), 6);
    cr_expect(has(places.writable, "else/delayed") && has(places.needed, "else/delayed"));
    cr_expect(has(places.writable, "else/not-yet"));
    places_free(&places);
}

/* Else www could widen what its sandbox lets it write. */
Test(places, links_of_others_are_not_followed)
{
    lay("sockets/delayed", in_root("else"));
    if (geteuid() == 0)
        cr_assert_eq(lchown(in_root("sockets/delayed"), 65534, 65534), 0);
    cr_assert_eq(places_find(&places, &config), 0);
    cr_expect_eq(count(places.writable), 4);
    cr_expect_not(has(places.writable, "else"));
    places_free(&places);
}

Test(places, links_in_a_circle_lead_nowhere)
{
    lay("sockets/delayed", "delayed");
    cr_assert_eq(places_find(&places, &config), 0);
    cr_expect_eq(count(places.writable), 4);
    places_free(&places);
}

Test(places, a_linked_folder_needs_the_mounts_of_what_it_leads_to)
{
    if (geteuid() != 0)
        return;
    cr_assert_eq(rename(in_root("tabs"), in_root("else/tabs")), 0);
    lay("tabs", "else/tabs");
    cr_assert_eq(places_find(&places, &config), 0);
    cr_expect(has(places.needed, "tabs") && has(places.needed, "else/tabs"));
    places_free(&places);
}
