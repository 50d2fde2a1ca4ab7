/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncctl, the administrator's hand: it sends one line to the keeper's control socket and shows the
 * JSON value that comes back, as it is (--json) or for people. What it can say is in verbs.c.
 *
 *     loncctl [--socket PATH] [--json] VERB [ARGUMENT...]
 *
 * Exit codes: 0 done; 1 the keeper says no, and why; 2 wrong usage; 3 no keeper answers.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/terminal.h"
#include "keeper/loncctl/core/textstream.h"
#include "keeper/loncctl/verbs.h"
#include "keeper/loncctl/views/view.h"

/* Digits of a number that come back as they went out: the keeper sends fewer. */
#define JSON_FORM JSON_REAL_PRECISION(15)

struct options {
    const char *socket;
    bool json, help;
};

/* --- Help ------------------------------------------------------------------------------------- */

static void print_help(FILE *out)
{
    fputs("loncctl talks to lonc-keeper.\n"
          "\n"
          "usage: loncctl [--socket PATH] [--json] VERB [ARGUMENT...]\n"
          "       loncctl VERB --help\n"
          "\n"
          "To look:\n",
          out);
    verbs_summary(out, false);
    fputs("\nTo act, for root and the keeper's user:\n", out);
    verbs_summary(out, true);
    fputs("\n"
          "  --socket PATH   the control socket (/run/lonc/control.sock)\n"
          "  --json          the keeper's answer as it is\n"
          "  --list-verbs    the verbs and their arguments, for programs\n"
          "  --version       the version\n"
          "\n"
          "Exit codes: 0 done, 1 the keeper says no, 2 wrong usage, 3 no keeper answers.\n",
          out);
}

/* --- Showing ---------------------------------------------------------------------------------- */

/* Control characters stand as \uNNNN in JSON anyway; what else a terminal might obey does here. */
static void print_json(const json_t *value, size_t flags)
{
    json_dumpf(value, stdout, flags | JSON_FORM | (terminal.present ? JSON_ENSURE_ASCII : 0));
    putchar('\n');
}

/* Whether the keeper said no. */
static bool is_refusal(const json_t *value)
{
    return json_is_false(json_object_get(value, "ok"));
}

/* The lines of an array of the answer, behind `prefix`. */
static void print_lines(const json_t *answer, const char *key, const char *prefix)
{
    const json_t *line;
    size_t i;
    json_array_foreach(json_object_get(answer, key), i, line)
    {
        const char *text = json_string_value(line);
        char *clean = display_clean(text != NULL ? text : "", json_string_length(line));
        fprintf(stderr, "%s%s\n", prefix, clean);
        free(clean);
    }
}

static void print_errors(const json_t *refusal)
{
    print_lines(refusal, "errors", "");
}

static enum loncctl_exit show(const struct verb *verb, const json_t *value, bool as_json)
{
    bool refused = is_refusal(value);
    bool warned = json_array_size(json_object_get(value, "warnings")) > 0;
    if (as_json)
        print_json(value, JSON_INDENT(2));
    else if (refused)
        print_errors(value);
    else if (verb->view != NULL)
        verb->view(value);
    if (!as_json)
        print_lines(value, "warnings", "warning: ");
    return refused ? LONCCTL_NO : warned ? LONCCTL_WARNED : LONCCTL_DONE;
}

/* --- A stream --------------------------------------------------------------------------------- */

struct stream {
    const struct verb *verb;
    bool json;
    enum loncctl_exit code;
};

/* A line of the stream; the keeper may say no in the first. */
static bool show_line(void *argument, const char *line)
{
    struct stream *stream = argument;
    json_t *value = json_loads(line, 0, NULL);
    if (value == NULL)
        fail(LONCCTL_UNREACHABLE, stream->verb->name, "what came is no JSON");
    if (stream->json)
        print_json(value, JSON_COMPACT);
    else if (is_refusal(value))
        print_errors(value);
    else
        stream->verb->view(value);
    if (is_refusal(value))
        stream->code = LONCCTL_NO;
    json_decref(value);
    return fflush(stdout) == 0 && stream->code == LONCCTL_DONE;
}

/* --- The command line ------------------------------------------------------------------------- */

/* Takes the options off, and leaves optind at the first word. With `all`, also those behind words.
 */
static void parse_options(struct options *options, int argc, char **argv, bool all)
{
    static const struct option known[] = {
        {"socket", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
        {"list-verbs", no_argument, NULL, 'l'},   {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int option;
    optind = 0; /* start anew: it is called for what stands before the verb, and behind it */
    while ((option = getopt_long(argc, argv, all ? "" : "+", known, NULL)) != -1) {
        switch (option) {
        case 's':
            options->socket = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'l':
            verbs_list(stdout);
            exit(LONCCTL_DONE);
        case 'V':
            puts("loncctl " LONC_VERSION);
            exit(LONCCTL_DONE);
        case 'h':
            options->help = true;
            break;
        default:
            exit(LONCCTL_USAGE);
        }
    }
}

/* One line of standard input. The caller frees it. */
static char *read_command(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getline(&line, &size, stdin);
    if (length < 0)
        fail(LONCCTL_USAGE, "standard input", "there is no line");
    if (length > 0 && line[length - 1] == '\n')
        line[--length] = '\0';
    if (strlen(line) != (size_t)length)
        fail(LONCCTL_USAGE, "standard input", "a NUL byte cannot be sent");
    return line;
}

/* The words as the line to send, which the caller frees. Those from `opaque` on may have blanks,
 * and may be a "-". */
static char *make_line(char *const *words, size_t count, size_t opaque)
{
    struct textstream line;
    textstream_open(&line);
    for (size_t i = 0; i < count; i++) {
        char *read =
            i == opaque && i + 1 == count && strcmp(words[i], "-") == 0 ? read_command() : NULL;
        if (*words[i] == '\0' || strpbrk(words[i], i < opaque ? " \n" : "\n") != NULL)
            fail(LONCCTL_USAGE, i < opaque ? words[i] : "the command",
                 "blanks and line feeds are not allowed");
        fprintf(line.out, "%s%s", i > 0 ? " " : "", read != NULL ? read : words[i]);
        free(read);
        if (i >= opaque) /* ps shows it to everybody for as long as this waits for the answer */
            memset(words[i], 0, strlen(words[i]));
    }
    fputc('\n', line.out);
    return textstream_close(&line);
}

/* Its own reader has gone: nobody is left to be told. */
static enum loncctl_exit finish(enum loncctl_exit code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno != EPIPE)
        fail(LONCCTL_NO, "standard output", strerror(errno));
    return code;
}

static enum loncctl_exit talk(const struct options *options, const struct verb *verb,
                              const char *line)
{
    if (verb->streams) {
        struct stream stream = {.verb = verb, .json = options->json};
        follow(options->socket, line, show_line, &stream);
        return stream.code;
    }
    json_t *value = ask(options->socket, line);
    enum loncctl_exit code = show(verb, value, options->json);
    json_decref(value);
    return code;
}

/* What the words, options taken off, ask for. */
static enum loncctl_exit obey(const struct options *options, char *const *words, size_t count)
{
    size_t name_words;
    const struct verb *verb = verbs_find(words, count, &name_words);
    if (options->help && verbs_help(verb != NULL ? verb->name : words[0]))
        return LONCCTL_DONE;
    if (verb == NULL || !verbs_accept(verb, count - name_words)) {
        if (!verbs_usage(stderr, words[0]))
            fail(LONCCTL_USAGE, words[0], "there is no such verb; see loncctl --help");
        return LONCCTL_USAGE;
    }
    char *line = make_line(words, count, verbs_take_rest(verb) ? name_words + 1 : count);
    enum loncctl_exit code = talk(options, verb, line);
    free(line);
    return code;
}

/* A verb with options of its own. */
static enum loncctl_exit run_itself(const struct options *options, const struct verb *verb,
                                    int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            verbs_help(verb->name);
            return LONCCTL_DONE;
        }
    if (options->json && !verb->json)
        fail(LONCCTL_USAGE, verb->name, "what it shows is no JSON");
    if (!options->json)
        return (enum loncctl_exit)verb->run(options->socket, argc, argv);
    /* It stood before the verb. */
    char **words = must(calloc((size_t)argc + 2, sizeof(*words)));
    words[0] = argv[0];
    words[1] = (char *)(uintptr_t) "--json";
    memcpy(words + 2, argv + 1, (size_t)(argc - 1) * sizeof(*words));
    int code = verb->run(options->socket, argc + 1, words);
    free(words);
    return (enum loncctl_exit)code;
}

/* The verb and what follows it; there may be options among it. */
static enum loncctl_exit run(struct options *options, int argc, char **argv)
{
    size_t name_words;
    char *word = argv[0];
    const struct verb *verb = verbs_find(argv, 1, &name_words);
    if (verb != NULL && verb->run != NULL)
        return run_itself(options, verb, argc, argv);
    argv[0] = program_invocation_short_name; /* for getopt's messages */
    parse_options(options, argc, argv, verb == NULL || !verbs_take_rest(verb));
    /* The words are at the end now, but for the first. */
    argv[optind - 1] = word;
    return obey(options, argv + optind - 1, (size_t)(argc - optind) + 1);
}

int main(int argc, char **argv)
{
    struct options options = {.socket = "/run/lonc/control.sock"};
    json_set_alloc_funcs(must_malloc, free);
    terminal_setup();
    parse_options(&options, argc, argv, false);
    if (optind == argc) {
        print_help(options.help ? stdout : stderr);
        return options.help ? LONCCTL_DONE : LONCCTL_USAGE;
    }
    return (int)finish(run(&options, argc - optind, argv + optind));
}
