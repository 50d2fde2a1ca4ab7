/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `queue`: its words, what the keeper has to say, and showing the result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/plural.h"
#include "common/unix.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/queue/queue_change.h"
#include "keeper/loncctl/queue/queue_count.h"
#include "keeper/loncctl/queue/queue_files.h"
#include "keeper/loncctl/queue_verb.h"
#include "keeper/loncctl/views/view.h"

/* What the command line has chosen. */
struct choice {
    const char *socket, *config;
    bool json, yes;
};

/* --- Showing ---------------------------------------------------------------------------------- */

static void print_files(const json_t *list)
{
    const json_t *file;
    size_t i;
    if (json_array_size(list) > 0)
        printf("\n%9s %9s  %-8s  %s\n", "AGE", "BYTES", "STATE", "FILE");
    json_array_foreach(list, i, file)
    {
        const char *name = json_string_value(json_object_get(file, "name"));
        char *clean = display_clean(name, strlen(name)); /* anybody may have made this file */
        printf("%9s %9lld  %-8s  %s\n", display_age(field_number(file, "age")).text,
               (long long)field_integer(file, "size"),
               json_string_value(json_object_get(file, "state")), clean);
        free(clean);
    }
    if (i == QUEUE_LISTED)
        puts("(the oldest; there may be more)");
}

static void print_counts(const json_t *answer)
{
    long long strange = (long long)field_integer(answer, "strange");
    view_queue(answer);
    if (strange > 0)
        printf("%lld file%s that %s not belong to the queue\n", strange, plural((uint64_t)strange),
               strange == 1 ? "does" : "do");
    print_files(json_object_get(answer, "list"));
}

static void print_outcome(const json_t *answer)
{
    const json_t *error;
    size_t i;
    json_array_foreach(json_object_get(answer, "errors"), i, error)
        fprintf(stderr, "%s\n", json_string_value(error));
    if (json_object_get(answer, "files") != NULL)
        view_files(answer);
}

/* Prints an answer and frees it. Only that to a change, or a failure, has "ok". */
static enum loncctl_exit print_answer(const struct choice *choice, json_t *answer)
{
    enum loncctl_exit code = ask_is_refusal(answer) ? LONCCTL_NO : LONCCTL_DONE;
    if (choice->json) {
        json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        putchar('\n');
    } else if (json_object_get(answer, "ok") == NULL) {
        print_counts(answer);
    } else {
        print_outcome(answer);
    }
    json_decref(answer);
    return code;
}

/* --- Looking ---------------------------------------------------------------------------------- */

static bool keeper_is_there(const char *path)
{
    struct sockaddr_un address;
    if (unix_address(&address, path) < 0)
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    return there;
}

static enum loncctl_exit show_queue(const struct choice *choice, const char *host)
{
    bool there = keeper_is_there(choice->socket);
    json_t *status = there ? ask(choice->socket, "status\n") : NULL;
    if (ask_is_refusal(status))
        return print_answer(choice, status);
    json_t *hosts = there ? ask(choice->socket, "hosts\n") : NULL;
    if (ask_is_refusal(hosts)) {
        json_decref(status);
        return print_answer(choice, hosts);
    }
    char *folder = queue_folder(status, choice->config);
    if (folder == NULL)
        fail(LONCCTL_NO, "queue", "there is no deferred folder");
    json_t *answer = queue_count(folder, hosts, host);
    free(folder);
    json_decref(hosts);
    json_decref(status);
    return print_answer(choice, answer);
}

/* --- Changing --------------------------------------------------------------------------------- */

static bool confirm(size_t files)
{
    char line[16] = "";
    fprintf(stderr, "Remove %zu file%s, never to be delivered? [y/N] ", files,
            plural((uint64_t)files));
    return fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

/* Asks the keeper whether this user may do this. Returns its answer, which has the folder if so. */
static json_t *ask_permission(const struct choice *choice, const char *action, const char *what)
{
    char line[512];
    if (strpbrk(what, " \n") != NULL || *what == '\0')
        fail(LONCCTL_USAGE, what, "blanks and line feeds are not allowed");
    int n = snprintf(line, sizeof(line), "queue %s %s\n", action, what);
    if (n < 0 || (size_t)n >= sizeof(line))
        fail(LONCCTL_USAGE, what, "too long");
    return ask(choice->socket, line);
}

static enum loncctl_exit change_queue(const struct choice *choice, char **words)
{
    const struct queue_action *action = queue_find_action(words[0]);
    if (action == NULL)
        fail(LONCCTL_USAGE, words[0], "expected hold, release, requeue or delete");
    json_t *permission = ask_permission(choice, words[0], words[1]);
    const char *folder = json_string_value(json_object_get(permission, "folder"));
    if (folder == NULL)
        return print_answer(choice, permission);
    json_t *hosts = ask(choice->socket, "hosts\n");
    if (ask_is_refusal(hosts)) {
        json_decref(permission);
        return print_answer(choice, hosts);
    }
    bool asks = !choice->yes && isatty(STDIN_FILENO);
    json_t *answer = queue_change(action, folder, hosts, words[1], asks ? confirm : NULL);
    json_decref(hosts);
    json_decref(permission);
    return print_answer(choice, answer);
}

/* --- The verb --------------------------------------------------------------------------------- */

/* --json and --socket are loncctl's, and may stand behind the verb as well. */
static const struct option_row option_rows[] = {
    {"yes", 'y', NULL, "delete files without asking"},
    {"config", 'c', "FILE", "without a keeper, read FILE to learn where the queue is"},
    {"json", 'j', NULL, NULL},
    {"socket", 's', "PATH", NULL},
};

const struct command_line queue_command_line = {
    .program = "loncctl queue",
    OPTION_ROWS(option_rows),
    .misuse = LONCCTL_USAGE,
};

int queue_verb(const char *socket, int argc, char **argv)
{
    struct choice choice = {.socket = socket};
    struct options options;
    int option;
    options_start(&options, &queue_command_line, argc, argv);
    while ((option = options_next(&options)) != OPTION_END) {
        switch (option) {
        case 'y':
            choice.yes = true;
            break;
        case 'c':
            choice.config = options.value;
            break;
        case 'j':
            choice.json = true;
            break;
        case 's':
            choice.socket = options.value;
            break;
        }
    }
    if (options.word_count == 2)
        return (int)change_queue(&choice, options.words);
    if (options.word_count == 0)
        return (int)show_queue(&choice, NULL);
    if (options.word_count == 1 && queue_find_action(options.words[0]) == NULL)
        return (int)show_queue(&choice, options.words[0]);
    return LONCCTL_USAGE;
}
