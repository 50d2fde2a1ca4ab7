/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading a file by and by, while somebody else may write it. What lines are, the tests of those
 * who read files say: settings, loncapa, hosttab.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/lines.h"

static void on_complaint(void *argument, const char *text)
{
    (void)argument;
    (void)text;
}

static struct diagnostics diagnostics = {.say = on_complaint};
static unsigned seen;

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

static void enter_folder(void)
{
    static char folder[] = "/tmp/lonc-unit-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    write_file("table", "one\ntwo\nthree\n");
}

static void leave_folder(void)
{
    unlink("table");
    unlink("new");
}

TestSuite(lines, .init = enter_folder, .fini = leave_folder);

static void on_line(void *argument, unsigned number, char *text)
{
    (void)argument;
    (void)number;
    (void)text;
    seen++;
}

static struct lines *read_one(void)
{
    struct lines *reader = lines_open("table", false, &diagnostics);
    cr_assert_not_null(reader);
    cr_assert(lines_read_some(reader, 1, on_line, NULL));
    cr_assert_eq(seen, 1);
    return reader;
}

static int read_rest(struct lines *reader)
{
    while (lines_read_some(reader, 1, on_line, NULL))
        continue;
    return lines_close(reader);
}

Test(lines, a_file_is_read_by_and_by)
{
    cr_assert_eq(read_rest(read_one()), 0);
    cr_assert_eq(seen, 3);
    cr_assert_eq(diagnostics.count, 0);
}

Test(lines, one_that_is_written_meanwhile_is_complained_about)
{
    struct lines *reader = read_one();
    write_file("table", "one\n");
    cr_assert_eq(read_rest(reader), -1);
    cr_assert_eq(diagnostics.count, 1);
}

Test(lines, one_that_is_replaced_meanwhile_is_read_as_it_was)
{
    struct lines *reader = read_one();
    write_file("new", "one\n");
    cr_assert_eq(rename("new", "table"), 0);
    cr_assert_eq(read_rest(reader), 0);
    cr_assert_eq(seen, 3);
}

static void keep_line(void *argument, unsigned number, char *text)
{
    char *kept = argument;
    sprintf(kept + strlen(kept), "%u:%s|", number, text);
}

Test(lines, a_byte_order_mark_is_no_part_of_the_first_line)
{
    static const struct {
        const char *text, *lines;
    } files[] = {
        {"\xef\xbb\xbfone\ntwo\n", "1:one|2:two|"},
        {"\xef\xbb\xbf  one", "1:one|"},
        {"\xef\xbb\xbf\r\ntwo\n", "2:two|"},
        {"\xef\xbb\xbf", ""},
        {"\xef\xbbone\n", "1:\xef\xbbone|"},
        {"one\n\xef\xbb\xbftwo\n", "1:one|2:\xef\xbb\xbftwo|"},
        {"\xef\xbb\xbf\xef\xbb\xbfone\n", "1:\xef\xbb\xbfone|"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char kept[128] = "";
        write_file("table", files[i].text);
        cr_assert_eq(lines_read("table", false, &diagnostics, keep_line, kept), 0);
        cr_assert_str_eq(kept, files[i].lines);
    }
}
