/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncctl's table of verbs, and the options of those that do their work themselves. No keeper runs.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/metrics/metrics.h"
#include "keeper/loncctl/page/page.h"
#include "keeper/loncctl/queue_verb.h"
#include "keeper/loncctl/top/top.h"
#include "keeper/loncctl/verbs.h"
#include "tests/unit/heard.h"

#define NO_KEEPER "no-keeper.sock"

TestSuite(loncctl_verbs, .timeout = 10);
TestSuite(loncctl_options, .init = heard_begin, .fini = heard_end, .timeout = 20);

/* --- Helpers ---------------------------------------------------------------------------------- */

#define WORDS_MAX 8

/* A command line, split at its blanks. */
struct words {
    char text[256], *argv[WORDS_MAX];
    int argc;
};

static struct words split(const char *text)
{
    static char copy[256];
    struct words words = {.argc = 0};
    char *rest = strcpy(copy, text);
    for (char *word; (word = strsep(&rest, " ")) != NULL && words.argc < WORDS_MAX - 1;)
        words.argv[words.argc++] = word;
    return words;
}

/* Which verb a command line means, and how many arguments it has: "queue hold/1". */
static void expect_found(const char *text, const char *name, size_t arguments, bool accepted)
{
    struct words words = split(text);
    size_t name_words;
    const struct verb *verb = verbs_find(words.argv, (size_t)words.argc, &name_words);
    if (name == NULL) {
        cr_expect_null(verb, "%s is %s", text, verb != NULL ? verb->name : "");
        return;
    }
    cr_assert_not_null(verb, "%s", text);
    cr_expect_str_eq(verb->name, name, "%s", text);
    cr_expect_eq((size_t)words.argc - name_words, arguments, "%s", text);
    cr_expect_eq(verbs_accept(verb, arguments), accepted, "%s", text);
}

static int run(int (*verb)(const char *, int, char **), const char *text)
{
    struct words words = split(text);
    return verb(NO_KEEPER, words.argc, words.argv);
}

/* Runs the verb in a process of its own, since it exits. */
static void expect_exit(int (*verb)(const char *, int, char **), const char *text, int code,
                        const char *errors)
{
    char said[1024];
    int pipes[2], status;
    cr_assert_eq(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        _exit(run(verb, text));
    }
    close(pipes[1]);
    FILE *out = fdopen(pipes[0], "r");
    said[fread(said, 1, sizeof(said) - 1, out)] = '\0';
    fclose(out);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == code, "%s: status %x", text, status);
    cr_expect_str_eq(said, errors, "%s: %s", text, said);
}

/* The text of a file of the working directory. */
static const char *contents(const char *name)
{
    static char text[65536];
    FILE *file = fopen(name, "r");
    cr_assert_not_null(file, "%s", name);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* A LON-CAPA below the working directory, with a deferred file for msul1. */
static void configure(void)
{
    char folder[200], text[1024];
    cr_assert_not_null(getcwd(folder, sizeof(folder)));
    snprintf(text, sizeof(text), "loncapa_conf = %s/loncapa.conf\n", folder);
    write_file("keeper.conf", text);
    snprintf(text, sizeof(text),
             "PerlSetVar lonHostID msul0\nPerlSetVar lonTabDir %s\nPerlSetVar lonSockDir %s\n"
             "PerlSetVar lonDocRoot %s/html\nPerlSetVar lonDaemons %s\n",
             folder, folder, folder, folder);
    write_file("loncapa.conf", text);
    write_file("hosts.tab", "msul1:msu:library:one.example.edu:127.0.0.1\n");
    cr_assert_eq(mkdir("delayed", 0700), 0);
    snprintf(text, sizeof(text), "delayed/%ld.1.4711.put.msul1", (long)time(NULL));
    write_file(text, "put:secret\n");
}

/* --- The table -------------------------------------------------------------------------------- */

Test(loncctl_verbs, the_longest_name_counts)
{
    expect_found("queue", "queue", 0, true);
    expect_found("queue msul1", "queue", 1, true);
    expect_found("queue hold msul1", "queue hold", 1, true);
    expect_found("log level debug", "log level", 1, true);
    expect_found("log", NULL, 0, false);
    expect_found("que", NULL, 0, false);
    expect_found("queues", NULL, 0, false);
}

Test(loncctl_verbs, arguments_are_counted)
{
    expect_found("status", "status", 0, true);
    expect_found("status me", "status", 1, false);
    expect_found("hosts", "hosts", 0, true);
    expect_found("hosts a b", "hosts", 2, false);
    expect_found("retry", "retry", 0, false);
    expect_found("send msul1", "send", 1, false);
    expect_found("send msul1 ping", "send", 2, true);
    expect_found("send msul1 a b c", "send", 4, true);
}

Test(loncctl_verbs, the_rest_of_a_command_line_is_for_send_and_defer)
{
    size_t used;
    cr_expect(verbs_take_rest(verbs_find(split("send").argv, 1, &used)));
    cr_expect(verbs_take_rest(verbs_find(split("defer").argv, 1, &used)));
    cr_expect_not(verbs_take_rest(verbs_find(split("retry").argv, 1, &used)));
}

Test(loncctl_verbs, usage_is_that_of_all_whose_name_begins_so)
{
    char *text;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    cr_expect(verbs_usage(out, "log"));
    cr_expect_not(verbs_usage(out, "lo"));
    fclose(out);
    cr_expect_str_eq(text,
                     "usage: loncctl log level emerg|alert|crit|err|warning|notice|info|debug\n"
                     "usage: loncctl log transactions on|off\n");
    free(text);
}

Test(loncctl_verbs, a_verb_with_options_of_its_own_lists_them_in_its_help,
     .init = cr_redirect_stdout)
{
    char text[4096];
    cr_assert(verbs_help("metrics"));
    fflush(stdout);
    FILE *out = cr_get_redirected_stdout();
    text[fread(text, 1, sizeof(text) - 1, out)] = '\0';
    cr_expect_eq(strncmp(text, "usage: loncctl metrics\n", 23), 0);
    cr_expect_not_null(strstr(text, "\n  --text  "));
    cr_expect_not_null(strstr(text, "\n  --http  "));
}

/* --- Options ---------------------------------------------------------------------------------- */

Test(loncctl_options, queue_reads_the_folder_that_the_configuration_leads_to)
{
    configure();
    cr_redirect_stdout();
    cr_assert_eq(run(queue_verb, "queue --json msul1 --config keeper.conf"), LONCCTL_DONE);
    fflush(stdout);
    json_t *answer = json_loadf(cr_get_redirected_stdout(), 0, NULL);
    const json_t *row = json_array_get(json_object_get(answer, "hosts"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(row, "host")), "msul1");
    cr_expect_eq(json_integer_value(json_object_get(row, "files")), 1);
    cr_expect_eq(json_array_size(json_object_get(answer, "list")), 1);
    json_decref(answer);
}

Test(loncctl_options, queue_has_at_most_two_words)
{
    cr_expect_eq(run(queue_verb, "queue hold a b"), LONCCTL_USAGE);
    cr_expect_eq(run(queue_verb, "queue hold"), LONCCTL_USAGE);
}

Test(loncctl_options, queue_changes_nothing_without_a_keeper)
{
    expect_exit(queue_verb, "queue --yes delete ALL", LONCCTL_UNREACHABLE,
                "loncctl: no keeper answers at " NO_KEEPER ": No such file or directory\n");
}

Test(loncctl_options, queue_takes_a_socket_behind_the_verb)
{
    expect_exit(queue_verb, "queue hold ALL --socket other.sock", LONCCTL_UNREACHABLE,
                "loncctl: no keeper answers at other.sock: No such file or directory\n");
}

Test(loncctl_options, queue_knows_four_actions)
{
    expect_exit(queue_verb, "queue dance msul1", LONCCTL_USAGE,
                "loncctl: dance: expected hold, release, requeue or delete\n");
}

Test(loncctl_options, an_unknown_option_is_misuse)
{
    expect_exit(queue_verb, "queue --dance", LONCCTL_USAGE,
                "loncctl queue: unrecognized option '--dance'\n");
}

Test(loncctl_options, page_is_written_to_its_path_and_says_that_there_is_no_keeper)
{
    struct stat status;
    umask(077);
    cr_assert_eq(run(loncctl_page, "page here.html"), LONCCTL_DONE);
    cr_expect_not_null(strstr(contents("here.html"), "<b>No keeper answers:</b>"));
    cr_assert_eq(stat("here.html", &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0644);
}

Test(loncctl_options, page_is_where_the_configuration_leads_to)
{
    configure();
    cr_assert_eq(mkdir("html", 0700), 0);
    cr_assert_eq(mkdir("html/lon-status", 0700), 0);
    cr_assert_eq(run(loncctl_page, "page --config keeper.conf"), LONCCTL_DONE);
    cr_expect_not_null(strstr(contents("html/lon-status/lonc.html"), "</html>"));
}

Test(loncctl_options, page_needs_a_configuration_that_is_valid)
{
    cr_redirect_stderr();
    cr_expect_eq(run(loncctl_page, "page --config nothing.conf"), LONCCTL_NO);
    fflush(stderr);
    cr_expect_stderr_eq_str("nothing.conf: cannot be read: No such file or directory\n");
}

Test(loncctl_options, there_is_one_page)
{
    expect_exit(loncctl_page, "page one two", LONCCTL_USAGE,
                "loncctl page: unexpected argument: two\n");
}

Test(loncctl_options, metrics_need_a_keeper)
{
    expect_exit(loncctl_metrics, "metrics --text", LONCCTL_UNREACHABLE,
                "loncctl: " NO_KEEPER ": No such file or directory\n");
}

Test(loncctl_options, metrics_take_no_words)
{
    expect_exit(loncctl_metrics, "metrics more", LONCCTL_USAGE,
                "loncctl metrics: unexpected argument: more\n");
}

Test(loncctl_options, metrics_over_HTTP_need_a_socket)
{
    cr_assert_not_null(freopen("/dev/null", "r", stdin));
    expect_exit(loncctl_metrics, "metrics --http", LONCCTL_USAGE,
                "loncctl: --http: standard input is not a socket; systemd or an inetd must start "
                "this\n");
}

Test(loncctl_options, top_takes_no_words)
{
    expect_exit(loncctl_top, "top more", LONCCTL_USAGE, "loncctl top: unexpected argument: more\n");
}

Test(loncctl_options, top_needs_a_terminal)
{
    expect_exit(loncctl_top, "top", LONCCTL_USAGE,
                "loncctl: top: needs a terminal; see loncctl hosts\n");
}
