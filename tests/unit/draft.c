/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that are replaced as a whole, in a folder of the test's own.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/draft.h"

static char folder[32];

static void begin(void)
{
    strcpy(folder, "/tmp/draft.XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void end(void)
{
    const char *const names[] = {"file", "target", "other"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(names[i]);
    (void)rmdir("file");
    cr_expect_eq(rmdir(folder), 0, "%s: there is something left", folder);
}

TestSuite(draft, .init = begin, .fini = end);

static void expect_content(const char *path, const char *expected)
{
    char found[64] = "";
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
    cr_assert_geq(read(fd, found, sizeof(found) - 1), 0);
    close(fd);
    cr_expect_str_eq(found, expected, "%s: %s", path, found);
}

/* Nothing but these. */
static void expect_entries(int expected)
{
    int count = 0;
    DIR *entries = opendir(".");
    cr_assert_not_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(entries);
    cr_expect_eq(count, expected, "%d entries", count);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    return status.st_mode & 07777;
}

Test(draft, a_file_is_made_with_the_permissions_asked_for)
{
    umask(077);
    cr_assert_eq(draft_replace("file", "one\n", 4, 0644, false), 0);
    expect_content("file", "one\n");
    cr_expect_eq(mode_of("file"), 0644);
    expect_entries(1);
}

Test(draft, a_file_is_replaced_by_another_one)
{
    cr_assert_eq(draft_replace("file", "one\n", 4, 0600, false), 0);
    int old = open("file", O_RDONLY);
    cr_assert_eq(draft_replace("file", "two\n", 4, 0640, true), 0);
    expect_content("file", "two\n");
    cr_expect_eq(mode_of("file"), 0640);
    char text[8] = "";
    cr_expect_eq(read(old, text, sizeof(text) - 1), 4);
    cr_expect_str_eq(text, "one\n", "a reader of the old file keeps it");
    close(old);
    expect_entries(1);
}

Test(draft, until_it_is_installed_the_old_file_stands)
{
    struct draft draft;
    cr_assert_eq(draft_replace("file", "one\n", 4, 0600, false), 0);
    cr_assert_eq(draft_open(&draft, "file", 0600), 0);
    fputs("two\n", draft.file);
    cr_assert_eq(fflush(draft.file), 0);
    expect_content("file", "one\n");
    expect_entries(2);
    cr_assert_eq(draft_install(&draft, false), 0);
    cr_expect_null(draft.file);
    expect_content("file", "two\n");
    expect_entries(1);
}

Test(draft, a_discarded_draft_leaves_nothing)
{
    struct draft draft;
    cr_assert_eq(draft_open(&draft, "file", 0600), 0);
    fputs("two\n", draft.file);
    draft_discard(&draft);
    draft_discard(&draft);
    expect_entries(0);
}

Test(draft, two_at_once_do_not_meet)
{
    struct draft one, two;
    cr_assert_eq(draft_open(&one, "file", 0600), 0);
    cr_assert_eq(draft_open(&two, "file", 0600), 0);
    fputs("one\n", one.file);
    fputs("two\n", two.file);
    cr_assert_eq(draft_install(&two, false), 0);
    cr_assert_eq(draft_install(&one, false), 0);
    expect_content("file", "one\n");
    expect_entries(1);
}

Test(draft, a_link_at_the_path_is_replaced_and_its_target_left_alone)
{
    cr_assert_eq(draft_replace("target", "theirs\n", 7, 0600, false), 0);
    cr_assert_eq(symlink("target", "file"), 0);
    cr_assert_eq(draft_replace("file", "ours\n", 5, 0600, false), 0);
    expect_content("target", "theirs\n");
    expect_content("file", "ours\n");
}

Test(draft, a_disk_that_takes_no_more_leaves_the_old_file)
{
    static const char bytes[20000];
    const struct rlimit small = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
    cr_assert_eq(draft_replace("file", "one\n", 4, 0600, false), 0);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    cr_expect_eq(draft_replace("file", bytes, sizeof(bytes), 0600, false), -EFBIG);
    struct draft draft;
    cr_assert_eq(draft_open(&draft, "file", 0600), 0);
    for (size_t i = 0; i < sizeof(bytes); i++)
        fputc(0, draft.file);
    cr_expect_lt(draft_install(&draft, false), 0);
    cr_expect_null(draft.file);
    expect_content("file", "one\n");
    expect_entries(1);
}

Test(draft, what_cannot_be_replaced_is_an_error_and_leaves_no_draft)
{
    char longer[PATH_MAX + 1];
    memset(longer, 'x', PATH_MAX);
    longer[PATH_MAX] = '\0';
    cr_assert_eq(mkdir("file", 0700), 0);
    cr_expect_eq(draft_replace("file", "x", 1, 0600, false), -EISDIR);
    cr_expect_eq(draft_replace("none/file", "x", 1, 0600, false), -ENOENT);
    cr_expect_eq(draft_replace(longer, "x", 1, 0600, false), -ENAMETOOLONG);
    expect_entries(1);
}

Test(draft, a_path_may_name_its_folder_in_any_way)
{
    char absolute[64];
    snprintf(absolute, sizeof(absolute), "%s/other", folder);
    cr_expect_eq(draft_replace("file", "1", 1, 0600, true), 0);
    cr_expect_eq(draft_replace("./file", "2", 1, 0600, true), 0);
    cr_expect_eq(draft_replace(absolute, "3", 1, 0600, true), 0);
    expect_content("file", "2");
    expect_content("other", "3");
}
