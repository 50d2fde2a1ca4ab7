/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Command lines as they are parsed, and the help that is printed from the same table.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/options.h"

static const struct option_row rows[] = {
    {"config", 'c', "FILE", "settings, by default /etc/lonc/keeper.conf"},
    {"check", 'k', NULL,
     "read settings and tables, report every mistake in them, and exit without serving anybody"},
    {"secret", 's', "WORD", NULL},
    {"a-rather-long-option-name", 'l', "ARGUMENT", "explained on the next line"},
    {"version", OPTION_VERSION, NULL, "print the version"},
    {"help", OPTION_HELP, NULL, "print this help"},
};

static const struct option_word words[] = {
    {"list", "show each host"},
    {"sync", "start and stop"},
};

static const char *const notes[] = {
    "Exit codes: 0 all is as it should be, 1 a mistake in the configuration, 2 wrong usage.",
    NULL,
};

static const struct command_line line = {
    .program = "lonc-tool",
    OPTION_ROWS(rows),
    .misuse = 64,
    .purpose = "lonc-tool does nothing.",
    .usage = "VERB [ARGUMENT...]",
    OPTION_WORDS(words),
    .notes = notes,
};

#define ARGUMENTS_MAX 8

/* Splits a command line at its blanks. Returns argc. */
static int split(char *text, char *argv[ARGUMENTS_MAX])
{
    int argc = 0;
    for (char *word; (word = strsep(&text, " ")) != NULL;) {
        cr_assert_lt(argc, ARGUMENTS_MAX - 1);
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return argc;
}

/* What parsing finds, "c=FILE k : WORD WORD". */
static void expect_parsed(const char *command, bool before_words, const char *expected)
{
    char copy[256], found[256] = "", *argv[ARGUMENTS_MAX];
    struct options options;
    int option;
    cr_assert_lt(snprintf(copy, sizeof(copy), "%s", command), (int)sizeof(copy));
    int argc = split(copy, argv);
    FILE *out = fmemopen(found, sizeof(found), "w");
    cr_assert_not_null(out);
    if (before_words)
        options_start_before_words(&options, &line, argc, argv);
    else
        options_start(&options, &line, argc, argv);
    while ((option = options_next(&options)) != OPTION_END)
        fprintf(out, "%c%s%s ", option, options.value != NULL ? "=" : "",
                options.value != NULL ? options.value : "");
    fputc(':', out);
    for (size_t i = 0; i < options.word_count; i++)
        fprintf(out, " %s", options.words[i]);
    fclose(out);
    cr_expect_str_eq(found, expected, "%s: \"%s\", not \"%s\"", command, found, expected);
    cr_expect_str_eq(argv[0], "/usr/sbin/program");
}

Test(options, options_and_words_may_be_mixed)
{
    expect_parsed("/usr/sbin/program", false, ":");
    expect_parsed("/usr/sbin/program --config a.conf --check", false, "c=a.conf k :");
    expect_parsed("/usr/sbin/program sync --config=b --check me", false, "c=b k : sync me");
    expect_parsed("/usr/sbin/program --secret x --che", false, "s=x k :");
    expect_parsed("/usr/sbin/program sync -- --check", false, ": sync --check");
}

Test(options, options_behind_the_first_word_can_be_left_alone)
{
    expect_parsed("/usr/sbin/program --check send --config x", true, "k : send --config x");
    expect_parsed("/usr/sbin/program --config c send", true, "c=c : send");
}

/* --- Misuse ----------------------------------------------------------------------------------- */

/* Runs in a child process, whose standard error is `out`. */
static _Noreturn void parse_in_child(const char *command, int out)
{
    char copy[256], *argv[ARGUMENTS_MAX];
    struct options options;
    dup2(out, STDERR_FILENO);
    dup2(out, STDOUT_FILENO);
    snprintf(copy, sizeof(copy), "%s", command);
    options_start(&options, &line, split(copy, argv), argv);
    while (options_next(&options) != OPTION_END)
        continue;
    options_expect_no_words(&options);
    exit(0);
}

static void expect_exit(const char *command, int code, const char *message)
{
    char said[4096];
    size_t length = 0;
    ssize_t n;
    int ends[2], status;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        parse_in_child(command, ends[1]);
    cr_assert_gt(child, 0);
    close(ends[1]);
    while ((n = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0)
        length += (size_t)n;
    said[length] = '\0';
    close(ends[0]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == code, "%s: %d", command, status);
    cr_expect_str_eq(said, message, "%s: %s", command, said);
}

Test(options, misuse_is_reported_with_the_option)
{
    expect_exit("x --colour", 64, "lonc-tool: unrecognized option '--colour'\n");
    expect_exit("x --che --colour=red", 64, "lonc-tool: unrecognized option '--colour=red'\n");
    expect_exit("x -c y", 64, "lonc-tool: invalid option -- 'c'\n");
    expect_exit("x --c", 64,
                "lonc-tool: option '--c' is ambiguous; possibilities: '--config' '--check'\n");
    expect_exit("x --config", 64, "lonc-tool: option '--config' requires an argument\n");
    expect_exit("x --check=yes", 64, "lonc-tool: option '--check' doesn't allow an argument\n");
    expect_exit("x --check sync", 64, "lonc-tool: unexpected argument: sync\n");
    expect_exit("x --check", 0, "");
}

Test(options, the_version_is_printed_and_the_rest_not_looked_at)
{
    expect_exit("x --version --colour", 0, "lonc-tool " LONC_VERSION "\n");
}

/* --- Help ------------------------------------------------------------------------------------- */

Test(options, the_help_fits_into_80_columns)
{
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    cr_assert_not_null(out);
    options_print_help(&line, out);
    fclose(out);
    const char *expected =
        "lonc-tool does nothing.\n"
        "\n"
        "usage: lonc-tool [--config FILE] [--check]\n"
        "                 [--a-rather-long-option-name ARGUMENT] VERB [ARGUMENT...]\n"
        "\n"
        "  list                          show each host\n"
        "  sync                          start and stop\n"
        "\n"
        "  --config FILE                 settings, by default /etc/lonc/keeper.conf\n"
        "  --check                       read settings and tables, report every mistake\n"
        "                                in them, and exit without serving anybody\n"
        "  --a-rather-long-option-name ARGUMENT\n"
        "                                explained on the next line\n"
        "  --version                     print the version\n"
        "  --help                        print this help\n"
        "\n"
        "Exit codes: 0 all is as it should be, 1 a mistake in the configuration, 2 wrong\n"
        "usage.\n";
    cr_expect_str_eq(text, expected, "%s", text);
}
