/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Texts as a terminal shows them: clean, of a known width, wrapped; and tables of them, which fit
 * into any terminal.
 */
#include <criterion/criterion.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/views/table.h"

/* A terminal without color, where UTF-8 is written. Its width is the test's to set. */
static void begin(void)
{
    cr_assert_not_null(setlocale(LC_ALL, "C.UTF-8"));
    terminal = (struct terminal){.utf8 = true};
}

TestSuite(display_text, .init = begin);
TestSuite(table, .init = begin, .timeout = 30);

/* --- Helpers ---------------------------------------------------------------------------------- */

static char *printed;
static size_t printed_length;
static FILE *standard_output;

static void start_capturing(void)
{
    standard_output = stdout;
    stdout = open_memstream(&printed, &printed_length);
    cr_assert_not_null(stdout);
}

static void expect_printed(const char *expected)
{
    cr_assert_eq(fclose(stdout), 0);
    stdout = standard_output;
    cr_expect_str_eq(printed, expected, "expected:\n%s\nprinted:\n%s", expected, printed);
    free(printed);
}

static void expect_clean(const char *text, size_t length, const char *expected)
{
    char *clean = display_clean(text, length);
    cr_expect_str_eq(clean, expected);
    free(clean);
}

/* Makes a table of these cells; NULL ends them. */
static struct table *make_table(const struct column *columns, size_t count,
                                const char *const *cells)
{
    struct table *table = table_new(columns, count);
    for (; *cells != NULL; cells++)
        table_cell(table, STYLE_PLAIN, *cells);
    return table;
}

static void expect_table(const struct column *columns, size_t count, const char *const *cells,
                         const char *expected)
{
    struct table *table = make_table(columns, count, cells);
    start_capturing();
    table_print(table);
    expect_printed(expected);
    table_free(table);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- Texts ------------------------------------------------------------------------------------ */

Test(display_text, what_a_terminal_would_obey_is_shown_in_hex)
{
    expect_clean("a\x1b[2Jb", 6, "a\\x1b[2Jb");
    expect_clean("a\0b\n", 4, "a\\x00b\\x0a");
    expect_clean("\xc2\x9b", 2, "\\xc2\\x9b");          /* a control sequence in Latin-1 */
    expect_clean("\xe2\x80\xae", 3, "\\xe2\\x80\\xae"); /* reverses the rest of the line */
    expect_clean("e\xcc\x81", 3, "e\\xcc\\x81");        /* a combining accent */
}

Test(display_text, what_is_printable_in_the_locale_stays)
{
    expect_clean("\xc3\xa9\xe4\xb8\xad", 5, "\xc3\xa9\xe4\xb8\xad");
    expect_clean("\xe4\xb8", 2, "\\xe4\\xb8"); /* half a character */
    terminal.utf8 = false;
    expect_clean("\xc3\xa9~", 3, "\\xc3\\xa9~");
}

Test(display_text, a_character_may_be_two_columns_wide_and_is_never_cut_in_two)
{
    const char *text = "a\xe4\xb8\xad\xe4\xb8\xad";
    cr_expect_eq(display_width(text), 5);
    cr_expect_eq(display_fit(text, 5), strlen(text));
    cr_expect_eq(display_fit(text, 4), 4);
    cr_expect_eq(display_fit(text, 3), 4);
    cr_expect_eq(display_fit(text, 2), 1);
    cr_expect_eq(display_fit(text, 0), 0);
}

Test(display_text, a_long_text_is_wrapped_between_words_and_indented)
{
    terminal.width = 12;
    start_capturing();
    fputs("to do ", stdout);
    display_wrapped(6, "mend it now overlong");
    expect_printed("to do mend\n      it now\n      overlo\n      ng\n");
}

Test(display_text, where_the_indent_leaves_no_room_nothing_is_wrapped)
{
    terminal.width = 7;
    start_capturing();
    display_wrapped(6, "mend it");
    expect_printed("mend it\n");
}

Test(display_text, where_there_is_no_terminal_nothing_is_wrapped)
{
    start_capturing();
    display_wrapped(6, "mend the certificate, key or CA file named, however long that is");
    expect_printed("mend the certificate, key or CA file named, however long that is\n");
}

/* --- Tables ----------------------------------------------------------------------------------- */

static const struct column simple[] = {
    {.title = "HOST"},
    {.title = "QUEUED", .right = true},
    {.title = "MODE"},
};

Test(table, columns_are_aligned_and_no_line_ends_with_blanks)
{
    expect_table(simple, 3, TEXTS("msul1", "7", "ssl", "a", "12345678", "local"),
                 "HOST     QUEUED  MODE\n"
                 "msul1         7  ssl\n"
                 "a      12345678  local\n");
}

Test(table, a_table_without_rows_has_a_heading)
{
    expect_table(simple, 3, TEXTS(NULL), "HOST  QUEUED  MODE\n");
}

Test(table, a_missing_text_is_a_dash)
{
    struct table *table = table_new(simple, 3);
    table_cell(table, STYLE_PLAIN, NULL);
    table_printf(table, STYLE_PLAIN, "%d", 1);
    table_cell(table, STYLE_PLAIN, NULL);
    start_capturing();
    table_print(table);
    expect_printed("HOST  QUEUED  MODE\n-          1  -\n");
    table_free(table);
}

Test(table, characters_of_two_columns_and_signs_in_hex_do_not_break_the_alignment)
{
    expect_table(simple, 3,
                 TEXTS("\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", "1", "x", "\x1b", "2", "y"),
                 "HOST    QUEUED  MODE\n"
                 "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad       1  x\n"
                 "\\x1b         2  y\n");
}

static const struct column dispensable[] = {
    {.title = "HOST", .least = 4},
    {.title = "FOR", .dispense = 1},
    {.title = "ADDRESS", .least = 5, .dispense = 2},
};

Test(table, the_column_that_matters_least_is_left_out_first_and_named_below)
{
    const char *const *cells = TEXTS("msul1", "1min 5s", "192.0.2.1:5663");
    terminal.width = 30;
    expect_table(dispensable, 3, cells,
                 "HOST   FOR      ADDRESS\nmsul1  1min 5s  192.0.2.1:5663\n");
    terminal.width = 29;
    expect_table(dispensable, 3, cells, "HOST   FOR      ADDRESS\nmsul1  1min 5s  192.0.2.1:56…\n");
    terminal.width = 17; /* 4 + 2 + 7 + 2 + 5 do not fit */
    expect_table(dispensable, 3, cells,
                 "HOST   FOR\nmsul1  1min 5s\nleft out for lack\nof room: ADDRESS\n");
    terminal.width = 12;
    expect_table(dispensable, 3, cells,
                 "HOST\nmsul1\nleft out for\nlack of\nroom: FOR,\nADDRESS\n");
}

Test(table, whether_it_fits_is_known_before)
{
    struct table *table = make_table(dispensable, 3, TEXTS("msul1", "1min 5s", "192.0.2.1:5663"));
    terminal.width = 20; /* 4 + 2 + 7 + 2 + 5 */
    cr_expect(table_fits(table));
    terminal.width = 19;
    cr_expect_not(table_fits(table));
    terminal.width = 0;
    cr_expect(table_fits(table));
    table_free(table);
}

Test(table, the_widest_column_is_cut_first_and_the_cut_is_marked)
{
    static const struct column columns[] = {{.title = "A", .least = 3}, {.title = "B", .least = 3}};
    const char *const *cells = TEXTS("abcdefgh", "klmn");
    terminal.width = 12;
    expect_table(columns, 2, cells, "A       B\nabcde…  klmn\n");
    terminal.width = 8;
    expect_table(columns, 2, cells, "A    B\nab…  kl…\n");
    terminal.utf8 = false;
    terminal.width = 12;
    expect_table(columns, 2, cells, "A       B\nabc...  klmn\n");
}

Test(table, a_line_ends_at_the_edge_of_a_terminal_that_is_too_narrow_for_anything)
{
    terminal.width = 9;
    expect_table(simple, 3, TEXTS("msul1", "7", "ssl"), "HOST   Q…\nmsul1\n");
}

Test(table, only_the_text_of_a_cell_is_colored)
{
    struct table *table = table_new(simple, 3);
    terminal.color = true;
    table_cell(table, STYLE_BAD, "x");
    table_cell(table, STYLE_PLAIN, "1");
    table_cell(table, STYLE_WARNING, "y");
    start_capturing();
    table_print(table);
    expect_printed("\033[1mHOST\033[0m  \033[1mQUEUED\033[0m  \033[1mMODE\033[0m\n"
                   "\033[1;31mx\033[0m          1  \033[33my\033[0m\n");
    table_free(table);
}

/* Every table fits: whatever the width, no line is longer. */
Test(table, no_line_is_ever_wider_than_the_terminal)
{
    struct table *table = make_table(dispensable, 3,
                                     TEXTS("msul1", "1min 5s", "192.0.2.1:5663",
                                           "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", "-", "-"));
    for (unsigned width = 2; width < 40; width++) {
        terminal.width = width;
        start_capturing();
        table_print(table);
        cr_assert_eq(fclose(stdout), 0);
        stdout = standard_output;
        char *rest = printed;
        for (char *line; (line = strsep(&rest, "\n")) != NULL;)
            cr_expect_leq(display_width(line), width, "%u columns: %s", width, line);
        free(printed);
    }
    table_free(table);
}
