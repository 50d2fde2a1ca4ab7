/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading deferred files: whatever lies in the folder, nothing is followed, nothing blocks.
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

#include "tests/unit/delayed_files.h"
#include "tests/unit/heard.h"

static void expect_corrupt(const char *name, const char *reason)
{
    cr_assert_eq(read_file(name), DELAYED_CORRUPT);
    cr_assert_not_null(found.why);
    cr_expect_str_eq(found.why, reason);
}

TestSuite(delayed_read, .init = delayed_begin, .fini = delayed_end, .timeout = 30);

/* --- Reading ---------------------------------------------------------------------------------- */

Test(delayed_read, a_line_is_read_with_its_lf)
{
    write_file(NAME, "put:msu:smith:x=1\n");
    expect_read(NAME, "put:msu:smith:x=1\n", 18);
    expect_file(NAME, "put:msu:smith:x=1\n");
}

Test(delayed_read, a_line_without_lf_gets_one)
{
    write_file(NAME, "put");
    expect_read(NAME, "put\n", 4);
}

Test(delayed_read, a_line_may_be_empty)
{
    write_file(NAME, "\n");
    expect_read(NAME, "\n", 1);
}

Test(delayed_read, bytes_are_read_as_they_are)
{
    write_bytes(NAME, "a\0\r\xff b\0\n", 8);
    expect_read(NAME, "a\0\r\xff b\0\n", 8);
}

Test(delayed_read, what_is_read_stands_behind_what_the_buffer_holds_already)
{
    write_file(NAME, "put");
    cr_assert_eq(buffer_append(&buffer, "", 0), 0);
    for (int i = 0; i < 3; i++)
        expect_read(NAME, "put\n", 4);
}

Test(delayed_read, one_line_of_several_is_not_taken)
{
    write_file(NAME, "one\ntwo\n");
    expect_corrupt(NAME, "has several lines");
    write_file(NAME, "one\ntwo");
    expect_corrupt(NAME, "has several lines");
    write_file(NAME, "one\n\n");
    expect_corrupt(NAME, "has several lines");
    write_file(NAME, "\none");
    expect_corrupt(NAME, "has several lines");
    expect_file(NAME, "\none");
}

Test(delayed_read, a_line_up_to_the_limit_is_read)
{
    char line[LIMIT + 1];
    memset(line, 'x', LIMIT);
    line[LIMIT - 1] = '\n';
    line[LIMIT] = '\0';
    write_file(NAME, line + 1); /* its LF included, one less than a client may send */
    expect_read(NAME, line + 1, LIMIT - 1);
    line[LIMIT - 1] = '\0';
    write_file(NAME, line); /* of the same length, without LF */
    cr_assert_eq(read_file(NAME), DELAYED_READ);
    cr_expect_eq(buffer_length(&buffer), LIMIT);
}

Test(delayed_read, a_line_of_the_limit_with_its_lf_is_what_a_client_may_send_too)
{
    char line[LIMIT + 1];
    memset(line, 'x', LIMIT);
    line[LIMIT - 1] = '\n';
    line[LIMIT] = '\0';
    write_file(NAME, line);
    expect_read(NAME, line, LIMIT);
}

Test(delayed_read, a_line_over_the_limit_is_not_read)
{
    write_repeated(NAME, 'x', LIMIT + 1);
    expect_corrupt(NAME, "is over the line limit");
    write_repeated(NAME, 'x', LIMIT);
    expect_corrupt(NAME, "is over the line limit");
}

Test(delayed_read, a_file_as_large_as_a_disk_takes_no_memory)
{
    int fd = open(NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(ftruncate(fd, (off_t)1 << 40), 0);
    close(fd);
    size_t before = buffers_used();
    expect_corrupt(NAME, "is over the line limit");
    cr_expect_eq(buffers_used(), before);
}

Test(delayed_read, a_file_with_nothing_in_it_is_empty)
{
    write_file(NAME, "");
    cr_expect_eq(read_file(NAME), DELAYED_EMPTY);
    cr_expect(exists(NAME));
}

Test(delayed_read, a_file_that_is_not_there_is_gone)
{
    cr_expect_eq(read_file(NAME), DELAYED_GONE);
}

/* The size of a file of /proc is 0 although it has a content, like that of a file that grows. */
Test(delayed_read, a_file_that_grows_while_it_is_read_is_not_taken_for_whole)
{
    FILE *file = fopen("/proc/self/cmdline", "r");
    char whole[LIMIT];
    size_t length = fread(whole, 1, sizeof(whole) - 1, file);
    fclose(file);
    whole[length++] = '\n';
    if (read_file("/proc/self/cmdline") == DELAYED_READ) {
        cr_expect_eq(buffer_length(&buffer), length, "%zu bytes of %zu are taken for the line",
                     buffer_length(&buffer), length);
        cr_expect_arr_eq(buffer.data + buffer.start, whole, buffer_length(&buffer));
    }
}

Test(delayed_read, a_link_is_not_followed)
{
    write_file("target", "put\n");
    cr_assert_eq(symlink("target", "1.1.1.x.h"), 0);
    expect_corrupt("1.1.1.x.h", "is a symbolic link");
    cr_assert_eq(symlink("/nowhere", "1.2.1.x.h"), 0);
    expect_corrupt("1.2.1.x.h", "is a symbolic link");
    cr_assert_eq(symlink("1.3.1.x.h", "1.3.1.x.h"), 0);
    expect_corrupt("1.3.1.x.h", "is a symbolic link");
}

Test(delayed_read, a_folder_is_no_file)
{
    cr_assert_eq(mkdir(NAME, 0700), 0);
    expect_corrupt(NAME, "is not a regular file");
}

Test(delayed_read, a_fifo_is_not_waited_for)
{
    cr_assert_eq(mkfifo(NAME, 0600), 0);
    expect_corrupt(NAME, "is not a regular file");
}

Test(delayed_read, a_fifo_with_a_writer_is_not_read)
{
    cr_assert_eq(mkfifo(NAME, 0600), 0);
    int fd = open(NAME, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    char bytes[8];
    cr_assert_eq(write(fd, "put\n", 4), 4);
    expect_corrupt(NAME, "is not a regular file");
    cr_expect_eq(read(fd, bytes, sizeof(bytes)), 4, "what was written is still there");
    close(fd);
}

Test(delayed_read, a_socket_is_no_file)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = NAME};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_corrupt(NAME, "is not a regular file");
    close(fd);
}

Test(delayed_read, a_file_without_permission_is_none_the_worse)
{
    write_file(NAME, "put\n");
    cr_assert_eq(chmod(NAME, 0), 0);
    cr_assert_eq(chmod(".", 0755), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setuid(65534) < 0)
            _exit(2);
        enum delayed_result result = delayed_read(folder, NAME, LIMIT, &buffer, &found);
        _exit(result == DELAYED_NOT_NOW && found.error == -EACCES ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

Test(delayed_read, without_room_for_its_bytes_a_file_is_none_the_worse)
{
    write_repeated(NAME, 'x', LIMIT - 1);
    buffers_set_limit(LIMIT / 2);
    cr_expect_eq(read_file(NAME), DELAYED_NOT_NOW);
    buffers_set_limit(SIZE_MAX);
    cr_expect_eq(read_file(NAME), DELAYED_READ);
}

Test(delayed_read, without_a_descriptor_a_file_is_none_the_worse)
{
    int held[4096], count = 0;
    write_file(NAME, "put\n");
    while (count < 4096 && (held[count] = dup(folder)) >= 0)
        count++;
    enum delayed_result result = read_file(NAME);
    while (count > 0)
        close(held[--count]);
    cr_expect(result == DELAYED_NOT_NOW || result == DELAYED_READ, "%d", result);
    cr_expect_eq(read_file(NAME), DELAYED_READ);
}

Test(delayed_read, reading_leaves_nothing_open)
{
    write_file(NAME, "put\n");
    write_file("empty", "");
    write_file("lines", "a\nb\n");
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_assert_eq(mkdir("folder", 0700), 0);
    write_repeated("long", 'x', 2 * LIMIT);
    static const char *const names[] = {NAME,     "empty", "lines",  "fifo",
                                        "folder", "long",  "missing"};
    int before = count_open();
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        read_file(names[i]);
    cr_expect_eq(count_open(), before);
}

/* --- Who writes it ---------------------------------------------------------------------------- */

Test(delayed_read, a_file_that_somebody_has_open_for_writing_is_not_read)
{
    write_file(NAME, "put\n");
    int fd = open(NAME, O_WRONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_expect_eq(read_file(NAME), DELAYED_OPEN);
    close(fd);
    cr_expect_eq(read_file(NAME), DELAYED_READ);
    cr_expect_not(found.writer_unknown);
    fd = open(NAME, O_RDONLY | O_CLOEXEC);
    cr_expect_eq(read_file(NAME), DELAYED_READ, "whoever reads it does no harm");
    close(fd);
}

Test(delayed_read, a_file_that_is_being_written_is_not_called_empty_or_corrupt)
{
    write_file(NAME, "");
    int fd = open(NAME, O_WRONLY | O_CLOEXEC);
    cr_expect_eq(read_file(NAME), DELAYED_OPEN);
    cr_assert_eq(write(fd, "one\ntwo\n", 8), 8);
    cr_expect_eq(read_file(NAME), DELAYED_OPEN);
    close(fd);
    expect_corrupt(NAME, "has several lines");
}

Test(delayed_read, of_another_users_file_nobody_knows_who_writes_it)
{
    write_file(NAME, "put\n");
    cr_assert_eq(chmod(NAME, 0644), 0);
    cr_assert_eq(chmod(".", 0755), 0);
    if (geteuid() != 0)
        cr_skip_test("another user's file is made by root");
    pid_t pid = fork();
    if (pid == 0)
        _exit(setuid(65534) == 0 && read_file(NAME) == DELAYED_READ && found.writer_unknown ? 0
                                                                                            : 1);
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
}

Test(delayed_read, looking_tells_what_a_file_is_without_opening_it)
{
    struct delayed_identity before;
    write_file(NAME, "put\n");
    cr_expect_eq(delayed_look(folder, NAME, &found), DELAYED_READ);
    before = found.is;
    cr_expect_eq(read_file(NAME), DELAYED_READ);
    cr_expect(delayed_is_same(&before, &found.is));
    write_file(NAME, "put it\n");
    cr_expect_eq(delayed_look(folder, NAME, &found), DELAYED_READ);
    cr_expect_not(delayed_is_same(&before, &found.is));
    cr_assert_eq(mkfifo("1.2.1.x.h", 0600), 0);
    cr_expect_eq(delayed_look(folder, "1.2.1.x.h", &found), DELAYED_CORRUPT);
    cr_expect_eq(delayed_look(folder, "missing", &found), DELAYED_GONE);
}
