/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files that lonc-hosts writes, in a folder of the test's own.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/heard.h"
#include "units/lonc-hosts/unit_files.h"

static const struct www user = {.user = 33, .group = 34};
static struct unit_files files;
static struct host_list hosts;
static struct config config;

/* LON-CAPA's standard folders. */
static char sockets[] = "/home/httpd/sockets", perl[] = "/home/httpd/perl";
static char html[] = "/home/httpd/html", certs[] = "/home/httpd/lonCerts";
static char tabs[] = "/home/httpd/lonTabs", no_log[] = "";

static void begin(void)
{
    heard_begin();
    files = (struct unit_files){
        .units = "made", .dropins = "dropins", .templates = "templates", .user = &user};
    cr_assert_eq(mkdir("templates", 0755), 0);
    write_file("templates/lonc-host.socket", "# why\nListenStream=@SOCKET@\n");
    write_file("templates/lonc-host@.service", "User=@USER@\n");
    write_file("templates/lonc-shared.socket", "[Socket]\nListenStream=@SOCKET@\n");
    host_list_init(&hosts);
    config = (struct config){
        .settings = {.log_file = no_log},
        .loncapa = {.sock_dir = sockets,
                    .daemons = perl,
                    .doc_root = html,
                    .cert_dir = certs,
                    .tab_dir = tabs},
        .valid = true,
    };
}

static void end(void)
{
    host_list_free(&hosts);
    heard_end();
}

TestSuite(unit_files, .init = begin, .fini = end);

static struct host *add_host(const char *id, enum activation kind)
{
    struct host *host = host_list_add(&hosts, id);
    cr_assert_not_null(host);
    host->wanted = true;
    host->kind = kind;
    host->path_count = 1;
    snprintf(host->paths[0], PATH_SIZE, "/s/%s", id);
    host_list_sort(&hosts);
    return host_list_find(&hosts, id);
}

static void expect_file(const char *path, const char *expected)
{
    char bytes[4096];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        cr_expect_null(expected, "%s is missing", path);
        return;
    }
    bytes[fread(bytes, 1, sizeof(bytes) - 1, file)] = '\0';
    fclose(file);
    cr_assert_not_null(expected, "%s should not be there", path);
    cr_expect_str_eq(bytes, expected);
}

/* --- Hosts' units ----------------------------------------------------------------------------- */

#define MADE "# Made by `lonc-hosts sync`.\n"

Test(unit_files, a_host_has_the_units_of_its_kind)
{
    cr_expect_eq(unit_files_write_host(&files, add_host("a", ACTIVATION_PER_CONNECTION)), 0);
    cr_expect_eq(unit_files_write_host(&files, add_host("b", ACTIVATION_SHARED)), 0);
    expect_file("made/lonc-host-a.socket", MADE "ListenStream=/s/a\n");
    expect_file("made/lonc-host-a@.service", MADE "User=33\n");
    expect_file("made/lonc-shared@b.socket", MADE "[Socket]\nListenStream=/s/b\n");
    expect_file("made/lonc-shared@a.socket", NULL);
    cr_expect(files.hosts_changed);
}

Test(unit_files, a_unit_that_is_right_already_is_left_alone)
{
    struct host *host = add_host("a", ACTIVATION_SHARED);
    struct stat before, after;
    cr_expect_eq(unit_files_write_host(&files, host), 0);
    cr_assert_eq(stat("made/lonc-shared@a.socket", &before), 0);
    files.hosts_changed = false;
    cr_expect_eq(unit_files_write_host(&files, host), 0);
    cr_assert_eq(stat("made/lonc-shared@a.socket", &after), 0);
    cr_expect_eq(before.st_ino, after.st_ino);
    cr_expect_not(files.hosts_changed);
}

Test(unit_files, systemd_reads_again_only_what_it_has_read_before)
{
    struct host *host = add_host("a", ACTIVATION_SHARED);
    cr_expect_eq(unit_files_write_host(&files, host), 0);
    cr_expect_not(files.needs_reload, "a new unit is read when it starts");
    host->found.loaded[ACTIVATION_SHARED] = true;
    cr_expect_eq(unit_files_write_host(&files, host), 0);
    cr_expect_not(files.needs_reload, "nothing has changed");
    strcpy(host->paths[0], "/t/a");
    cr_expect_eq(unit_files_write_host(&files, host), 0);
    cr_expect(files.needs_reload);
}

Test(unit_files, a_dry_run_tells_what_it_would_change_and_writes_nothing)
{
    files.dry_run = true;
    cr_expect_eq(unit_files_write_host(&files, add_host("a", ACTIVATION_SHARED)), 0);
    cr_expect(files.hosts_changed);
    cr_expect_eq(access("made", F_OK), -1);
}

Test(unit_files, without_www_or_a_template_there_is_an_error)
{
    cr_redirect_stderr();
    cr_assert_eq(unlink("templates/lonc-shared.socket"), 0);
    cr_expect_eq(unit_files_write_host(&files, add_host("a", ACTIVATION_SHARED)), -ENOENT);
    files.user = NULL;
    cr_expect_eq(unit_files_write_host(&files, add_host("b", ACTIVATION_PER_CONNECTION)), -ENOENT);
    fflush(stderr);
    cr_assert_stderr_eq_str("lonc-hosts: templates/lonc-shared.socket: No such file or directory\n"
                            "lonc-hosts: there is no user www\n");
}

Test(unit_files, a_unit_has_the_paths_it_was_written_with)
{
    struct host *host = add_host("a", ACTIVATION_SHARED);
    char paths[PATHS_MAX][PATH_SIZE];
    cr_expect_not(unit_files_has_paths(&files, host, ACTIVATION_SHARED), "there is no file");
    cr_expect_eq(unit_files_read_paths(&files, host, ACTIVATION_SHARED, paths), 0);
    cr_expect_eq(unit_files_write_host(&files, host), 0);
    cr_expect(unit_files_has_paths(&files, host, ACTIVATION_SHARED));
    cr_expect_not(unit_files_has_paths(&files, host, ACTIVATION_PER_CONNECTION));
    cr_assert_eq(unit_files_read_paths(&files, host, ACTIVATION_SHARED, paths), 1);
    cr_expect_str_eq(paths[0], "/s/a");
}

Test(unit_files, units_of_other_hosts_and_other_kinds_are_removed)
{
    static const char *const kept[] = {"lonc-shared@a.socket", "lonc-host-a.socket.d",
                                       "somebody-elses.socket"};
    static const char *const removed[] = {"lonc-host-a.socket", "lonc-host-a@.service",
                                          "lonc-shared@gone.socket", "lonc-host-gone.socket"};
    add_host("a", ACTIVATION_SHARED);
    cr_expect_eq(unit_files_prune(&files, &hosts), 0, "no folder, nothing to remove");
    cr_assert_eq(mkdir("made", 0755), 0);
    cr_assert_eq(chdir("made"), 0);
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        write_file(kept[i], "");
    for (size_t i = 0; i < sizeof(removed) / sizeof(*removed); i++)
        write_file(removed[i], "");
    files.units = ".";
    files.dry_run = true;
    cr_expect_eq(unit_files_prune(&files, &hosts), 0);
    cr_expect(files.hosts_changed);
    cr_expect_eq(access(removed[0], F_OK), 0, "a dry run removes nothing");
    files.dry_run = false;
    cr_expect_eq(unit_files_prune(&files, &hosts), 0);
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        cr_expect_eq(access(kept[i], F_OK), 0, "%s", kept[i]);
    for (size_t i = 0; i < sizeof(removed) / sizeof(*removed); i++)
        cr_expect_eq(access(removed[i], F_OK), -1, "%s", removed[i]);
    cr_assert_eq(chdir(".."), 0);
}

/* --- Drop-ins --------------------------------------------------------------------------------- */

#define KEEPERS "dropins/lonc-keeper.service.d/50-loncapa.conf"

Test(unit_files, the_standard_folders_need_no_drop_in)
{
    cr_expect_eq(unit_files_write_dropins(&files, &config), 0);
    cr_expect_not(files.needs_reload);
    cr_expect_eq(unit_files_keeper_dropin_time(&files), 0);
    cr_expect_eq(access("dropins", F_OK), -1);
}

Test(unit_files, a_folder_elsewhere_has_a_drop_in_until_it_is_back)
{
    struct stat status;
    cr_redirect_stdout();
    config.loncapa.tab_dir = (char[]){"/srv/tabs"};
    config.settings.log_file = (char[]){"/srv/log/lonc.log"};
    cr_expect_eq(unit_files_write_dropins(&files, &config), 0);
    cr_expect(files.needs_reload);
    expect_file("dropins/lonc-page.service.d/50-loncapa.conf",
                "# Written by `lonc-hosts sync`, after loncapa.conf and where links lead.\n"
                "[Unit]\n"
                "Wants=srv.mount\nAfter=srv.mount\n"
                "Wants=srv-tabs.mount\nAfter=srv-tabs.mount\n"
                "Wants=srv-log.mount\nAfter=srv-log.mount\n");
    expect_file(KEEPERS,
                "# Written by `lonc-hosts sync`, after loncapa.conf and where links lead.\n"
                "[Unit]\n"
                "Wants=srv.mount\nAfter=srv.mount\n"
                "Wants=srv-tabs.mount\nAfter=srv-tabs.mount\n"
                "Wants=srv-log.mount\nAfter=srv-log.mount\n"
                "[Service]\n"
                "ReadWritePaths=\"-/srv/log\"\n");
    cr_assert_eq(stat(KEEPERS, &status), 0);
    cr_expect_eq(unit_files_keeper_dropin_time(&files) / 1000000, (uint64_t)status.st_mtime);

    files.needs_reload = false;
    cr_expect_eq(unit_files_write_dropins(&files, &config), 0);
    cr_expect_not(files.needs_reload, "all drop-ins are right already");

    config.loncapa.tab_dir = tabs;
    config.settings.log_file = no_log;
    write_file("dropins/lonc-page.service.d/mine.conf", "");
    cr_expect_eq(unit_files_write_dropins(&files, &config), 0);
    cr_expect(files.needs_reload);
    cr_expect_eq(access("dropins/lonc-keeper.service.d", F_OK), -1);
    cr_expect_eq(access("dropins/lonc-page.service.d/mine.conf", F_OK), 0, "an administrator's");
    fflush(stdout);
    cr_assert_stdout_eq_str("write dropins/lonc-page.service.d/50-loncapa.conf: "
                            "the directories of loncapa.conf, and where links lead\n"
                            "write dropins/lonc-hosts-sync.service.d/50-loncapa.conf: "
                            "the directories of loncapa.conf, and where links lead\n"
                            "write dropins/lonc-keeper.service.d/50-loncapa.conf: "
                            "the directories of loncapa.conf, and where links lead\n"
                            "remove dropins/lonc-page.service.d/50-loncapa.conf: "
                            "the directories of loncapa.conf, and where links lead\n"
                            "remove dropins/lonc-hosts-sync.service.d/50-loncapa.conf: "
                            "the directories of loncapa.conf, and where links lead\n"
                            "remove dropins/lonc-keeper.service.d/50-loncapa.conf: "
                            "the directories of loncapa.conf, and where links lead\n");
}

/* --- What is not served ----------------------------------------------------------------------- */

Test(unit_files, what_is_not_served_is_in_a_file_while_there_is_any)
{
    cr_expect_eq(unit_files_write_unserved(".", "/s/a: down\n"), 0);
    expect_file("unserved", "/s/a: down\n");
    cr_expect_eq(unit_files_write_unserved(".", "/s/b: failed\n"), 0);
    expect_file("unserved", "/s/b: failed\n");
    cr_expect_eq(unit_files_write_unserved(".", ""), 0);
    expect_file("unserved", NULL);
    cr_expect_eq(unit_files_write_unserved(".", ""), 0);
    cr_expect_eq(unit_files_write_unserved("nowhere", "/s/a: down\n"), 0, "no keeper, no file");
    cr_expect_eq(access("nowhere", F_OK), -1);
}
