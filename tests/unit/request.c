/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the keeper finds in a request line.
 */
#include "keeper/request.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *line, *id; /* NULL: none */
    const char *prefix, *command;
    bool encrypt;
} cases[] = {
    {"ping\n", NULL, "", "ping", false},
    {"\n", NULL, "", "", false},
    {"encrypt:auth:x\n", NULL, "", "auth:x", true},
    {"encrypt:\n", NULL, "", "", true},
    {"encrypt\n", NULL, "", "encrypt", false},
    {"encrypted:x\n", NULL, "", "encrypted:x", false},
    {"sethost:msul1:ping\n", "msul1", "sethost:msul1:", "ping", false},
    {"sethost:msul1:encrypt:auth\n", "msul1", "sethost:msul1:", "auth", true},
    {"sethost:msul1:\n", "msul1", "sethost:msul1:", "", false},
    {"sethost::ping\n", "", "sethost::", "ping", false},
    {"sethost:msul1\n", "msul1", "", "sethost:msul1", false},
    {"sethost:\n", "", "", "sethost:", false},
    {"sethost\n", NULL, "", "sethost", false},
    {"encrypt:sethost:msul1:ping\n", NULL, "", "sethost:msul1:ping", true},
    {"sethost:a:sethost:b:ping\n", "a", "sethost:a:", "sethost:b:ping", false},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static void expect_text(const char *line, const char *text, size_t length, const char *expected)
{
    cr_assert_eq(length, strlen(expected), "%s: %zu bytes for \"%s\"", line, length, expected);
    cr_assert_eq(memcmp(text, expected, length), 0, "%s: expected \"%s\"", line, expected);
}

Test(request, is_taken_apart)
{
    for (size_t i = 0; i < CASES; i++) {
        const char *line = cases[i].line;
        struct request request = request_parse(line, strlen(line));

        cr_assert_eq(request.id == NULL, cases[i].id == NULL, "%s", line);
        if (cases[i].id != NULL)
            expect_text(line, request.id, request.id_length, cases[i].id);
        expect_text(line, line, request.prefix, cases[i].prefix);
        expect_text(line, request.command, request.length, cases[i].command);
        cr_assert_eq(request.encrypt, cases[i].encrypt, "%s", line);
    }
}

Test(request, is_for_another_only_when_it_says_so)
{
    static const struct {
        const char *line;
        bool other;
    } lines[] = {
        {"ping\n", false},           {"sethost:msul1:ping\n", false}, {"sethost:msul1\n", false},
        {"sethost:msul2:x\n", true}, {"sethost:msul:x\n", true},      {"sethost:msul11:x\n", true},
        {"sethost:msul2\n", true},   {"sethost:MSUL1:x\n", true},     {"sethost::x\n", true},
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct request request = request_parse(lines[i].line, strlen(lines[i].line));

        cr_assert_eq(request_is_for_other(&request, "msul1"), lines[i].other, "%s", lines[i].line);
    }
}
