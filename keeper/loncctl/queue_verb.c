/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb `queue`: its words, what the keeper has to say to it, and how it is shown.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/unix.h"
#include "keeper/loncctl/core/queue.h"
#include "keeper/loncctl/queue_verb.h"
#include "keeper/loncctl/verbs.h"
#include "keeper/loncctl/views/view.h"

/* --- Showing ---------------------------------------------------------------------------------- */

static void print_list(const json_t *list)
{
    const json_t *file;
    size_t i;
    if (json_array_size(list) > 0)
        printf("\n%9s %9s  %-8s  %s\n", "AGE", "BYTES", "STATE", "FILE");
    json_array_foreach(list, i, file)
    {
        const char *name = json_string_value(json_object_get(file, "name"));
        char *clean = display_clean(name, strlen(name)); /* names are made by others */
        printf("%9s %9lld  %-8s  %s\n", display_age(field_number(file, "age")).text,
               (long long)field_integer(file, "size"),
               json_string_value(json_object_get(file, "state")), clean);
        free(clean);
    }
    if (i == QUEUE_LISTED)
        puts("(the oldest; there may be more)");
}

/* Prints an answer and frees it. */
static enum loncctl_exit show(json_t *answer, bool as_json)
{
    const json_t *error;
    size_t i;
    const json_t *verdict = json_object_get(answer, "ok");
    const json_t *files = json_object_get(answer, "files");
    enum loncctl_exit code = verdict == NULL || json_is_true(verdict) ? LONCCTL_DONE : LONCCTL_NO;
    if (as_json) {
        json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        putchar('\n');
    } else if (verdict == NULL) {
        view_queue(answer);
        if (field_integer(answer, "strange") > 0)
            printf("files that are none of the queue's: %lld\n",
                   (long long)field_integer(answer, "strange"));
        print_list(json_object_get(answer, "list"));
    } else {
        json_array_foreach(json_object_get(answer, "errors"), i, error)
            fprintf(stderr, "%s\n", json_string_value(error));
        if (files != NULL)
            view_files(answer);
    }
    json_decref(answer);
    return code;
}

/* --- Asking ----------------------------------------------------------------------------------- */

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

static bool is_refusal(const json_t *value)
{
    return json_is_false(json_object_get(value, "ok"));
}

static enum loncctl_exit look(const char *socket, const char *config, bool json, const char *host)
{
    bool there = keeper_is_there(socket);
    json_t *status = there ? ask(socket, "status\n") : NULL;
    if (is_refusal(status))
        return show(status, json);
    json_t *hosts = there ? ask(socket, "hosts\n") : NULL;
    if (is_refusal(hosts)) {
        json_decref(status);
        return show(hosts, json);
    }
    char *folder = queue_folder(status, config);
    if (folder == NULL)
        fail(LONCCTL_NO, "queue", "there is no deferred folder");
    json_t *answer = queue_read(folder, hosts, host);
    free(folder);
    json_decref(hosts);
    json_decref(status);
    return show(answer, json);
}

static bool confirm(size_t files)
{
    char line[16] = "";
    fprintf(stderr, "Remove %zu file%s, never to be delivered? [y/N] ", files,
            files == 1 ? "" : "s");
    return fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

static enum loncctl_exit act(const char *socket, bool json, bool yes, char **words)
{
    char line[512];
    const struct queue_action *action = queue_action(words[0]);
    if (action == NULL)
        fail(LONCCTL_USAGE, words[0], "expected hold, release, requeue or delete");
    if (strpbrk(words[1], " \n") != NULL || words[1][0] == '\0')
        fail(LONCCTL_USAGE, words[1], "blanks and line feeds are not allowed");
    int n = snprintf(line, sizeof(line), "queue %s %s\n", words[0], words[1]);
    if (n < 0 || (size_t)n >= sizeof(line))
        fail(LONCCTL_USAGE, words[1], "too long");
    json_t *permission = ask(socket, line);
    const char *folder = json_string_value(json_object_get(permission, "folder"));
    if (folder == NULL)
        return show(permission, json);
    json_t *hosts = ask(socket, "hosts\n");
    if (is_refusal(hosts)) {
        json_decref(permission);
        return show(hosts, json);
    }
    json_t *answer =
        queue_do(action, folder, hosts, words[1], yes || !isatty(STDIN_FILENO) ? NULL : confirm);
    json_decref(hosts);
    json_decref(permission);
    return show(answer, json);
}

int queue_verb(const char *socket, int argc, char **argv)
{
    static const struct option known[] = {
        {"json", no_argument, NULL, 'j'},
        {"yes", no_argument, NULL, 'y'},
        {"socket", required_argument, NULL, 's'},
        {"config", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    const char *config = NULL;
    bool yes = false, json = false;
    int option;
    optind = 0; /* anew: the program has taken its own off */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'j':
            json = true;
            break;
        case 'y':
            yes = true;
            break;
        case 'c':
            config = optarg;
            break;
        case 's':
            socket = optarg;
            break;
        default:
            return LONCCTL_USAGE;
        }
    }
    int words = argc - optind;
    if (words <= 1 && (words == 0 || queue_action(argv[optind]) == NULL))
        return (int)look(socket, config, json, argv[optind]);
    if (words == 2)
        return (int)act(socket, json, yes, argv + optind);
    verbs_usage(stderr, "queue");
    return LONCCTL_USAGE;
}
