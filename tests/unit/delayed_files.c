/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The folder of the tests of deferred files.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/delayed_files.h"
#include "tests/unit/heard.h"

int folder;
struct buffer buffer;
struct delayed_found found;

void delayed_begin(void)
{
    heard_begin();
    folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(folder, 0);
    buffers_set_limit(SIZE_MAX);
}

void delayed_end(void)
{
    close(folder);
    buffer_free(&buffer);
    heard_end();
}

enum delayed_result read_file(const char *name)
{
    buffer_consume(&buffer, buffer_length(&buffer));
    alarm(5);
    enum delayed_result result = delayed_read(folder, name, LIMIT, &buffer, &found);
    alarm(0);
    return result;
}

void expect_read(const char *name, const char *bytes, size_t size)
{
    cr_assert_eq(read_file(name), DELAYED_READ);
    cr_assert_eq(buffer_length(&buffer), size, "%zu bytes", buffer_length(&buffer));
    cr_assert_arr_eq(buffer.data + buffer.start, bytes, size);
}

bool exists(const char *name)
{
    struct stat status;
    return lstat(name, &status) == 0;
}

void expect_file(const char *name, const char *text)
{
    char content[4096];
    FILE *file = fopen(name, "r");
    cr_assert_not_null(file, "%s is missing", name);
    size_t length = fread(content, 1, sizeof(content) - 1, file);
    content[length] = '\0';
    fclose(file);
    cr_assert_str_eq(content, text);
}

int count_entries(const char *path)
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

int count_open(void)
{
    return count_entries("/proc/self/fd");
}

const char *parse(const char *name)
{
    static struct delayed_order order;
    return delayed_parse_name(name, &order);
}
