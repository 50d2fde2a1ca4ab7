/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text of the units and drop-ins that lonc-hosts writes, and when it is another.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "units/text.h"

static struct text text;

static const struct text_user www = {.user = 33, .group = 34};

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
    text_unit(&text, template, host, &www);
    cr_expect_eq(text.length, strlen(text.bytes));
    static const char header[] = "# Made by `lonc-hosts sync`.\n";
    cr_assert_eq(strncmp(text.bytes, header, strlen(header)), 0, "%s", text.bytes);
    return text.bytes + strlen(header);
}

/* --- Units ------------------------------------------------------------------------------------ */

Test(text, a_template_is_filled_in)
{
    struct host host = make_host("msul1", "/s/msul1", NULL);
    cr_expect_str_eq(unit_of("A=@HOST@ (@HOST@)\nUser=@USER@\nGroup=@GROUP@", &host),
                     "A=msul1 (msul1)\nUser=33\nGroup=34\n");
}

Test(text, what_is_no_mark_stays)
{
    struct host host = make_host("msul1", "/s/msul1", NULL);
    cr_expect_str_eq(unit_of("a@@HOST@.socket @host@ @HOST %i @\n", &host),
                     "a@msul1.socket @host@ @HOST %i @\n");
}

Test(text, comments_and_blank_lines_stay_behind)
{
    struct host host = make_host("msul1", "/s/msul1", NULL);
    cr_expect_str_eq(unit_of("# @HOST@\n\n[Socket]\n#x\nA=b # c\n\n", &host),
                     "[Socket]\nA=b # c\n");
}

Test(text, a_line_with_a_path_is_there_for_each_path)
{
    struct host one = make_host("a", "/s/a", NULL);
    struct host two = make_host("a", "/s/a", "/s/a.msu.edu");
    cr_expect_str_eq(unit_of("[S]\nListenStream=@SOCKET@\nB=1\n", &one),
                     "[S]\nListenStream=/s/a\nB=1\n");
    cr_expect_str_eq(unit_of("[S]\nListenStream=@SOCKET@\nB=1\n", &two),
                     "[S]\nListenStream=/s/a\nListenStream=/s/a.msu.edu\nB=1\n");
}

Test(text, what_systemd_would_read_more_into_is_escaped_in_a_path)
{
    struct host host = make_host("a", "/srv/100% \"lonc\"/a", NULL);
    cr_expect_str_eq(unit_of("ListenStream=@SOCKET@\n", &host),
                     "ListenStream=/srv/100%% \"lonc\"/a\n");
}

Test(text, what_does_not_fit_is_cut_off)
{
    static char template[2 * TEXT_SIZE];
    struct host host = make_host("a", "/s/a", NULL);
    memset(template, 'x', sizeof(template) - 1);
    cr_expect_eq(strlen(unit_of(template, &host)),
                 TEXT_SIZE - 1 - strlen("# Made by `lonc-hosts sync`.\n"));
}

/* --- What counts as a change of paths --------------------------------------------------------- */

Test(text, a_unit_has_the_paths_that_it_was_written_with)
{
    struct host host = make_host("a", "/srv/100% lonc/a", "/srv/100% lonc/a.msu.edu");
    text_unit(&text, "[Socket]\nListenStream=@SOCKET@\nAccept=yes\n", &host, &www);
    cr_expect(text_has_paths(text.bytes, &host));
}

Test(text, other_options_are_no_change_of_paths)
{
    struct host host = make_host("a", "/s/a", NULL);
    cr_expect(text_has_paths("ListenStream=/s/a\nBacklog=1\n", &host));
    cr_expect(text_has_paths("[Unit]\nX=y\nListenStream=/s/a", &host));
}

Test(text, one_path_more_less_or_another_is_a_change)
{
    struct host one = make_host("a", "/s/a", NULL);
    struct host two = make_host("a", "/s/a", "/s/a.msu.edu");
    cr_expect_not(text_has_paths("ListenStream=/s/a\n", &two));
    cr_expect_not(text_has_paths("ListenStream=/s/a\nListenStream=/s/a.msu.edu\n", &one));
    cr_expect_not(text_has_paths("ListenStream=/s/b\n", &one));
    cr_expect_not(text_has_paths("ListenStream=/s/ab\n", &one));
    cr_expect_not(text_has_paths("ListenStream=/s/\n", &one));
    cr_expect_not(text_has_paths("ListenStream=/t/a\nListenStream=/t/a.msu.edu\n", &two));
}

Test(text, a_unit_that_is_not_there_has_other_paths)
{
    struct host host = make_host("a", "/s/a", NULL);
    cr_expect_not(text_has_paths("", &host));
    cr_expect_not(text_has_paths("[Socket]\n", &host));
}

/* --- Drop-ins --------------------------------------------------------------------- */

static struct loncapa standard(void)
{
    static char sock_dir[] = "/home/httpd/sockets", daemons[] = "/home/httpd/perl",
                doc_root[] = "/home/httpd/html", cert_dir[] = "/home/httpd/lonCerts";
    return (struct loncapa){
        .sock_dir = sock_dir, .daemons = daemons, .doc_root = doc_root, .cert_dir = cert_dir};
}

Test(text, a_keeper_needs_no_drop_in_where_the_directories_are_the_usual_ones)
{
    struct loncapa conf = standard();
    text.length = 17;
    text_keeper(&text, &conf);
    cr_expect_str_empty(text.bytes);
    cr_expect_eq(text.length, 0);
}

Test(text, a_keeper_may_write_to_other_directories)
{
    struct loncapa conf = standard();
    char sockets[] = "/srv/s", daemons[] = "/srv/perl";
    conf.sock_dir = sockets;
    conf.daemons = daemons;
    text_keeper(&text, &conf);
    cr_expect_str_eq(text.bytes, "# Written by `lonc-hosts sync`, after loncapa.conf.\n"
                                 "[Service]\n"
                                 "ReadWritePaths=\"-/srv/s\"\n"
                                 "ReadWritePaths=\"-/srv/perl/logs\"\n");
}

Test(text, the_page_may_be_written_to_another_document_root_and_nothing_else)
{
    struct loncapa conf = standard();
    char sockets[] = "/srv/s", root[] = "/srv/html";
    text_page(&text, &conf);
    cr_expect_str_empty(text.bytes);
    conf.sock_dir = sockets;
    conf.doc_root = root;
    text_page(&text, &conf);
    cr_expect_str_eq(text.bytes, "# Written by `lonc-hosts sync`, after loncapa.conf.\n"
                                 "[Service]\n"
                                 "ReadWritePaths=\"-/srv/html/lon-status\"\n");
}

Test(text, what_ends_a_path_in_a_list_is_escaped)
{
    struct loncapa conf = standard();
    char root[] = "/srv/a \"b\" \\ 100%";
    conf.doc_root = root;
    text_keeper(&text, &conf);
    cr_expect_not_null(
        strstr(text.bytes, "\nReadWritePaths=\"-/srv/a \\\"b\\\" \\\\ 100%%/lon-status\"\n"), "%s",
        text.bytes);
}
