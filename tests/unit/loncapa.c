/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncapa.conf and its companion: what sets a variable, what does not, and the exact words for
 * what is wrong.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/loncapa.h"
#include "tests/unit/heard.h"

#define ID "PerlSetVar lonHostID msul1\n"
#define RULE                                                                                       \
    "a name of up to 253 letters, digits, '.', '_' and '-', other than \".\", \"..\" and "         \
    "\"delayed\""

static struct loncapa conf;

static void end(void)
{
    loncapa_free(&conf);
    heard_end();
}

TestSuite(loncapa, .init = heard_begin, .fini = end);

static int load(const char *text)
{
    write_file("loncapa.conf", text);
    return loncapa_load(&conf, "loncapa.conf", &heard);
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

/* --- What sets a variable --------------------------------------------------------------------- */

Test(loncapa, what_is_not_set_has_the_value_LON_CAPA_ships)
{
    expect_good(ID);
    cr_expect_str_eq(conf.host_id, "msul1");
    cr_expect_str_eq(conf.sock_dir, "/home/httpd/sockets");
    cr_expect_str_eq(conf.sock_create, "/home/httpd/sockets/common_parent");
    cr_expect_str_eq(conf.daemons, "/home/httpd/perl");
    cr_expect_str_eq(conf.tab_dir, "/home/httpd/lonTabs");
    cr_expect_str_eq(conf.doc_root, "/home/httpd/html");
    cr_expect_str_eq(conf.cert_dir, "/home/httpd/lonCerts");
    cr_expect_null(conf.version);
    cr_expect_null(conf.authority);
    cr_expect_null(conf.certificate);
    cr_expect_null(conf.private_key);
    cr_expect_eq(conf.lond_port, 5663);
    cr_expect(conf.allow_insecure);
}

Test(loncapa, every_variable_can_be_set)
{
    expect_good("PerlSetVar lonHostID annarborl1\n"
                "PerlSetVar lonSockDir /a/sockets\n"
                "PerlSetVar lonSockCreate /b/parent\n"
                "PerlSetVar lonDaemons /a/perl\n"
                "PerlSetVar lonTabDir /a/tabs\n"
                "PerlSetVar lonDocRoot /a/html\n"
                "PerlSetVar lonVersion 2.11.5\n"
                "PerlSetVar lonCertificateDirectory /a/certs\n"
                "PerlSetVar lonnetCertificateAuthority loncapaCA.pem\n"
                "PerlSetVar lonnetCertificate lonhostcert.pem\n"
                "PerlSetVar lonnetPrivateKey lonKey.pem\n"
                "PerlSetVar londPort 5664\n"
                "PerlSetVar loncAllowInsecure 0\n");
    cr_expect_str_eq(conf.host_id, "annarborl1");
    cr_expect_str_eq(conf.sock_dir, "/a/sockets");
    cr_expect_str_eq(conf.sock_create, "/b/parent");
    cr_expect_str_eq(conf.daemons, "/a/perl");
    cr_expect_str_eq(conf.tab_dir, "/a/tabs");
    cr_expect_str_eq(conf.doc_root, "/a/html");
    cr_expect_str_eq(conf.version, "2.11.5");
    cr_expect_str_eq(conf.cert_dir, "/a/certs");
    cr_expect_str_eq(conf.authority, "loncapaCA.pem");
    cr_expect_str_eq(conf.certificate, "lonhostcert.pem");
    cr_expect_str_eq(conf.private_key, "lonKey.pem");
    cr_expect_eq(conf.lond_port, 5664);
    cr_expect_not(conf.allow_insecure);
}

Test(loncapa, the_socket_for_sockets_is_in_lonSockDir)
{
    expect_good(ID "PerlSetVar lonSockDir /a\n");
    cr_expect_str_eq(conf.sock_create, "/a/common_parent");
}

/* Whoever needs it says so, and hosts are served without it. */
Test(loncapa, any_path_is_taken_for_the_socket_for_sockets)
{
    expect_good(ID "PerlSetVar lonSockCreate nowhere\n");
    cr_expect_str_eq(conf.sock_create, "nowhere");
}

Test(loncapa, blanks_tabs_and_CR_separate_and_do_not_matter)
{
    expect_good("  PerlSetVar \t lonHostID\t\tmsul1  \r\n\r\n");
    cr_expect_str_eq(conf.host_id, "msul1");
}

Test(loncapa, the_first_line_counts_behind_a_byte_order_mark_too)
{
    expect_good("\xef\xbb\xbfPerlSetVar lonHostID msul1\n");
    cr_expect_str_eq(conf.host_id, "msul1");
}

Test(loncapa, the_last_of_several_lines_wins)
{
    expect_good(ID "PerlSetVar lonSockDir /first\nPerlSetVar lonSockDir /second\n");
    cr_expect_str_eq(conf.sock_dir, "/second");
}

Test(loncapa, a_value_may_stand_in_double_quotes_and_hold_blanks)
{
    expect_good("PerlSetVar lonHostID \"msul1\"\n"
                "PerlSetVar lonVersion \"2.11 RC 3\" # quoted\n"
                "PerlSetVar lonSockDir \"/never closed\n");
    cr_expect_str_eq(conf.host_id, "msul1");
    cr_expect_str_eq(conf.version, "2.11 RC 3");
    cr_expect_str_eq(conf.sock_dir, "/never closed");
}

Test(loncapa, PerlSetVar_need_not_be_the_first_word)
{
    expect_good("something PerlSetVar lonHostID msul1\n");
    cr_expect_str_eq(conf.host_id, "msul1");
}

Test(loncapa, a_hash_after_the_value_starts_a_comment_and_one_inside_does_not)
{
    expect_good(ID "PerlSetVar lonSockDir /a#b # where\nPerlSetVar lonTabDir /tabs #where\n");
    cr_expect_str_eq(conf.sock_dir, "/a#b");
    cr_expect_str_eq(conf.tab_dir, "/tabs");
}

Test(loncapa, yes_no_on_and_off_say_it_too)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"0", false}, {"no", false}, {"off", false}, {"Off", false},
                 {"1", true},  {"yes", true}, {"on", true},   {"YES", true}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), ID "PerlSetVar loncAllowInsecure %s\n", words[i].word);
        expect_good(text);
        cr_expect_eq(conf.allow_insecure, words[i].value, "%s", words[i].word);
        loncapa_free(&conf);
    }
}

/* --- What does not ---------------------------------------------------------------------------- */

Test(loncapa, a_line_behind_a_hash_sets_nothing)
{
    expect_good(ID "# PerlSetVar lonHostID other\n"
                   "#PerlSetVar lonHostID other\n"
                   "see# PerlSetVar lonHostID other\n"
                   "see # PerlSetVar lonHostID other\n");
    cr_expect_str_eq(conf.host_id, "msul1");
}

Test(loncapa, Apaches_other_directives_are_none_of_our_business)
{
    expect_good(ID "<Location /adm>\n"
                   "  PerlAccessHandler Apache::lonacc\n"
                   "  SetHandler perl-script\n"
                   "  ErrorDocument 403 \"/adm/login: no\n"
                   "</Location>\n"
                   "PerlSetVarX lonHostID other\n"
                   "perlsetvar lonHostID other\n"
                   "PerlSetVar\n"
                   "PerlSetVar lonOtherThing\n"
                   "PerlSetVar lonReceipt relative/path with more\n");
    cr_expect_str_eq(conf.host_id, "msul1");
}

Test(loncapa, a_placeholder_that_the_installer_left_sets_nothing)
{
    expect_good(ID "PerlSetVar lonHostID {[[[[lonHostID]]]]}\n"
                   "PerlSetVar lonSockDir \"{[[[[lonSockDir]]]]}\"\n");
    cr_expect_str_eq(conf.host_id, "msul1");
    cr_expect_str_eq(conf.sock_dir, "/home/httpd/sockets");
}

/* --- The companion ---------------------------------------------------------------------------- */

Test(loncapa, the_companions_values_win)
{
    write_file("loncapa_apache.conf", "PerlSetVar lonSockDir /companion\n");
    expect_good(ID "PerlSetVar lonSockDir /main\nPerlSetVar lonTabDir /tabs\n");
    cr_expect_str_eq(conf.sock_dir, "/companion");
    cr_expect_str_eq(conf.tab_dir, "/tabs");
}

Test(loncapa, the_companion_stands_beside_the_file_named)
{
    mkdir("etc", 0700);
    write_file("loncapa_apache.conf", "PerlSetVar lonSockDir /wrong\n");
    write_file("etc/loncapa_apache.conf", "PerlSetVar lonSockDir /right\n");
    write_file("etc/loncapa.conf", ID);
    cr_assert_eq(loncapa_load(&conf, "etc/loncapa.conf", &heard), 0);
    cr_expect_str_eq(conf.sock_dir, "/right");
}

Test(loncapa, the_companion_alone_may_name_this_server)
{
    write_file("loncapa_apache.conf", ID);
    expect_good("# nothing\n");
    cr_expect_str_eq(conf.host_id, "msul1");
}

Test(loncapa, mistakes_in_the_companion_are_said_under_its_name)
{
    write_file("loncapa_apache.conf", "\nPerlSetVar londPort none\n");
    expect_complaints(ID, "loncapa_apache.conf:2: londPort: \"none\": "
                          "expected a port from 1 to 65535\n");
}

Test(loncapa, a_companion_that_cannot_be_read_is_no_missing_one)
{
    mkdir("loncapa_apache.conf", 0700);
    expect_complaints(ID, "loncapa_apache.conf: cannot be read: it is not a regular file\n");
}

/* --- What is wrong ---------------------------------------------------------------------------- */

Test(loncapa, lonHostID_must_be_set)
{
    expect_complaints("PerlSetVar lonSockDir /a\n",
                      "loncapa.conf: lonHostID is not set, so this server has no name\n");
}

Test(loncapa, a_placeholder_alone_leaves_lonHostID_unset)
{
    expect_complaints("PerlSetVar lonHostID {[[[[lonHostID]]]]}\n",
                      "loncapa.conf: lonHostID is not set, so this server has no name\n");
}

Test(loncapa, lonHostID_must_be_a_name)
{
    expect_complaints("\nPerlSetVar lonHostID ms/ul1\n",
                      "loncapa.conf:2: lonHostID: \"ms/ul1\": expected " RULE "\n");
}

Test(loncapa, directories_must_be_absolute)
{
    expect_complaints(ID "PerlSetVar lonSockDir sockets\n"
                         "PerlSetVar lonDaemons ./perl\n"
                         "PerlSetVar lonTabDir ~/tabs\n"
                         "PerlSetVar lonDocRoot html\n"
                         "PerlSetVar lonCertificateDirectory certs\n",
                      "loncapa.conf:2: lonSockDir: \"sockets\": expected an absolute path\n"
                      "loncapa.conf:3: lonDaemons: \"./perl\": expected an absolute path\n"
                      "loncapa.conf:4: lonTabDir: \"~/tabs\": expected an absolute path\n"
                      "loncapa.conf:5: lonDocRoot: \"html\": expected an absolute path\n"
                      "loncapa.conf:6: lonCertificateDirectory: \"certs\": "
                      "expected an absolute path\n");
}

Test(loncapa, the_default_stands_where_a_value_is_bad)
{
    load(ID "PerlSetVar lonSockDir sockets\nPerlSetVar londPort x\n");
    cr_expect_str_eq(conf.sock_dir, "/home/httpd/sockets");
    cr_expect_eq(conf.lond_port, 5663);
}

Test(loncapa, a_port_is_a_number_from_1_to_65535)
{
    expect_good(ID "PerlSetVar londPort 1\nPerlSetVar londPort 65535\n");
    cr_expect_eq(conf.lond_port, 65535);
    loncapa_free(&conf);
    expect_complaints(ID "PerlSetVar londPort 0\n"
                         "PerlSetVar londPort 65536\n"
                         "PerlSetVar londPort -1\n"
                         "PerlSetVar londPort 5663x\n"
                         "PerlSetVar londPort 99999999999999999999\n",
                      "loncapa.conf:2: londPort: \"0\": expected a port from 1 to 65535\n"
                      "loncapa.conf:3: londPort: \"65536\": expected a port from 1 to 65535\n"
                      "loncapa.conf:4: londPort: \"-1\": expected a port from 1 to 65535\n"
                      "loncapa.conf:5: londPort: \"5663x\": expected a port from 1 to 65535\n"
                      "loncapa.conf:6: londPort: \"99999999999999999999\": "
                      "expected a port from 1 to 65535\n");
}

Test(loncapa, loncAllowInsecure_is_yes_or_no)
{
    expect_complaints(
        ID "PerlSetVar loncAllowInsecure 2\nPerlSetVar loncAllowInsecure maybe\n",
        "loncapa.conf:2: loncAllowInsecure: \"2\": expected 0, 1, no, yes, off or on\n"
        "loncapa.conf:3: loncAllowInsecure: \"maybe\": "
        "expected 0, 1, no, yes, off or on\n");
}

Test(loncapa, a_variable_we_know_must_have_a_value)
{
    expect_complaints(
        "PerlSetVar lonHostID\n"
        "PerlSetVar lonVersion # later\n"
        "PerlSetVar lonSockDir \"\"\n"
        "PerlSetVar londPort\n"
        "PerlSetVar loncAllowInsecure\n",
        "loncapa.conf:1: lonHostID: \"\": expected " RULE "\n"
        "loncapa.conf:2: lonVersion: \"\": expected a value\n"
        "loncapa.conf:3: lonSockDir: \"\": expected an absolute path\n"
        "loncapa.conf:4: londPort: \"\": expected a port from 1 to 65535\n"
        "loncapa.conf:5: loncAllowInsecure: \"\": expected 0, 1, no, yes, off or on\n");
}

Test(loncapa, a_missing_file_is_named_and_nothing_else_is_said)
{
    cr_expect_eq(loncapa_load(&conf, "nowhere/loncapa.conf", &heard), -1);
    expect_heard("nowhere/loncapa.conf: cannot be read: No such file or directory\n");
}

static void need_a_machine_without_LON_CAPA(void)
{
    for (size_t i = 0; loncapa_places[i] != NULL; i++)
        if (access(loncapa_places[i], F_OK) == 0)
            cr_skip_test("%s exists", loncapa_places[i]);
}

Test(loncapa, without_a_path_the_usual_places_are_looked_at)
{
    need_a_machine_without_LON_CAPA();
    cr_expect_eq(loncapa_load(&conf, NULL, &heard), -1);
    cr_expect_eq(loncapa_load(&conf, "", &heard), -1);
    cr_expect_eq(heard.count, 2);
    expect_heard("/etc/httpd/conf/loncapa.conf: does not exist, and neither does "
                 "/etc/apache2/loncapa.conf; loncapa_conf can name another path\n"
                 "/etc/httpd/conf/loncapa.conf: does not exist, and neither does "
                 "/etc/apache2/loncapa.conf; loncapa_conf can name another path\n");
}
