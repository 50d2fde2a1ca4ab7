/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Marks of executed transactions: what one keeper writes the next one reads, wherever it could be
 * written.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/deferred/marks.h"
#include "tests/unit/heard.h"

#define DELAYED "/home/httpd/sockets/delayed"

static const char *const places[] = {"state", "run", NULL};

static void begin(void)
{
    heard_begin();
    cr_assert_eq(mkdir("run", 0700), 0);
}

TestSuite(marks, .init = begin, .fini = heard_end, .timeout = 30);

/* --- Helpers ---------------------------------------------------------------------------------- */

static struct mark make_mark(unsigned n)
{
    struct mark mark = {.folder = 7, .inode = 100 + n, .logged = n % 2 == 0};
    memset(mark.digest, (int)(0xf0 + n), sizeof(mark.digest));
    snprintf(mark.name, sizeof(mark.name), "1700000000.%u.4711.put.msul1", n);
    return mark;
}

/* The name of the only file in a place; NULL if there is none. */
static const char *file_in(const char *place)
{
    static char path[512];
    DIR *directory = opendir(place);
    struct dirent *entry;
    path[0] = '\0';
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        cr_assert_eq(path[0], '\0', "%s has several files", place);
        snprintf(path, sizeof(path), "%s/%s", place, entry->d_name);
    }
    if (directory != NULL)
        closedir(directory);
    return path[0] != '\0' ? path : NULL;
}

static void write_one(unsigned n)
{
    struct mark mark = make_mark(n);
    cr_assert_eq(marks_write(places, DELAYED, &mark, 1), 0);
}

static void expect_one(unsigned n)
{
    struct mark read[2], wanted = make_mark(n);
    cr_assert_eq(marks_read(places, DELAYED, read, 2), 1);
    cr_expect_eq(read->folder, wanted.folder);
    cr_expect_eq(read->inode, wanted.inode);
    cr_expect_eq(read->logged, wanted.logged);
    cr_expect_arr_eq(read->digest, wanted.digest, sizeof(wanted.digest));
    cr_expect_str_eq(read->name, wanted.name);
}

static void expect_none(void)
{
    struct mark read;
    cr_expect_eq(marks_read(places, DELAYED, &read, 1), 0);
}

/* --- Writing and reading ---------------------------------------------------------------------- */

Test(marks, what_is_written_is_read)
{
    write_one(1);
    expect_one(1);
    write_one(2);
    expect_one(2);
}

Test(marks, nothing_is_read_where_nothing_was_written)
{
    expect_none();
}

Test(marks, without_marks_there_is_no_file)
{
    write_one(1);
    cr_assert_not_null(file_in("state"));
    cr_assert_eq(marks_write(places, DELAYED, NULL, 0), 0);
    cr_expect_null(file_in("state"));
    expect_none();
}

Test(marks, each_deferred_folder_has_its_own)
{
    struct mark mark = make_mark(1), read;
    cr_assert_eq(marks_write(places, "/elsewhere/delayed", &mark, 1), 0);
    expect_none();
    write_one(2);
    cr_assert_eq(marks_read(places, "/elsewhere/delayed", &read, 1), 1);
    cr_expect_str_eq(read.name, mark.name);
    expect_one(2);
}

Test(marks, no_more_are_read_than_there_is_room_for)
{
    struct mark marks[3] = {make_mark(1), make_mark(2), make_mark(3)}, read[3] = {0};
    cr_assert_eq(marks_write(places, DELAYED, marks, 3), 0);
    cr_expect_eq(marks_read(places, DELAYED, read, 2), 2);
    cr_expect_str_eq(read[1].name, marks[1].name);
    cr_expect_str_empty(read[2].name);
}

Test(marks, the_longest_name_is_read_whole)
{
    struct mark mark = make_mark(1), read;
    memset(mark.name, 'x', sizeof(mark.name) - 1);
    cr_assert_eq(marks_write(places, DELAYED, &mark, 1), 0);
    cr_assert_eq(marks_read(places, DELAYED, &read, 1), 1);
    cr_expect_str_eq(read.name, mark.name);
}

/* --- Where they are written ------------------------------------------------------------------- */

Test(marks, what_cannot_be_written_in_the_first_place_is_written_in_the_second)
{
    write_file("state", "in the way\n");
    write_one(1);
    cr_expect_not_null(file_in("run"));
    expect_one(1);
}

Test(marks, what_is_written_in_the_first_place_goes_from_the_second)
{
    write_file("state", "in the way\n");
    write_one(1);
    cr_assert_eq(unlink("state"), 0);
    write_one(2);
    cr_expect_null(file_in("run"));
    expect_one(2);
}

Test(marks, what_can_be_written_nowhere_is_said)
{
    struct mark mark = make_mark(1);
    write_file("state", "in the way\n");
    cr_assert_eq(rmdir("run"), 0);
    write_file("run", "in the way\n");
    cr_expect_eq(marks_write(places, DELAYED, &mark, 1), -ENOTDIR);
    expect_none();
}

Test(marks, a_disk_that_is_full_leaves_the_marks_that_were)
{
    struct mark marks[100];
    for (unsigned n = 0; n < 100; n++)
        marks[n] = make_mark(n);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        cr_skip_test("mounting is for root");
    cr_assert_eq(mkdir("state", 0700), 0);
    cr_assert_eq(mount("none", "state", "tmpfs", 0, "size=4k"), 0);
    const char *const only[] = {"state", NULL};
    cr_assert_eq(marks_write(only, DELAYED, marks, 1), 0);
    int r = marks_write(only, DELAYED, marks, 100);
    struct mark read[2];
    size_t count = marks_read(only, DELAYED, read, 2);
    cr_assert_eq(umount("state"), 0);
    cr_expect_eq(r, -ENOSPC);
    cr_expect_eq(count, 1);
}

/* --- What is no mark -------------------------------------------------------------------------- */

Test(marks, lines_that_are_no_marks_are_left_out)
{
    static const char *const damaged[] = {
        "\n",
        "1 7 101\n",
        "1 7 101 f1f1 1700000000.1.4711.put.msul1\n",
        "1 7 101 zzf1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1 "
        "1.1.1.put.msul1\n",
        "1 7 101 f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1 "
        "../1.1.put.msul1\n",
        "1 7 101 f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1\n",
    };
    write_one(1);
    const char *path = file_in("state");
    cr_assert_not_null(path);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
        FILE *file = fopen(path, "a");
        cr_assert_not_null(file);
        fputs(damaged[i], file);
        fclose(file);
        expect_one(1);
    }
}
