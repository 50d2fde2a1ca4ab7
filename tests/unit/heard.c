/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files for parsers to read, and an ear for what they say. It tests nothing itself.
 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/heard.h"

static char folder[64];
static char said[65536];

static void remember(void *argument, const char *text)
{
    size_t length = strlen(said);
    (void)argument;
    snprintf(said + length, sizeof(said) - length, "%s\n", text);
}

struct diagnostics heard = {.say = remember};

const char *heard_text(void)
{
    return said;
}

void heard_begin(void)
{
    strcpy(folder, "/tmp/lonc-unit-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    heard.count = 0;
    said[0] = '\0';
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}

void heard_end(void)
{
    cr_assert_eq(chdir("/"), 0);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void write_bytes(const char *name, const char *bytes, size_t size)
{
    FILE *file = fopen(name, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

void write_repeated(const char *name, char byte, size_t count)
{
    char *bytes = malloc(count);
    cr_assert_not_null(bytes);
    memset(bytes, byte, count);
    write_bytes(name, bytes, count);
    free(bytes);
}

void expect_heard(const char *text)
{
    cr_assert_str_eq(said, text, "expected:\n%s\nheard:\n%s", text, said);
}
