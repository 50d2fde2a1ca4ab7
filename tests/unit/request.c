/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the keeper finds in a request line.
 */
#include "keeper/lond/request.h"

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
    {"sethost:a:sethost:b:encrypt:x\n", "a", "sethost:a:sethost:b:", "x", true},
    {"sethost:a:lonc_defer:encrypt:x\n", "a", "sethost:a:lonc_defer:", "x", true},
    {"lonc_defer:sethost:a:encrypt:x\n", NULL, "lonc_defer:sethost:a:", "x", true},
    {"lonc_defer:lonc_defer:encrypt:x\n", NULL, "lonc_defer:lonc_defer:", "x", true},
    {"lonc_defer:ping\n", NULL, "", "lonc_defer:ping", false},
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

Test(request, that_names_hosts_twice_may_leave_its_connection_with_another)
{
    static const struct {
        const char *line;
        bool other;
    } lines[] = {
        {"ping\n", false},
        {"sethost:msul1:ping\n", false},
        {"sethost:msul1\n", false},
        {"sethost:msul2\n", true},
        {"sethost:msul1:sethost:msul2\n", true},
        {"sethost:msul1:sethost:msul2:ping\n", true},
        {"sethost:msul1:sethost:msul1:ping\n", false},
        {"sethost:msul1:sethost:msul1:sethost:msul1:ping\n", true},
        {"sethost:msul1:sethost:msul1:encrypt:sethost:msul1\n", true},
        {"encrypt:sethost:msul1:ping\n", false},
        {"encrypt:sethost:msul2\n", true},
        {"sethost:msul1:encrypt:sethost:msul2:x\n", true},
        {"encrypt:auth:sethost:msul2\n", false},
        {"put:sethost:msul2\n", false},
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct request request = request_parse(lines[i].line, strlen(lines[i].line));

        cr_assert_eq(request_leaves_other(&request, "msul1"), lines[i].other, "%s", lines[i].line);
    }
}

/* --- What may be shown ------------------------------------------------------------------------ */

static const struct {
    const char *text, *shown; /* NULL: all of it */
    const char *word;
} showings[] = {
    {"ping", NULL, "ping"},
    {"", NULL, ""},
    {"put:msu:me:x=SECRET", NULL, "put"},
    {"sethost:msul1:put:x", NULL, "put"},
    {"lonc_defer:put:x", NULL, "put"},
    {"sethost:msul1", NULL, "sethost"},
    {"sethost:", NULL, "sethost"},
    {"lonc_defer:", NULL, ""},
    {"encrypt", NULL, "encrypt"},
    {"encrypte:x", NULL, "encrypte"},
    {"put:encrypt:x", NULL, "put"},
    {"SECRET", NULL, ""},
    {"abcdefghijklmnopqrstuvwxyzabcdefghijkl:x", NULL, "abcdefghijklmnopqrstuvwxyzabcdef"},
    {"encrypt:auth:SECRET", "encrypt:auth", "encrypt"},
    {"encrypt:auth", "encrypt:auth", "encrypt"},
    {"encrypt:", "encrypt:", "encrypt"},
    {"encrypt:SECRET", "encrypt:", "encrypt"},
    {"encrypt:seCRET:x", "encrypt:", "encrypt"},
    {"encrypt::SECRET", "encrypt:", "encrypt"},
    {"encrypt: auth:SECRET", "encrypt:", "encrypt"},
    {"encrypt:encrypt:SECRET", "encrypt:encrypt", "encrypt"},
    {"encrypt:sethost:SECRET:x", "encrypt:sethost", "encrypt"},
    {"ENCRYPT:auth:SECRET", "ENCRYPT:auth", "encrypt"},
    {" encrypt:auth:SECRET", " encrypt:auth", "encrypt"},
    {"enc:16:0123456789abcdef", "enc:", "encrypt"},
    {"sethost:h1:encrypt:auth:SECRET", "sethost:h1:encrypt:auth", "encrypt"},
    {"sethost::encrypt:auth:SECRET", "sethost::encrypt:auth", "encrypt"},
    {"Sethost:h1:Encrypt:auth:SECRET", "Sethost:h1:Encrypt:auth", "encrypt"},
    {"sethost:h1: encrypt:auth:SECRET", "sethost:h1: encrypt:auth", "encrypt"},
    {"sethost:encrypt:auth:SECRET", "sethost:encrypt:auth", "encrypt"},
    {"sethost:h1:sethost:h2:encrypt:auth:SECRET", "sethost:h1:sethost:h2:encrypt:auth", "encrypt"},
    {"lonc_defer:sethost:h1:encrypt:auth:SECRET", "lonc_defer:sethost:h1:encrypt:auth", "encrypt"},
    {"sethost:h1:lonc_defer:encrypt:auth:SECRET", "sethost:h1:lonc_defer:encrypt:auth", "encrypt"},
    {"lonc_defer:lonc_defer:encrypt:auth:SECRET", "lonc_defer:lonc_defer:encrypt:auth", "encrypt"},
    {"LONC_DEFER:encrypt:auth:SECRET", "LONC_DEFER:encrypt:auth", "encrypt"},
    {"sethost:h1:u:SECRET:encrypt:auth", "sethost:h1:", "encrypt"},
    {"sethost:a:b:encrypt:auth:SECRET", "sethost:a:", "encrypt"},
    {"lonc_defer:x:encrypt:auth:SECRET", "lonc_defer:", "encrypt"},
};

Test(request, of_a_secret_only_its_prefixes_and_its_first_word_are_shown)
{
    for (size_t i = 0; i < sizeof(showings) / sizeof(showings[0]); i++) {
        const char *text = showings[i].text;
        bool secret = showings[i].shown != NULL;
        struct request_shown shown = request_shown(text, strlen(text));

        cr_assert_eq(shown.secret, secret, "%s", text);
        expect_text(text, text, shown.length, secret ? showings[i].shown : text);
        expect_text(text, shown.word, shown.word_length, showings[i].word);
    }
}

Test(request, cut_off_anywhere_shows_no_part_of_a_secret)
{
    for (size_t i = 0; i < sizeof(showings) / sizeof(showings[0]); i++) {
        const char *secret = strstr(showings[i].text, "SECRET");
        /* What stands before the mark is plain for as long as that is not there. */
        if (showings[i].shown == NULL || secret == NULL || strcasestr(secret, "encrypt:") != NULL)
            continue;
        for (size_t length = 0; length <= strlen(showings[i].text); length++) {
            struct request_shown shown = request_shown(showings[i].text, length);
            const char *end = showings[i].text + shown.length;

            cr_assert_leq(shown.length, length);
            cr_assert_null(memmem(showings[i].text, (size_t)(end - showings[i].text), "SECRET", 6),
                           "%.*s", (int)length, showings[i].text);
        }
    }
}

Test(request, a_log_message_names_it_by_its_first_word_and_its_length)
{
    static const struct {
        const char *line, *summary;
    } summaries[] = {
        {"ping\n", "ping (5 bytes)"},
        {"put:msu:user:data\n", "put (18 bytes)"},
        {"\n", " (1 byte)"},
        {"sethost:msul1:encrypt:auth:msu:user:secret\n", "encrypt (43 bytes)"},
    };
    for (size_t i = 0; i < sizeof(summaries) / sizeof(*summaries); i++) {
        char text[REQUEST_SUMMARY_SIZE];
        request_summary(summaries[i].line, strlen(summaries[i].line), text);
        cr_expect_str_eq(text, summaries[i].summary);
    }
}
