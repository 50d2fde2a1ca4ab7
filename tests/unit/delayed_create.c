/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Storing deferred files: whole and under a name of their own, or not at all.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host_name.h"
#include "keeper/deferred/delayed_create.h"
#include "tests/unit/delayed_files.h"
#include "tests/unit/heard.h"

TestSuite(delayed_create, .init = delayed_begin, .fini = delayed_end, .timeout = 30);

/* --- The folder ------------------------------------------------------------------------------- */

Test(delayed_create, the_folder_is_made_when_it_is_missing)
{
    int fd = delayed_open("delayed");
    struct stat status;
    cr_assert_geq(fd, 0);
    cr_assert_eq(fstat(fd, &status), 0);
    cr_expect(S_ISDIR(status.st_mode));
    cr_expect_eq(status.st_mode & 0777, 0700);
    close(fd);
    write_file("delayed/file", "x");
    fd = delayed_open("delayed");
    cr_assert_geq(fd, 0, "the second time it is there");
    close(fd);
    expect_file("delayed/file", "x");
}

Test(delayed_create, a_folder_that_cannot_be_opened_is_said)
{
    cr_expect_eq(delayed_open("missing/delayed"), -ENOENT);
    write_file("delayed", "in the way");
    cr_expect_eq(delayed_open("delayed"), -ENOTDIR);
    expect_file("delayed", "in the way");
}

/* --- Storing ---------------------------------------------------------------------------------- */

static int create(const char *host, const char *line, struct delayed_file *file)
{
    return delayed_create(folder, host, 1700000000, line, strlen(line), file);
}

Test(delayed_create, what_is_stored_appears_whole_when_it_is_published)
{
    struct delayed_file file;
    cr_assert_eq(create("msul1", "put:msu:smith\n", &file), 0);
    cr_expect_geq(file.fd, 0);
    cr_expect_not(exists(file.name), "not before");
    cr_expect(exists(file.temporary));
    cr_expect_eq(strncmp(file.temporary, "storing/", 8), 0);
    cr_assert_eq(delayed_publish(folder, &file), 0);
    cr_expect_eq(file.fd, -1);
    expect_file(file.name, "put:msu:smith\n");
    cr_expect_eq(count_entries("storing"), 0);
    struct stat status;
    cr_assert_eq(stat(file.name, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
}

Test(delayed_create, its_name_is_one_of_a_deferred_file)
{
    struct delayed_file file;
    struct delayed_order order;
    char expected[128];
    cr_assert_eq(create("msul1", "put:msu:smith:x=1\n", &file), 0);
    const char *host = delayed_parse_name(file.name, &order);
    cr_assert_not_null(host);
    cr_expect_str_eq(host, "msul1");
    cr_expect_eq(order.epoch, 1700000000);
    snprintf(expected, sizeof(expected), "1700000000.%llu.%ld.putmsusmithx.msul1",
             (unsigned long long)order.count, (long)getpid());
    cr_expect_str_eq(file.name, expected);
    delayed_abandon(folder, &file);
}

Test(delayed_create, names_count_upwards)
{
    struct delayed_order last = {0}, order;
    for (int i = 0; i < 20; i++) {
        struct delayed_file file;
        cr_assert_eq(create("msul1", "put\n", &file), 0);
        cr_assert_not_null(delayed_parse_name(file.name, &order));
        cr_expect_gt(order.count, last.count);
        last = order;
        cr_assert_eq(delayed_publish(folder, &file), 0);
    }
    cr_expect_eq(count_entries("."), 21);
}

Test(delayed_create, letters_of_the_command_that_a_name_may_not_have_are_left_out)
{
    static const struct {
        const char *line, *letters;
    } lines[] = {
        {"\n", ""},
        {"../../etc/passwd:x\n", "etcpasswd"},
        {"a.b.c:d\n", "abcd"},
        {"\xff\x01 \t%s\n", "s"},
        {"0123456789abcdefghij\n", "0123456789abcdef"},
        {"................x\n", ""},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        struct delayed_file file;
        struct delayed_order order;
        char expected[128];
        cr_assert_eq(create("h", lines[i].line, &file), 0);
        cr_assert_not_null(delayed_parse_name(file.name, &order), "%s", file.name);
        snprintf(expected, sizeof(expected), "1700000000.%llu.%ld.%s.h",
                 (unsigned long long)order.count, (long)getpid(), lines[i].letters);
        cr_expect_str_eq(file.name, expected);
        delayed_abandon(folder, &file);
    }
}

Test(delayed_create, of_an_enciphered_request_the_name_which_is_logged_tells_the_first_word_only)
{
    struct delayed_file file;
    cr_assert_eq(create("h", "encrypt:auth:me:secret\n", &file), 0);
    cr_expect_null(strstr(file.name, "me"), "%s", file.name);
    delayed_abandon(folder, &file);
    cr_assert_eq(create("h", "encrypt:a:secret\n", &file), 0);
    cr_expect_null(strstr(file.name, "sec"), "%s", file.name);
    delayed_abandon(folder, &file);
}

Test(delayed_create, any_bytes_and_any_length_are_stored)
{
    struct delayed_file file;
    size_t size = 3000000;
    char *line = malloc(size);
    for (size_t i = 0; i < size; i++)
        line[i] = (char)(i * 7 + i / 251);
    for (size_t i = 0; i < size; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[size - 1] = '\n';
    cr_assert_eq(delayed_create(folder, "msul1", 1, line, size, &file), 0);
    cr_assert_eq(delayed_publish(folder, &file), 0);
    cr_assert_eq(delayed_read(folder, file.name, 2 * size, &buffer, &found), DELAYED_READ);
    cr_assert_eq(buffer_length(&buffer), size);
    cr_expect_eq(memcmp(buffer.data + buffer.start, line, size), 0);
    free(line);
}

Test(delayed_create, what_is_abandoned_leaves_nothing)
{
    struct delayed_file file;
    int before = count_open();
    cr_assert_eq(create("msul1", "put\n", &file), 0);
    delayed_abandon(folder, &file);
    cr_expect_eq(file.fd, -1);
    cr_expect_not(exists(file.name));
    cr_expect_eq(count_entries("storing"), 0);
    cr_expect_eq(count_open(), before);
    delayed_abandon(folder, &file); /* a second time is allowed */
}

Test(delayed_create, what_is_published_cannot_be_abandoned)
{
    struct delayed_file file;
    cr_assert_eq(create("msul1", "put\n", &file), 0);
    cr_assert_eq(delayed_publish(folder, &file), 0);
    delayed_abandon(folder, &file);
    expect_file(file.name, "put\n");
}

Test(delayed_create, publishing_replaces_nothing)
{
    struct delayed_file file;
    cr_assert_eq(create("msul1", "new\n", &file), 0);
    write_file(file.name, "old\n");
    cr_expect_eq(delayed_publish(folder, &file), -EEXIST);
    expect_file(file.name, "old\n");
    delayed_abandon(folder, &file);
    cr_expect_eq(count_entries("storing"), 0);
    expect_file(file.name, "old\n");
}

Test(delayed_create, what_cannot_be_stored_leaves_nothing)
{
    struct delayed_file file = {.fd = -1};
    write_file("storing", "in the way");
    int before = count_open();
    cr_expect_lt(create("msul1", "put\n", &file), 0);
    cr_expect_eq(count_open(), before);
    cr_expect_eq(count_entries("."), 1);
    expect_file("storing", "in the way");
}

Test(delayed_create, what_does_not_fit_on_the_disk_leaves_nothing)
{
    struct delayed_file file = {.fd = -1};
    int before = count_open();
    pid_t pid = fork();
    if (pid == 0) { /* a limit of the size of files takes the place of a full disk */
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {4, 4};
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(create("msul1", "put:msu:smith\n", &file) == -EFBIG && count_entries("storing") == 0
                  ? 0
                  : 1);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_expect_eq(count_open(), before);
}

Test(delayed_create, a_host_with_the_longest_name_is_stored_whole_or_not_at_all)
{
    char host[HOST_NAME_MAX_LENGTH + 1];
    struct delayed_file file;
    struct delayed_order order;
    memset(host, 'h', sizeof(host));
    host[HOST_NAME_MAX_LENGTH] = '\0';
    cr_assert_eq(create(host, "put:msu:smith:x=1\n", &file), 0);
    int r = delayed_publish(folder, &file);
    if (r == 0)
        cr_expect_str_eq(delayed_parse_name(file.name, &order), host);
    else
        cr_expect_eq(r, -ENAMETOOLONG);
    delayed_abandon(folder, &file);
    cr_expect_eq(count_entries("."), r == 0 ? 2 : 1);
}

/* --- After a kill ----------------------------------------------------------------------------- */

Test(delayed_create, what_a_killed_keeper_was_storing_is_swept_away)
{
    struct delayed_file file;
    cr_assert_eq(create("msul1", "half of a\n", &file), 0);
    write_file(NAME, "whole\n");
    write_file("storing/77", "half");
    delayed_sweep(folder);
    cr_expect_eq(count_entries("storing"), 0);
    expect_file(NAME, "whole\n");
    delayed_abandon(folder, &file);
    cr_assert_eq(create("msul1", "next\n", &file), 0);
    cr_expect_eq(delayed_publish(folder, &file), 0);
}

Test(delayed_create, what_a_killed_keeper_was_removing_is_put_back)
{
    cr_assert_eq(mkdir("storing", 0700), 0);
    write_file("storing/" NAME, "put\n");
    delayed_sweep(folder);
    expect_file(NAME, "put\n");
    cr_expect_eq(count_entries("storing"), 0);
    write_file("storing/" NAME, "older\n");
    delayed_sweep(folder);
    expect_file(NAME, "put\n");
    expect_file("storing/" NAME, "older\n");
}

Test(delayed_create, sweeping_does_not_follow_a_link_and_does_not_need_the_folder)
{
    int before = count_open();
    delayed_sweep(folder);
    cr_assert_eq(mkdir("elsewhere", 0700), 0);
    write_file("elsewhere/file", "x");
    cr_assert_eq(symlink("elsewhere", "storing"), 0);
    delayed_sweep(folder);
    expect_file("elsewhere/file", "x");
    cr_expect_eq(count_open(), before);
}

Test(delayed_create, a_new_keepers_first_store_is_not_hindered_by_an_old_ones_leftovers)
{
    struct delayed_file file;
    cr_assert_eq(mkdir("storing", 0700), 0);
    for (int i = 1; i < 2000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "storing/%d", i);
        write_file(name, "left");
    }
    delayed_sweep(folder);
    cr_assert_eq(create("msul1", "put\n", &file), 0);
    cr_expect_eq(delayed_publish(folder, &file), 0);
}
