/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text of the units and drop-ins that lonc-hosts writes, and when it is another.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "units/lonc-hosts/unit_text.h"

static struct unit_text text;

static const struct www user = {.user = 33, .group = 34};

static struct host make_host(const char *id, const char *first, const char *second)
{
    struct host host = {.id = (char *)(uintptr_t)id, .wanted = true};
    if (first != NULL)
        snprintf(host.paths[host.path_count++], PATH_SIZE, "%s", first);
    if (second != NULL)
        snprintf(host.paths[host.path_count++], PATH_SIZE, "%s", second);
    return host;
}

static const char *unit_of(const char *template, const struct host *host)
{
    unit_text_host_unit(&text, template, host, &user);
    cr_expect_eq(text.length, strlen(text.bytes));
    static const char header[] = "# Made by `lonc-hosts sync`.\n";
    cr_assert_eq(strncmp(text.bytes, header, strlen(header)), 0, "%s", text.bytes);
    return text.bytes + strlen(header);
}

/* --- Units ------------------------------------------------------------------------------------ */

Test(unit_text, a_template_is_filled_in)
{
    struct host host = make_host("msul1", "/s/msul1", NULL);
    cr_expect_str_eq(unit_of("A=@HOST@ (@HOST@)\nUser=@USER@\nGroup=@GROUP@", &host),
                     "A=msul1 (msul1)\nUser=33\nGroup=34\n");
}

Test(unit_text, what_is_no_mark_stays)
{
    struct host host = make_host("msul1", "/s/msul1", NULL);
    cr_expect_str_eq(unit_of("a@@HOST@.socket @host@ @HOST %i @\n", &host),
                     "a@msul1.socket @host@ @HOST %i @\n");
}

Test(unit_text, comments_and_blank_lines_stay_behind)
{
    struct host host = make_host("msul1", "/s/msul1", NULL);
    cr_expect_str_eq(unit_of("# @HOST@\n\n[Socket]\n#x\nA=b # c\n\n", &host),
                     "[Socket]\nA=b # c\n");
}

Test(unit_text, a_line_with_a_path_is_there_for_each_path)
{
    struct host one = make_host("a", "/s/a", NULL);
    struct host two = make_host("a", "/s/a", "/s/a.msu.edu");
    cr_expect_str_eq(unit_of("[S]\nListenStream=@SOCKET@\nB=1\n", &one),
                     "[S]\nListenStream=/s/a\nB=1\n");
    cr_expect_str_eq(unit_of("[S]\nListenStream=@SOCKET@\nB=1\n", &two),
                     "[S]\nListenStream=/s/a\nListenStream=/s/a.msu.edu\nB=1\n");
}

Test(unit_text, what_systemd_would_read_more_into_is_escaped_in_a_path)
{
    struct host host = make_host("a", "/srv/100% \"lonc\"/a", NULL);
    cr_expect_str_eq(unit_of("ListenStream=@SOCKET@\n", &host),
                     "ListenStream=/srv/100%% \"lonc\"/a\n");
}

Test(unit_text, what_does_not_fit_is_cut_off)
{
    static char template[2 * TEXT_SIZE];
    struct host host = make_host("a", "/s/a", NULL);
    memset(template, 'x', sizeof(template) - 1);
    cr_expect_eq(strlen(unit_of(template, &host)),
                 TEXT_SIZE - 1 - strlen("# Made by `lonc-hosts sync`.\n"));
}

/* --- What counts as a change of paths --------------------------------------------------------- */

Test(unit_text, a_unit_has_the_paths_that_it_was_written_with)
{
    struct host host = make_host("a", "/srv/100% lonc/a", "/srv/100% lonc/a.msu.edu");
    unit_text_host_unit(&text, "[Socket]\nListenStream=@SOCKET@\nAccept=yes\n", &host, &user);
    cr_expect(unit_text_has_paths(text.bytes, &host));
}

Test(unit_text, other_options_are_no_change_of_paths)
{
    struct host host = make_host("a", "/s/a", NULL);
    cr_expect(unit_text_has_paths("ListenStream=/s/a\nBacklog=1\n", &host));
    cr_expect(unit_text_has_paths("[Unit]\nX=y\nListenStream=/s/a", &host));
}

Test(unit_text, one_path_more_less_or_another_is_a_change)
{
    struct host one = make_host("a", "/s/a", NULL);
    struct host two = make_host("a", "/s/a", "/s/a.msu.edu");
    cr_expect_not(unit_text_has_paths("ListenStream=/s/a\n", &two));
    cr_expect_not(unit_text_has_paths("ListenStream=/s/a\nListenStream=/s/a.msu.edu\n", &one));
    cr_expect_not(unit_text_has_paths("ListenStream=/s/b\n", &one));
    cr_expect_not(unit_text_has_paths("ListenStream=/s/ab\n", &one));
    cr_expect_not(unit_text_has_paths("ListenStream=/s/\n", &one));
    cr_expect_not(unit_text_has_paths("ListenStream=/t/a\nListenStream=/t/a.msu.edu\n", &two));
}

Test(unit_text, a_unit_that_is_not_there_has_other_paths)
{
    struct host host = make_host("a", "/s/a", NULL);
    cr_expect_not(unit_text_has_paths("", &host));
    cr_expect_not(unit_text_has_paths("[Socket]\n", &host));
}

Test(unit_text, the_paths_of_a_unit_are_those_it_was_written_with)
{
    struct host host = make_host("a", "/srv/100% lonc/a", "/srv/100% lonc/a.msu.edu");
    unit_text_host_unit(&text, "[Socket]\nListenStream=@SOCKET@\nAccept=yes\n", &host, &user);
    struct host found = make_host("a", "/other", NULL);
    found.path_count = unit_text_read_paths(text.bytes, found.paths);
    cr_assert_eq(found.path_count, 2);
    cr_expect_str_eq(found.paths[0], host.paths[0]);
    cr_expect_str_eq(found.paths[1], host.paths[1]);
}

Test(unit_text, what_no_unit_of_ours_has_is_no_path)
{
    static char unit[400] = "ListenStream=/a\nListenStream=/b\nListenStream=/c\nBacklog=1\n";
    struct host host = make_host("a", NULL, NULL);
    host.path_count = unit_text_read_paths(unit, host.paths);
    cr_expect_eq(host.path_count, PATHS_MAX);
    memset(unit, 'x', sizeof(unit) - 1);
    memcpy(unit, "ListenStream=/", 14);
    host.path_count = unit_text_read_paths(unit, host.paths);
    cr_expect_eq(host.path_count, 0);
    host.path_count = unit_text_read_paths("", host.paths);
    cr_expect_eq(host.path_count, 0);
}

/* --- Drop-ins --------------------------------------------------------------------------------- */

#define HEADER "# Written by `lonc-hosts sync`, after loncapa.conf and where links lead.\n"

static char srv[] = "/srv/s", deeper[] = "/srv/s/100% \"s\"\\", perl[] = "/srv/perl/logs";

Test(unit_text, no_drop_in_where_the_unit_is_right_as_it_is)
{
    char *none[] = {NULL};
    text.length = 17;
    unit_text_dropin(&text, none, none);
    cr_expect_str_empty(text.bytes);
    cr_expect_eq(text.length, 0);
}

Test(unit_text, a_service_may_write_where_it_is_said)
{
    char *none[] = {NULL}, *writable[] = {deeper, perl, NULL};
    unit_text_dropin(&text, none, writable);
    cr_expect_str_eq(text.bytes, HEADER "[Service]\n"
                                        "ReadWritePaths=\"-/srv/s/100%% \\\"s\\\"\\\\\"\n"
                                        "ReadWritePaths=\"-/srv/perl/logs\"\n");
}

Test(unit_text, a_service_waits_for_each_mount_on_the_way_once)
{
    char *none[] = {NULL}, *needed[] = {perl, srv, NULL};
    unit_text_dropin(&text, needed, none);
    cr_expect_str_eq(text.bytes, HEADER "[Unit]\n"
                                        "Wants=srv.mount\nAfter=srv.mount\n"
                                        "Wants=srv-perl.mount\nAfter=srv-perl.mount\n"
                                        "Wants=srv-perl-logs.mount\nAfter=srv-perl-logs.mount\n"
                                        "Wants=srv-s.mount\nAfter=srv-s.mount\n");
}
