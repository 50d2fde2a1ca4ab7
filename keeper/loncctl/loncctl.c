/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncctl, the administrator's tool: sends one line to the keeper's control socket and shows the
 * JSON value that comes back, as it is (--json) or for people. verbs.c has what can be asked for.
 *
 *     loncctl [--socket PATH] [--json] VERB [ARGUMENT...]
 *
 * Exit codes are explained in core/failure.h.
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/terminal.h"
#include "keeper/loncctl/core/textstream.h"
#include "keeper/loncctl/verbs.h"
#include "keeper/loncctl/views/view.h"

/* Enough digits for a number to be printed as the keeper sent it. */
#define JSON_FORM JSON_REAL_PRECISION(15)

/* --- The command line ------------------------------------------------------------------------- */

static const struct option_row option_rows[] = {
    {"socket", 's', "PATH", "the control socket (/run/lonc/control.sock)"},
    {"json", 'j', NULL, "print the keeper's answer as it is"},
    {"list-verbs", 'l', NULL, "print the verbs and their arguments, for programs"},
    {"version", OPTION_VERSION, NULL, "print the version"},
    {"help", 'h', NULL, "print this help; after a verb, explain that verb"},
};

static const struct command_line command_line = {
    .program = "loncctl",
    OPTION_ROWS(option_rows),
    .misuse = LONCCTL_USAGE,
};

/* What the options have chosen. */
struct choice {
    const char *socket;
    bool json, help;
};

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
    fputs("\nTo change something, for root and the keeper's user:\n", out);
    verbs_summary(out, true);
    fputc('\n', out);
    options_print_list(&command_line, out);
    fputs("\n"
          "Exit codes: 0 done, 1 the keeper refuses or something fails, 2 wrong usage,\n"
          "3 no keeper answers, 4 done with warnings.\n",
          out);
}

/* Parses options up to OPTION_END. */
static void parse_options(struct choice *choice, struct options *options)
{
    int option;
    while ((option = options_next(options)) != OPTION_END) {
        switch (option) {
        case 's':
            choice->socket = options->value;
            break;
        case 'j':
            choice->json = true;
            break;
        case 'l':
            verbs_list(stdout);
            exit(LONCCTL_DONE);
        case 'h':
            choice->help = true;
            break;
        }
    }
}

/* --- Showing ---------------------------------------------------------------------------------- */

/* JSON escapes control characters anyway; on a terminal, so is everything that is not ASCII. */
static void print_json(const json_t *value, size_t flags)
{
    json_dumpf(value, stdout, flags | JSON_FORM | (terminal.present ? JSON_ENSURE_ASCII : 0));
    putchar('\n');
}

/* Prints the sentences in a member of the answer, each after `prefix`, on standard error. */
static void print_sentences(const json_t *answer, const char *key, const char *prefix)
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
    print_sentences(refusal, "errors", "");
}

static enum loncctl_exit show_answer(const struct verb *verb, const json_t *value, bool as_json)
{
    bool refused = ask_is_refusal(value);
    bool warned = json_array_size(json_object_get(value, "warnings")) > 0;
    if (as_json)
        print_json(value, JSON_INDENT(2));
    else if (refused)
        print_errors(value);
    else if (verb->view != NULL)
        verb->view(value);
    if (!as_json)
        print_sentences(value, "warnings", "warning: ");
    return refused ? LONCCTL_NO : warned ? LONCCTL_WARNED : LONCCTL_DONE;
}

/* --- A stream --------------------------------------------------------------------------------- */

struct stream {
    const struct verb *verb;
    bool json;
    enum loncctl_exit code;
};

/* Shows one line of the stream. The keeper may refuse in the first. */
static bool show_line(void *argument, const char *line)
{
    struct stream *stream = argument;
    json_t *value = json_loads(line, 0, NULL);
    if (value == NULL)
        fail(LONCCTL_UNREACHABLE, stream->verb->name, "its answer is not JSON");
    if (stream->json)
        print_json(value, JSON_COMPACT);
    else if (ask_is_refusal(value))
        print_errors(value);
    else
        stream->verb->view(value);
    if (ask_is_refusal(value))
        stream->code = LONCCTL_NO;
    json_decref(value);
    return fflush(stdout) == 0 && stream->code == LONCCTL_DONE;
}

/* --- Asking ----------------------------------------------------------------------------------- */

/* Reads one line from standard input, which the caller frees. */
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

/*
 * Makes the line to send, which the caller frees. The words from `opaque` on are a command: they
 * may contain blanks, and a single "-" means a line of standard input.
 */
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
        if (i >= opaque) /* a command may hold a secret, and ps shows it to everybody */
            memset(words[i], 0, strlen(words[i]));
    }
    fputc('\n', line.out);
    return textstream_close(&line);
}

/* Sends the line and shows the answer. */
static enum loncctl_exit ask_and_show(const struct choice *choice, const struct verb *verb,
                                      const char *line)
{
    if (verb->streams) {
        struct stream stream = {.verb = verb, .json = choice->json};
        ask_for_stream(choice->socket, line, show_line, &stream);
        return stream.code;
    }
    json_t *value = ask(choice->socket, line);
    enum loncctl_exit code = show_answer(verb, value, choice->json);
    json_decref(value);
    return code;
}

/* Does what the words, without options, ask for. */
static enum loncctl_exit run_words(const struct choice *choice, char *const *words, size_t count)
{
    size_t name_words;
    const struct verb *verb = verbs_find(words, count, &name_words);
    if (choice->help && verbs_help(verb != NULL ? verb->name : words[0]))
        return LONCCTL_DONE;
    if (verb == NULL || !verbs_accept(verb, count - name_words)) {
        if (!verbs_usage(stderr, words[0]))
            fail(LONCCTL_USAGE, words[0], "there is no such verb; see loncctl --help");
        return LONCCTL_USAGE;
    }
    char *line = make_line(words, count, verbs_take_rest(verb) ? name_words + 1 : count);
    enum loncctl_exit code = ask_and_show(choice, verb, line);
    free(line);
    return code;
}

/* --- Verbs that do their work themselves ------------------------------------------------------ */

static bool wants_help(const struct choice *choice, int argc, char **argv)
{
    bool wanted = choice->help;
    for (int i = 1; i < argc; i++)
        wanted = wanted || strcmp(argv[i], "--help") == 0;
    return wanted;
}

/* Runs the verb with a --json that stood before it among its own options. */
static int run_with_json(const char *socket, const struct verb *verb, int argc, char **argv)
{
    char **words = must(calloc((size_t)argc + 2, sizeof(*words)));
    words[0] = argv[0];
    words[1] = (char *)(uintptr_t) "--json";
    memcpy(words + 2, argv + 1, (size_t)(argc - 1) * sizeof(*words));
    int code = verb->run(socket, argc + 1, words);
    free(words);
    return code;
}

static enum loncctl_exit run_verb_itself(const struct choice *choice, const struct verb *verb,
                                         int argc, char **argv)
{
    if (wants_help(choice, argc, argv)) {
        verbs_help(verb->name);
        return LONCCTL_DONE;
    }
    if (choice->json && !verb->json)
        fail(LONCCTL_USAGE, verb->name, "this verb has no JSON to print");
    int code = choice->json ? run_with_json(choice->socket, verb, argc, argv)
                            : verb->run(choice->socket, argc, argv);
    if (code == LONCCTL_USAGE)
        verbs_usage(stderr, verb->name);
    return (enum loncctl_exit)code;
}

/* --- The whole -------------------------------------------------------------------------------- */

/* Runs the verb in argv[0]; options may follow it. */
static enum loncctl_exit run_verb(struct choice *choice, int argc, char **argv)
{
    size_t name_words;
    char *word = argv[0];
    struct options options;
    const struct verb *verb = verbs_find(argv, 1, &name_words);
    if (verb != NULL && verb->run != NULL)
        return run_verb_itself(choice, verb, argc, argv);
    if (verb != NULL && verbs_take_rest(verb))
        options_start_before_words(&options, &command_line, argc, argv);
    else
        options_start(&options, &command_line, argc, argv);
    parse_options(choice, &options);
    /* The place before the first word held the verb or an option that has been parsed. */
    options.words[-1] = word;
    return run_words(choice, options.words - 1, options.word_count + 1);
}

/* Flushes standard output. If its reader has gone, nobody is left to be told, and that is no
 * failure. */
static enum loncctl_exit flush_output(enum loncctl_exit code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (errno != EPIPE)
        fail(LONCCTL_NO, "standard output", strerror(errno));
    return code;
}

int main(int argc, char **argv)
{
    struct choice choice = {.socket = "/run/lonc/control.sock"};
    struct options options;
    json_set_alloc_funcs(must_malloc, free);
    terminal_setup();
    options_start_before_words(&options, &command_line, argc, argv);
    parse_options(&choice, &options);
    if (options.word_count == 0) {
        print_help(choice.help ? stdout : stderr);
        return choice.help ? LONCCTL_DONE : LONCCTL_USAGE;
    }
    return (int)flush_output(run_verb(&choice, (int)options.word_count, options.words));
}
