/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Removing deferred files and setting them aside: nothing but what was sent is taken, nothing is
 * lost.
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

#include "keeper/deferred/delayed_take.h"
#include "tests/unit/delayed_files.h"
#include "tests/unit/heard.h"

TestSuite(delayed_take, .init = delayed_begin, .fini = delayed_end, .timeout = 30);

/* --- Removing what was sent ------------------------------------------------------------------- */

/* Reads the file as if it were sent. */
static struct delayed_sent send_file(const char *name)
{
    cr_assert_eq(read_file(name), DELAYED_READ);
    return (struct delayed_sent){
        .is = found.is, .content = buffer.data + buffer.start, .length = buffer_length(&buffer)};
}

Test(delayed_take, a_delivered_file_is_removed)
{
    write_file(NAME, "put\n");
    struct delayed_sent sent = send_file(NAME);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_TAKEN);
    cr_expect_not(exists(NAME));
    cr_expect_eq(count_entries("storing"), 0);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_NOT_THERE, "gone already");
}

Test(delayed_take, a_delivered_file_that_was_held_meanwhile_is_removed)
{
    write_file(NAME, "put\n");
    struct delayed_sent sent = send_file(NAME);
    cr_assert_eq(mkdir("held", 0700), 0);
    cr_assert_eq(rename(NAME, "held/" NAME), 0);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_TAKEN_HELD);
    cr_expect_not(exists("held/" NAME));
}

Test(delayed_take, another_file_of_that_name_stays_held)
{
    cr_assert_eq(mkdir("held", 0700), 0);
    write_file("held/" NAME, "another\n");
    write_file(NAME, "put\n");
    struct delayed_sent sent = send_file(NAME);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_TAKEN);
    expect_file("held/" NAME, "another\n");
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_NOT_THERE);
    expect_file("held/" NAME, "another\n");
}

Test(delayed_take, another_file_that_was_renamed_over_it_stays)
{
    write_file(NAME, "put\n");
    struct delayed_sent sent = send_file(NAME);
    write_file("other", "new\n");
    cr_assert_eq(rename("other", NAME), 0);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_NOT_THERE);
    expect_file(NAME, "new\n");
    cr_expect_eq(delayed_set_aside(folder, NAME, "rejected", &sent, "error\n", 6),
                 DELAYED_NOT_THERE);
    expect_file(NAME, "new\n");
    cr_expect_eq(count_entries("rejected"), 0, "no reply without its file");
}

Test(delayed_take, a_file_that_was_appended_to_or_rewritten_stays)
{
    write_file(NAME, "put");
    struct delayed_sent sent = send_file(NAME);
    int fd = open(NAME, O_WRONLY | O_APPEND | O_CLOEXEC);
    cr_assert_eq(write(fd, "more\n", 5), 5);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_NOT_THERE);
    expect_file(NAME, "putmore\n");
    sent = (struct delayed_sent){.is = sent.is};
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_eq(write(fd, "tup", 3), 3);
    close(fd);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_NOT_THERE);
    expect_file(NAME, "tup");
}

Test(delayed_take, permissions_and_renames_do_not_make_another_file_of_it)
{
    unsigned char digest[DELAYED_DIGEST_SIZE];
    write_file(NAME, "put\n");
    struct delayed_sent sent = send_file(NAME);
    cr_assert_eq(chmod(NAME, 0640), 0);
    struct delayed_sent blind = {.is = sent.is, .length = sent.length};
    cr_expect_eq(delayed_remove(folder, NAME, &blind), DELAYED_NOT_THERE,
                 "nobody knows what was sent");
    delayed_digest(sent.content, sent.length, digest);
    blind.digest = digest;
    cr_assert_eq(rename(NAME, "elsewhere"), 0);
    cr_assert_eq(rename("elsewhere", NAME), 0);
    cr_expect_eq(delayed_remove(folder, NAME, &blind), DELAYED_TAKEN);
    write_file(NAME, "put\n");
    sent = send_file(NAME);
    cr_assert_eq(chmod(NAME, 0640), 0);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_TAKEN);
}

Test(delayed_take, what_cannot_be_removed_is_told_and_stays)
{
    cr_assert_eq(mkdir(NAME, 0700), 0);
    cr_assert_eq(delayed_look(folder, NAME, &found), DELAYED_CORRUPT);
    struct delayed_sent sent = {.is = found.is};
    cr_expect_lt(delayed_remove(folder, NAME, &sent), 0);
    cr_expect(exists(NAME));
}

Test(delayed_take, whether_a_file_could_be_removed_is_known_before)
{
    cr_assert_eq(mkdir("own", 0700), 0);
    cr_assert_eq(chmod(".", 0755), 0);
    int own = open("own", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    write_file("own/file", "put\n");
    cr_expect_eq(delayed_is_writable(own), 0);
    cr_expect_eq(delayed_may_take(own, "file"), 0);
    cr_expect_eq(delayed_may_take(own, "missing"), -ENOENT);
    if (geteuid() != 0)
        cr_skip_test("another user's folder is made by root");
    cr_assert_eq(chmod("own", 0755), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(setuid(65534) == 0 && delayed_is_writable(own) == -EACCES ? 0 : 1);
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0, "a folder of others");
    cr_assert_eq(chmod("own", 01777), 0);
    pid = fork();
    if (pid == 0)
        _exit(setuid(65534) == 0 && delayed_is_writable(own) == 0 &&
                      delayed_may_take(own, "file") == -EPERM
                  ? 0
                  : 1);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0, "a sticky folder");
    close(own);
}

/* --- Setting aside ---------------------------------------------------------------------------- */

Test(delayed_take, a_file_is_set_aside_in_a_folder_that_is_made)
{
    write_file(NAME, "put\n");
    cr_assert_eq(delayed_set_aside(folder, NAME, "corrupt", NULL, NULL, 0), 0);
    cr_expect_not(exists(NAME));
    expect_file("corrupt/" NAME, "put\n");
    cr_expect_eq(count_entries("corrupt"), 1);
    struct stat status;
    cr_assert_eq(stat("corrupt", &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0700);
}

Test(delayed_take, a_reply_stands_beside_what_was_rejected)
{
    write_file(NAME, "put\n");
    cr_assert_eq(delayed_set_aside(folder, NAME, "rejected", NULL, "error:no\n", 9), 0);
    cr_expect_not(exists(NAME));
    expect_file("rejected/" NAME, "put\n");
    expect_file("rejected/" NAME ".reply", "error:no\n");
    cr_expect_eq(count_entries("rejected"), 2);
}

Test(delayed_take, an_empty_reply_makes_an_empty_file)
{
    write_file(NAME, "put\n");
    cr_assert_eq(delayed_set_aside(folder, NAME, "rejected", NULL, "", 0), 0);
    expect_file("rejected/" NAME ".reply", "");
}

Test(delayed_take, a_name_that_is_taken_gets_a_number)
{
    for (int i = 0; i < 4; i++) {
        char text[32];
        snprintf(text, sizeof(text), "put %d\n", i);
        write_file(NAME, text);
        cr_assert_eq(delayed_set_aside(folder, NAME, "rejected", NULL, text, strlen(text)), 0);
    }
    expect_file("rejected/" NAME, "put 0\n");
    expect_file("rejected/" NAME ".1", "put 1\n");
    expect_file("rejected/" NAME ".1.reply", "put 1\n");
    expect_file("rejected/" NAME ".3", "put 3\n");
    expect_file("rejected/" NAME ".3.reply", "put 3\n");
    cr_expect_eq(count_entries("rejected"), 8);
}

Test(delayed_take, a_file_and_its_reply_share_a_number_when_either_is_taken)
{
    cr_assert_eq(mkdir("rejected", 0700), 0);
    write_file("rejected/" NAME, "old\n");
    write_file("rejected/" NAME ".1.reply", "old reply\n");
    write_file(NAME, "new\n");
    cr_assert_eq(delayed_set_aside(folder, NAME, "rejected", NULL, "new reply\n", 10), 0);
    expect_file("rejected/" NAME, "old\n");
    expect_file("rejected/" NAME ".1.reply", "old reply\n");
    expect_file("rejected/" NAME ".2", "new\n");
    expect_file("rejected/" NAME ".2.reply", "new reply\n");
    cr_expect_eq(count_entries("rejected"), 4, "and no reply without its file");
}

Test(delayed_take, when_all_names_are_taken_a_file_stays)
{
    cr_assert_eq(mkdir("corrupt", 0700), 0);
    for (int i = 0; i < 1000; i++) {
        char name[128];
        snprintf(name, sizeof(name), i == 0 ? "corrupt/" NAME : "corrupt/" NAME ".%d", i);
        write_file(name, "old\n");
    }
    write_file(NAME, "new\n");
    cr_expect_eq(delayed_set_aside(folder, NAME, "corrupt", NULL, NULL, 0), -EEXIST);
    expect_file(NAME, "new\n");
    cr_expect_eq(delayed_set_aside(folder, NAME, "corrupt", NULL, "reply\n", 6), -EEXIST);
    cr_expect_eq(count_entries("corrupt"), 1000, "no reply without its file");
    expect_file("corrupt/" NAME, "old\n");
}

Test(delayed_take, a_file_that_is_gone_cannot_be_set_aside_and_leaves_no_reply)
{
    cr_expect_eq(delayed_set_aside(folder, NAME, "rejected", NULL, "error\n", 6),
                 DELAYED_NOT_THERE);
    cr_expect_eq(count_entries("rejected"), 0);
}

Test(delayed_take, what_is_no_file_is_set_aside_as_it_is)
{
    struct stat status;
    write_file("target", "put\n");
    cr_assert_eq(symlink("target", "1.1.1.x.h"), 0);
    cr_assert_eq(mkdir("1.2.1.x.h", 0700), 0);
    write_file("1.2.1.x.h/inside", "x");
    cr_assert_eq(mkfifo("1.3.1.x.h", 0600), 0);
    for (int i = 1; i <= 3; i++) {
        char name[32];
        snprintf(name, sizeof(name), "1.%d.1.x.h", i);
        cr_expect_eq(delayed_set_aside(folder, name, "corrupt", NULL, NULL, 0), 0);
        cr_expect_not(exists(name));
    }
    cr_assert_eq(lstat("corrupt/1.1.1.x.h", &status), 0);
    cr_expect(S_ISLNK(status.st_mode));
    expect_file("corrupt/1.2.1.x.h/inside", "x");
    cr_assert_eq(lstat("corrupt/1.3.1.x.h", &status), 0);
    cr_expect(S_ISFIFO(status.st_mode));
    expect_file("target", "put\n");
}

Test(delayed_take, where_a_file_is_in_the_folders_place_nothing_is_set_aside)
{
    write_file("rejected", "in the way");
    write_file(NAME, "put\n");
    cr_expect_lt(delayed_set_aside(folder, NAME, "rejected", NULL, NULL, 0), 0);
    cr_expect_lt(delayed_set_aside(folder, NAME, "rejected", NULL, "error\n", 6), 0);
    expect_file(NAME, "put\n");
    expect_file("rejected", "in the way");
}

Test(delayed_take, a_name_that_fits_alone_but_not_with_its_reply_is_not_lost)
{
    char name[NAME_MAX + 1];
    int length = snprintf(name, sizeof(name), "1.1.1.");
    memset(name + length, 'x', (size_t)(NAME_MAX - length));
    memcpy(name + NAME_MAX - 2, ".h", 3);
    write_file(name, "put\n");
    cr_expect_eq(delayed_set_aside(folder, name, "rejected", NULL, "error\n", 6), -ENAMETOOLONG);
    expect_file(name, "put\n");
    cr_expect_eq(delayed_set_aside(folder, name, "corrupt", NULL, NULL, 0), 0);
    cr_expect_not(exists(name));
}

Test(delayed_take, setting_aside_leaves_nothing_open)
{
    int before = count_open();
    for (int i = 0; i < 5; i++) {
        write_file(NAME, "put\n");
        cr_assert_eq(delayed_set_aside(folder, NAME, "rejected", NULL, "error\n", 6),
                     DELAYED_TAKEN);
        cr_assert_eq(delayed_set_aside(folder, "missing", "rejected", NULL, "error\n", 6),
                     DELAYED_NOT_THERE);
    }
    cr_expect_eq(count_open(), before);
}
