/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of the deferred queue, in a folder of their own: whatever lies there, nothing is
 * followed, nothing blocks, nothing is lost.
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
#include "keeper/deferred/delayed.h"
#include "tests/unit/heard.h"

#define LIMIT 1024
#define NAME  "1700000000.1.4711.put.msul1"

static int folder;
static struct buffer buffer;
static struct delayed_found found;

static void begin(void)
{
    heard_begin();
    folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(folder, 0);
    buffers_set_limit(SIZE_MAX);
}

static void end(void)
{
    close(folder);
    buffer_free(&buffer);
    heard_end();
}

TestSuite(delayed, .init = begin, .fini = end, .timeout = 30);

/* --- Helpers ---------------------------------------------------------------------------------- */

/* Empties the buffer before. A read that waits would end the test. */
static enum delayed_result read_file(const char *name)
{
    buffer_consume(&buffer, buffer_length(&buffer));
    alarm(5);
    enum delayed_result result = delayed_read(folder, name, LIMIT, &buffer, &found);
    alarm(0);
    return result;
}

static void expect_read(const char *name, const char *bytes, size_t size)
{
    cr_assert_eq(read_file(name), DELAYED_READ);
    cr_assert_eq(buffer_length(&buffer), size, "%zu bytes", buffer_length(&buffer));
    cr_assert_arr_eq(buffer.data + buffer.start, bytes, size);
}

static void expect_corrupt(const char *name, const char *reason)
{
    cr_assert_eq(read_file(name), DELAYED_CORRUPT);
    cr_assert_not_null(found.why);
    cr_expect_str_eq(found.why, reason);
}

static bool exists(const char *name)
{
    struct stat status;
    return lstat(name, &status) == 0;
}

static void expect_file(const char *name, const char *text)
{
    char content[4096];
    FILE *file = fopen(name, "r");
    cr_assert_not_null(file, "%s is missing", name);
    size_t length = fread(content, 1, sizeof(content) - 1, file);
    content[length] = '\0';
    fclose(file);
    cr_assert_str_eq(content, text);
}

/* How many entries, but for "." and ".."; -1: there is no such folder. */
static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = -2;
    if (directory == NULL)
        return -1;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static int count_open(void)
{
    return count_entries("/proc/self/fd");
}

static const char *parse(const char *name)
{
    static struct delayed_order order;
    return delayed_parse_name(name, &order);
}

/* --- Names ------------------------------------------------------------------------------------ */

Test(delayed, a_name_is_epoch_count_anything_and_host)
{
    struct delayed_order order;
    const char *name = "1700000000.12.4711.putmsusmith.msul1";
    const char *host = delayed_parse_name(name, &order);
    cr_assert_not_null(host);
    cr_expect_eq(host, name + strlen(name) - 5, "the host points into the name");
    cr_expect_eq(order.epoch, 1700000000);
    cr_expect_eq(order.count, 12);
}

Test(delayed, the_host_is_what_follows_the_last_dot)
{
    cr_expect_str_eq(parse("1.2.3.a.b.c.msul1"), "msul1");
    cr_expect_str_eq(parse("1.2.msul1"), "msul1");
    cr_expect_str_eq(parse("1.2...msul1"), "msul1");
    cr_expect_str_eq(parse("1.2.3.put.ms_u-l1"), "ms_u-l1");
    cr_expect_str_eq(parse("1.2.3.put.4"), "4");
}

Test(delayed, numbers_are_numbers_whatever_their_length)
{
    struct delayed_order order;
    cr_assert_not_null(delayed_parse_name("0.0.1.x.h", &order));
    cr_expect(order.epoch == 0 && order.count == 0);
    cr_assert_not_null(delayed_parse_name("007.010.1.x.h", &order));
    cr_expect(order.epoch == 7 && order.count == 10);
    cr_assert_not_null(
        delayed_parse_name("18446744073709551615.18446744073709551615.1.x.h", &order));
    cr_expect(order.epoch == UINT64_MAX && order.count == UINT64_MAX);
}

Test(delayed, a_number_that_overflows_is_none)
{
    cr_expect_null(parse("18446744073709551616.1.1.x.h"));
    cr_expect_null(parse("1.18446744073709551616.1.x.h"));
    cr_expect_null(parse("99999999999999999999999999.1.1.x.h"));
}

Test(delayed, a_name_that_lacks_a_part_is_none)
{
    static const char *const names[] = {
        "",           ".",           "..",        "1",           "1.",
        "1.2",        "1.2.",        "msul1",     "a.b.c.d.e",   ".1.2.x.h",
        "1..2.h",     "1.x.1.put.h", "x.1.1.p.h", "-1.2.3.x.h",  "+1.2.3.x.h",
        " 1.2.3.x.h", "1 .2.3.x.h",  "1.-2.h",    "0x1.2.3.x.h", "1.2.3.x.",
        "1,2,3,x,h",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        cr_expect_null(parse(names[i]), "%s", names[i]);
}

Test(delayed, a_host_of_odd_characters_is_none)
{
    static const char *const names[] = {
        "1.2.3.x.ms ul1", "1.2.3.x.ms/ul1",  "1.2.3.x.ms\nul1", "1.2.3.x.ms\xc3\xa9",
        "1.2.3.x.h*",     "1.2.3.x.delayed", "1.2.3.x.a;b",     "1.2.3.x.$(x)",
        "1.2.3.x.h%s",    "1.2.3.x.h\x7f",   "1.2.3.x.h~",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        cr_expect_null(parse(names[i]), "%s", names[i]);
}

Test(delayed, a_host_of_any_length_does_no_harm)
{
    char name[5000] = "1.2.3.x.";
    memset(name + 8, 'h', sizeof(name) - 9);
    cr_expect_null(parse(name));
}

/* --- The folder ------------------------------------------------------------------------------- */

Test(delayed, the_folder_is_made_when_it_is_missing)
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

Test(delayed, a_folder_that_cannot_be_opened_is_said)
{
    cr_expect_eq(delayed_open("missing/delayed"), -ENOENT);
    write_file("delayed", "in the way");
    cr_expect_eq(delayed_open("delayed"), -ENOTDIR);
    expect_file("delayed", "in the way");
}

/* --- Removing what was sent ------------------------------------------------------------------- */

/* Reads the file as if it were sent. */
static struct delayed_sent send_file(const char *name)
{
    cr_assert_eq(read_file(name), DELAYED_READ);
    return (struct delayed_sent){
        .is = found.is, .content = buffer.data + buffer.start, .length = buffer_length(&buffer)};
}

Test(delayed, a_delivered_file_is_removed)
{
    write_file(NAME, "put\n");
    struct delayed_sent sent = send_file(NAME);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_TAKEN);
    cr_expect_not(exists(NAME));
    cr_expect_eq(count_entries("storing"), 0);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_NOT_THERE, "gone already");
}

Test(delayed, a_delivered_file_that_was_held_meanwhile_is_removed)
{
    write_file(NAME, "put\n");
    struct delayed_sent sent = send_file(NAME);
    cr_assert_eq(mkdir("held", 0700), 0);
    cr_assert_eq(rename(NAME, "held/" NAME), 0);
    cr_expect_eq(delayed_remove(folder, NAME, &sent), DELAYED_TAKEN_HELD);
    cr_expect_not(exists("held/" NAME));
}

Test(delayed, another_file_of_that_name_stays_held)
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

Test(delayed, another_file_that_was_renamed_over_it_stays)
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

Test(delayed, a_file_that_was_appended_to_or_rewritten_stays)
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

Test(delayed, permissions_and_renames_do_not_make_another_file_of_it)
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

Test(delayed, what_cannot_be_removed_is_told_and_stays)
{
    cr_assert_eq(mkdir(NAME, 0700), 0);
    cr_assert_eq(delayed_look(folder, NAME, &found), DELAYED_CORRUPT);
    struct delayed_sent sent = {.is = found.is};
    cr_expect_lt(delayed_remove(folder, NAME, &sent), 0);
    cr_expect(exists(NAME));
}

Test(delayed, whether_a_file_could_be_removed_is_known_before)
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

Test(delayed, its_own_folders_are_known_by_name)
{
    cr_expect(delayed_is_own("held"));
    cr_expect(delayed_is_own("rejected"));
    cr_expect(delayed_is_own("corrupt"));
    cr_expect(delayed_is_own("storing"));
    cr_expect_not(delayed_is_own("reject"));
    cr_expect_not(delayed_is_own("rejected2"));
    cr_expect_not(delayed_is_own(""));
    cr_expect_not(delayed_is_own(NAME));
}

/* --- Reading ---------------------------------------------------------------------------------- */

Test(delayed, a_line_is_read_with_its_lf)
{
    write_file(NAME, "put:msu:smith:x=1\n");
    expect_read(NAME, "put:msu:smith:x=1\n", 18);
    expect_file(NAME, "put:msu:smith:x=1\n");
}

Test(delayed, a_line_without_lf_gets_one)
{
    write_file(NAME, "put");
    expect_read(NAME, "put\n", 4);
}

Test(delayed, a_line_may_be_empty)
{
    write_file(NAME, "\n");
    expect_read(NAME, "\n", 1);
}

Test(delayed, bytes_are_read_as_they_are)
{
    write_bytes(NAME, "a\0\r\xff b\0\n", 8);
    expect_read(NAME, "a\0\r\xff b\0\n", 8);
}

Test(delayed, what_is_read_stands_behind_what_the_buffer_holds_already)
{
    write_file(NAME, "put");
    cr_assert_eq(buffer_append(&buffer, "", 0), 0);
    for (int i = 0; i < 3; i++)
        expect_read(NAME, "put\n", 4);
}

Test(delayed, one_line_of_several_is_not_taken)
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

Test(delayed, a_line_up_to_the_limit_is_read)
{
    char line[LIMIT + 1];
    memset(line, 'x', LIMIT);
    line[LIMIT - 1] = '\n';
    line[LIMIT] = '\0';
    write_file(NAME, line + 1); /* its LF included, one less than a client may send */
    expect_read(NAME, line + 1, LIMIT - 1);
    line[LIMIT - 1] = '\0';
    write_file(NAME, line); /* as long, and without LF */
    cr_assert_eq(read_file(NAME), DELAYED_READ);
    cr_expect_eq(buffer_length(&buffer), LIMIT);
}

Test(delayed, a_line_of_the_limit_with_its_lf_is_what_a_client_may_send_too)
{
    char line[LIMIT + 1];
    memset(line, 'x', LIMIT);
    line[LIMIT - 1] = '\n';
    line[LIMIT] = '\0';
    write_file(NAME, line);
    expect_read(NAME, line, LIMIT);
}

Test(delayed, a_line_over_the_limit_is_not_read)
{
    write_repeated(NAME, 'x', LIMIT + 1);
    expect_corrupt(NAME, "is over the line limit");
    write_repeated(NAME, 'x', LIMIT);
    expect_corrupt(NAME, "is over the line limit");
}

Test(delayed, a_file_as_large_as_a_disk_takes_no_memory)
{
    int fd = open(NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(ftruncate(fd, (off_t)1 << 40), 0);
    close(fd);
    size_t before = buffers_used();
    expect_corrupt(NAME, "is over the line limit");
    cr_expect_eq(buffers_used(), before);
}

Test(delayed, a_file_with_nothing_in_it_is_empty)
{
    write_file(NAME, "");
    cr_expect_eq(read_file(NAME), DELAYED_EMPTY);
    cr_expect(exists(NAME));
}

Test(delayed, a_file_that_is_not_there_is_gone)
{
    cr_expect_eq(read_file(NAME), DELAYED_GONE);
}

/* A file of /proc says that its size is 0, and there is something in it: as one that grows. */
Test(delayed, a_file_that_grows_while_it_is_read_is_not_taken_for_whole)
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

Test(delayed, a_link_is_not_followed)
{
    write_file("target", "put\n");
    cr_assert_eq(symlink("target", "1.1.1.x.h"), 0);
    expect_corrupt("1.1.1.x.h", "is a symbolic link");
    cr_assert_eq(symlink("/nowhere", "1.2.1.x.h"), 0);
    expect_corrupt("1.2.1.x.h", "is a symbolic link");
    cr_assert_eq(symlink("1.3.1.x.h", "1.3.1.x.h"), 0);
    expect_corrupt("1.3.1.x.h", "is a symbolic link");
}

Test(delayed, a_folder_is_no_file)
{
    cr_assert_eq(mkdir(NAME, 0700), 0);
    expect_corrupt(NAME, "is no regular file");
}

Test(delayed, a_fifo_is_not_waited_for)
{
    cr_assert_eq(mkfifo(NAME, 0600), 0);
    expect_corrupt(NAME, "is no regular file");
}

Test(delayed, a_fifo_with_a_writer_is_not_read)
{
    cr_assert_eq(mkfifo(NAME, 0600), 0);
    int fd = open(NAME, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    char bytes[8];
    cr_assert_eq(write(fd, "put\n", 4), 4);
    expect_corrupt(NAME, "is no regular file");
    cr_expect_eq(read(fd, bytes, sizeof(bytes)), 4, "what was written is still there");
    close(fd);
}

Test(delayed, a_socket_is_no_file)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = NAME};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_corrupt(NAME, "is no regular file");
    close(fd);
}

Test(delayed, a_file_without_permission_is_none_the_worse)
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

Test(delayed, without_room_for_its_bytes_a_file_is_none_the_worse)
{
    write_repeated(NAME, 'x', LIMIT - 1);
    buffers_set_limit(LIMIT / 2);
    cr_expect_eq(read_file(NAME), DELAYED_NOT_NOW);
    buffers_set_limit(SIZE_MAX);
    cr_expect_eq(read_file(NAME), DELAYED_READ);
}

Test(delayed, without_a_descriptor_a_file_is_none_the_worse)
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

Test(delayed, reading_leaves_nothing_open)
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

Test(delayed, a_file_that_somebody_has_open_for_writing_is_not_read)
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

Test(delayed, a_file_that_is_being_written_is_not_called_empty_or_corrupt)
{
    write_file(NAME, "");
    int fd = open(NAME, O_WRONLY | O_CLOEXEC);
    cr_expect_eq(read_file(NAME), DELAYED_OPEN);
    cr_assert_eq(write(fd, "one\ntwo\n", 8), 8);
    cr_expect_eq(read_file(NAME), DELAYED_OPEN);
    close(fd);
    expect_corrupt(NAME, "has several lines");
}

Test(delayed, of_another_users_file_nobody_knows_who_writes_it)
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

Test(delayed, looking_tells_what_a_file_is_without_opening_it)
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

/* --- Setting aside ---------------------------------------------------------------------------- */

Test(delayed, a_file_is_set_aside_in_a_folder_that_is_made)
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

Test(delayed, a_reply_stands_beside_what_was_rejected)
{
    write_file(NAME, "put\n");
    cr_assert_eq(delayed_set_aside(folder, NAME, "rejected", NULL, "error:no\n", 9), 0);
    cr_expect_not(exists(NAME));
    expect_file("rejected/" NAME, "put\n");
    expect_file("rejected/" NAME ".reply", "error:no\n");
    cr_expect_eq(count_entries("rejected"), 2);
}

Test(delayed, an_empty_reply_makes_an_empty_file)
{
    write_file(NAME, "put\n");
    cr_assert_eq(delayed_set_aside(folder, NAME, "rejected", NULL, "", 0), 0);
    expect_file("rejected/" NAME ".reply", "");
}

Test(delayed, a_name_that_is_taken_gets_a_number)
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

Test(delayed, a_file_and_its_reply_share_a_number_when_either_is_taken)
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

Test(delayed, when_all_names_are_taken_a_file_stays)
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

Test(delayed, a_file_that_is_gone_cannot_be_set_aside_and_leaves_no_reply)
{
    cr_expect_eq(delayed_set_aside(folder, NAME, "rejected", NULL, "error\n", 6),
                 DELAYED_NOT_THERE);
    cr_expect_eq(count_entries("rejected"), 0);
}

Test(delayed, what_is_no_file_is_set_aside_as_it_is)
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

Test(delayed, where_a_file_is_in_the_folders_place_nothing_is_set_aside)
{
    write_file("rejected", "in the way");
    write_file(NAME, "put\n");
    cr_expect_lt(delayed_set_aside(folder, NAME, "rejected", NULL, NULL, 0), 0);
    cr_expect_lt(delayed_set_aside(folder, NAME, "rejected", NULL, "error\n", 6), 0);
    expect_file(NAME, "put\n");
    expect_file("rejected", "in the way");
}

Test(delayed, a_name_that_fits_alone_but_not_with_its_reply_is_not_lost)
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

Test(delayed, setting_aside_leaves_nothing_open)
{
    int before = count_open();
    for (int i = 0; i < 5; i++) {
        write_file(NAME, "put\n");
        delayed_set_aside(folder, NAME, "rejected", NULL, "error\n", 6);
        delayed_set_aside(folder, "missing", "rejected", NULL, "error\n", 6);
    }
    cr_expect_eq(count_open(), before);
}

/* --- Storing ---------------------------------------------------------------------------------- */

static int create(const char *host, const char *line, struct delayed_file *file)
{
    return delayed_create(folder, host, 1700000000, line, strlen(line), file);
}

Test(delayed, what_is_stored_appears_whole_when_it_is_published)
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

Test(delayed, its_name_is_one_of_a_deferred_file)
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

Test(delayed, names_count_upwards)
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

Test(delayed, letters_of_the_command_that_a_name_may_not_have_are_left_out)
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

Test(delayed, of_an_enciphered_request_the_name_which_is_logged_tells_the_first_word_only)
{
    struct delayed_file file;
    cr_assert_eq(create("h", "encrypt:auth:me:secret\n", &file), 0);
    cr_expect_null(strstr(file.name, "me"), "%s", file.name);
    delayed_abandon(folder, &file);
    cr_assert_eq(create("h", "encrypt:a:secret\n", &file), 0);
    cr_expect_null(strstr(file.name, "sec"), "%s", file.name);
    delayed_abandon(folder, &file);
}

Test(delayed, any_bytes_and_any_length_are_stored)
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

Test(delayed, what_is_abandoned_leaves_nothing)
{
    struct delayed_file file;
    int before = count_open();
    cr_assert_eq(create("msul1", "put\n", &file), 0);
    delayed_abandon(folder, &file);
    cr_expect_eq(file.fd, -1);
    cr_expect_not(exists(file.name));
    cr_expect_eq(count_entries("storing"), 0);
    cr_expect_eq(count_open(), before);
    delayed_abandon(folder, &file); /* at any point, the second time too */
}

Test(delayed, what_is_published_cannot_be_abandoned)
{
    struct delayed_file file;
    cr_assert_eq(create("msul1", "put\n", &file), 0);
    cr_assert_eq(delayed_publish(folder, &file), 0);
    delayed_abandon(folder, &file);
    expect_file(file.name, "put\n");
}

Test(delayed, publishing_replaces_nothing)
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

Test(delayed, what_cannot_be_stored_leaves_nothing)
{
    struct delayed_file file = {.fd = -1};
    write_file("storing", "in the way");
    int before = count_open();
    cr_expect_lt(create("msul1", "put\n", &file), 0);
    cr_expect_eq(count_open(), before);
    cr_expect_eq(count_entries("."), 1);
    expect_file("storing", "in the way");
}

Test(delayed, what_does_not_fit_on_the_disk_leaves_nothing)
{
    struct delayed_file file = {.fd = -1};
    int before = count_open();
    pid_t pid = fork();
    if (pid == 0) { /* a limit of the file's size stands for a full disk */
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

Test(delayed, a_host_with_the_longest_name_is_stored_whole_or_not_at_all)
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

Test(delayed, what_a_killed_keeper_was_storing_is_swept_away)
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

Test(delayed, what_a_killed_keeper_was_removing_is_put_back)
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

Test(delayed, sweeping_does_not_follow_a_link_and_does_not_need_the_folder)
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

Test(delayed, a_new_keepers_first_store_is_not_hindered_by_an_old_ones_leftovers)
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
