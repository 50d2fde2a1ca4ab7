/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncctl, the administrator's hand: it sends one line to the keeper's control socket and shows the
 * JSON value that comes back, as it is (--json) or for people.
 *
 *     loncctl [--socket PATH] [--json] status | connections HOST | reload | retry HOST|ALL
 *
 * Exit codes: 0 done; 1 the keeper says no, and why; 2 wrong usage; 3 no keeper answers.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/ask.h"
#include "keeper/loncctl/metrics.h"
#include "keeper/loncctl/page.h"

static const char help_text[] =
    "loncctl talks to lonc-keeper.\n"
    "\n"
    "usage: loncctl [--socket PATH] [--json] VERB\n"
    "\n"
    "  status           how the keeper and its hosts are\n"
    "  connections HOST the host's connections, and how they are authenticated\n"
    "  reload           read settings and tables again; what is wrong is said and changes nothing\n"
    "  retry HOST|ALL   try a host that is in trouble now\n"
    "\n"
    "  --socket PATH    the control socket (/run/lonc/control.sock)\n"
    "  --json           the keeper's answer as it is\n"
    "\n"
    "Exit codes: 0 done, 1 the keeper says no, 2 wrong usage, 3 no keeper answers.\n";

/* --- Showing ---------------------------------------------------------------------------------- */

static json_int_t integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "3 d 4 h", "12 min", "5 s": the two largest units that say something. */
static void print_duration(double seconds)
{
    long s = (long)seconds;
    if (s >= 86400)
        printf("%ld d %ld h", s / 86400, s % 86400 / 3600);
    else if (s >= 3600)
        printf("%ld h %ld min", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        printf("%ld min %ld s", s / 60, s % 60);
    else
        printf("%ld s", s);
}

static void print_trouble(const json_t *trouble)
{
    const json_t *dead_for = json_object_get(trouble, "dead_for");
    const json_t *address;
    size_t i;
    printf("  %-24s %-8s %s", json_string_value(json_object_get(trouble, "id")),
           json_string_value(json_object_get(trouble, "state")),
           json_string_value(json_object_get(trouble, "reason")));
    if (json_object_get(trouble, "detail") != NULL)
        printf(" (%s)", json_string_value(json_object_get(trouble, "detail")));
    if (dead_for != NULL) {
        fputs(", for ", stdout);
        print_duration(json_real_value(dead_for));
    }
    fputs(", next attempt in ", stdout);
    print_duration(json_real_value(json_object_get(trouble, "next_attempt_in")));
    json_array_foreach(json_object_get(trouble, "addresses"), i, address)
        printf("%s %s", i == 0 ? ", at" : "", json_string_value(address));
    putchar('\n');
}

static void print_con_lost(const json_t *causes)
{
    const char *reason;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)causes, reason, count)
        printf("  con_lost  %-18s %lld\n", reason, (long long)json_integer_value(count));
}

static void print_status(const json_t *status)
{
    const json_t *hosts = json_object_get(status, "hosts");
    printf("lonc-keeper %s, process %lld, up for ",
           json_string_value(json_object_get(status, "version")),
           (long long)integer(status, "pid"));
    print_duration(json_real_value(json_object_get(status, "up_for")));
    putchar('\n');
    if (!json_is_true(json_object_get(status, "configured")))
        puts("  NO VALID CONFIGURATION: every request is answered con_lost; see lonc-keeper "
             "--check");
    printf("  hosts     %lld: %lld healthy, %lld failing, %lld dead\n",
           (long long)integer(hosts, "total"), (long long)integer(hosts, "healthy"),
           (long long)integer(hosts, "failing"), (long long)integer(hosts, "dead"));
    printf("  requests  %lld, of which %lld got lond's reply\n",
           (long long)integer(status, "requests"), (long long)integer(status, "replies"));
    print_con_lost(json_object_get(status, "con_lost"));
    printf("  waiting   %lld queued, %lld deferred\n", (long long)integer(status, "queued"),
           (long long)integer(status, "deferred"));
    const json_t *trouble = json_object_get(hosts, "trouble");
    if (json_array_size(trouble) > 0)
        puts("\nHosts that want attention:");
    for (size_t i = 0; i < json_array_size(trouble); i++)
        print_trouble(json_array_get(trouble, i));
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "-";
}

static void print_connections(const json_t *connections)
{
    printf("%-22s %-9s %-8s %s\n", "STATE", "MODE", "TLS", "IN USE");
    for (size_t i = 0; i < json_array_size(connections); i++) {
        const json_t *connection = json_array_get(connections, i);
        printf("%-22s %-9s %-8s %s\n", text(connection, "state"), text(connection, "mode"),
               text(connection, "tls"),
               json_is_true(json_object_get(connection, "busy")) ? "yes" : "no");
    }
}

/* The verdict of a verb that does something. */
static enum loncctl_exit print_verdict(const json_t *verdict)
{
    const json_t *errors = json_object_get(verdict, "errors");
    for (size_t i = 0; i < json_array_size(errors); i++)
        fprintf(stderr, "%s\n", json_string_value(json_array_get(errors, i)));
    return json_is_true(json_object_get(verdict, "ok")) ? LONCCTL_DONE : LONCCTL_NO;
}

static enum loncctl_exit show(const json_t *value, bool as_json)
{
    bool is_verdict = json_object_get(value, "ok") != NULL;
    if (as_json) {
        json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
        return is_verdict && !json_is_true(json_object_get(value, "ok")) ? LONCCTL_NO
                                                                         : LONCCTL_DONE;
    }
    if (is_verdict)
        return print_verdict(value);
    const json_t *connections = json_object_get(value, "connections");
    if (json_is_array(connections))
        print_connections(connections);
    else
        print_status(value);
    return LONCCTL_DONE;
}

/* --- The command line ------------------------------------------------------------------------- */

struct options {
    const char *socket;
    bool json;
};

static void parse_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        switch (option) {
        case 's':
            options->socket = optarg;
            break;
        case 'j':
            options->json = true;
            break;
        case 'V':
            puts("loncctl " LONC_VERSION);
            exit(LONCCTL_DONE);
        case 'h':
            fputs(help_text, stdout);
            exit(LONCCTL_DONE);
        default:
            exit(LONCCTL_USAGE);
        }
    }
}

/* The verb and its argument as the line to send. */
static void make_line(char *line, size_t size, char **words)
{
    size_t at = 0;
    for (; *words != NULL; words++) {
        if (strpbrk(*words, " \n") != NULL)
            fail(LONCCTL_USAGE, *words, "blanks and line feeds are not allowed");
        int n = snprintf(line + at, size - at, "%s%s", at > 0 ? " " : "", *words);
        if (n < 0 || (size_t)n >= size - at - 1)
            fail(LONCCTL_USAGE, *words, "too long");
        at += (size_t)n;
    }
    line[at] = '\n';
    line[at + 1] = '\0';
}

int main(int argc, char **argv)
{
    struct options options = {.socket = "/run/lonc/control.sock"};
    char line[1024];
    parse_options(&options, argc, argv);
    if (optind == argc) {
        fputs(help_text, stderr);
        return LONCCTL_USAGE;
    }
    if (strcmp(argv[optind], "metrics") == 0)
        return loncctl_metrics(options.socket, argc - optind, argv + optind);
    if (strcmp(argv[optind], "page") == 0)
        return loncctl_page(options.socket, argc - optind, argv + optind);
    make_line(line, sizeof(line), argv + optind);
    json_t *value = ask(options.socket, line);
    enum loncctl_exit code = show(value, options.json);
    json_decref(value);
    return (int)code;
}
