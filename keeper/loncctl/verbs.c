/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of verbs, and what is derived from it.
 */
#include <ctype.h>
#include <string.h>

#include "keeper/loncctl/metrics/metrics.h"
#include "keeper/loncctl/page/page.h"
#include "keeper/loncctl/queue_verb.h"
#include "keeper/loncctl/top/top.h"
#include "keeper/loncctl/verbs.h"
#include "keeper/loncctl/views/view.h"

/* In the order of the help: what is used first comes first. */
static const struct verb verbs[] = {
    {
        .name = "status",
        .arguments = "",
        .help = "how the keeper is, and which hosts want attention",
        .more = "One screen: version, hosts by state, requests, latency, queues and resources;\n"
                "then the hosts that are not healthy or are paused, with the reason and the\n"
                "time of the next attempt. Latencies cover the last five to ten minutes.\n",
        .view = view_status,
    },
    {
        .name = "hosts",
        .arguments = "[PATTERN]",
        .help = "hosts: state, connections, queue, latency, ...",
        .more = "PATTERN is a lonHostID or a DNS name, in which *, ? and [...] mean what they\n"
                "mean to the shell (quote them). CON_LOST counts by cause. A + after DEFERRED\n"
                "means at least that many.\n",
        .view = view_hosts,
    },
    {
        .name = "top",
        .arguments = "",
        .help = "all hosts, live, those in trouble first",
        .more = "Fills the screen: rate, latency and queue of each host, with graphs of the last\n"
                "minute. The bottom line names the keys. Asks the keeper every second, and waits\n"
                "for it while there is none.\n",
        .run = loncctl_top,
        .options = &top_command_line,
    },
    {
        .name = "connections",
        .arguments = "HOST",
        .help = "a host's connections: state, mode, TLS",
        .view = view_connections,
    },
    {
        .name = "clients",
        .arguments = "",
        .help = "clients: process, host, since when",
        .more = "Shows the first 1,000.\n",
        .view = view_clients,
    },
    {
        .name = "queue",
        .arguments = "[HOST]",
        .help = "the deferred queue: files by host and age",
        .more = "One row for each host, those with the most files first. To the right of CORRUPT,\n"
                "files by age: 10m counts those that are younger than ten minutes and not in a\n"
                "column before. With HOST, also lists its files, never what is in them.\n",
        .run = queue_verb,
        .options = &queue_command_line,
        .json = true,
    },
    {
        .name = "config",
        .arguments = "",
        .help = "all settings: value, default, source, meaning",
        .view = view_config,
    },
    {
        .name = "events",
        .arguments = "",
        .help = "follow what happens, as it happens",
        .more = "Prints each event on a line; with --json, as a JSON object. Exits with 0 when\n"
                "interrupted, and with 3 when the keeper ends.\n",
        .view = view_event,
        .streams = true,
    },
    {
        .name = "metrics",
        .arguments = "",
        .help = "numbers for Prometheus",
        .more = "Prints OpenMetrics. The older text format is for the text-file collector of\n"
                "Prometheus's node exporter. With --http, standard input is a connection or a\n"
                "listening socket; lonc-metrics.socket starts loncctl this way.\n",
        .run = loncctl_metrics,
        .options = &metrics_command_line,
    },
    {
        .name = "page",
        .arguments = "[PATH]",
        .help = "write the status page",
        .more = "It is for a browser, and by default is lon-status/lonc.html in lonDocRoot.\n"
                "Without a keeper, the page says so.\n",
        .run = loncctl_page,
        .options = &page_command_line,
    },
    {
        .name = "retry",
        .arguments = "HOST|ALL",
        .changes = true,
        .help = "try a host that is in trouble now",
        .more = "Resets the host's failures and tries it at once instead of at its next probe.\n"
                "Nothing changes for a healthy host.\n",
    },
    {
        .name = "reconnect",
        .arguments = "HOST",
        .changes = true,
        .help = "close a host's connections and open new ones",
        .more = "Requests in flight are finished first.\n",
    },
    {
        .name = "pause",
        .arguments = "HOST",
        .changes = true,
        .help = "queue a host's requests without sending them",
        .more = "Requests wait until `loncctl resume HOST`, within the bounds of the queue\n"
                "(queue_timeout, queue_per_host); past those they are answered con_lost.\n",
    },
    {
        .name = "resume",
        .arguments = "HOST",
        .changes = true,
        .help = "end a pause",
    },
    {
        .name = "flush",
        .arguments = "HOST",
        .changes = true,
        .help = "deliver a host's deferred files now",
    },
    {
        .name = "queue hold",
        .arguments = "HOST|FILE|ALL",
        .changes = true,
        .help = "keep deferred files from being delivered",
        .more = "Moves them to delayed/held and prints how many. A file that is being delivered\n"
                "at this moment may be gone instead.\n",
    },
    {
        .name = "queue release",
        .arguments = "HOST|FILE|ALL",
        .changes = true,
        .help = "let held files be delivered again",
        .more = "Prints how many.\n",
    },
    {
        .name = "queue requeue",
        .arguments = "HOST|FILE|ALL",
        .changes = true,
        .help = "deliver again what lond rejected",
        .more = "Moves rejected and corrupt files back and prints how many.\n",
    },
    {
        .name = "queue delete",
        .arguments = "HOST|FILE|ALL",
        .changes = true,
        .help = "remove deferred files for good",
        .more = "Removes waiting and held files and prints how many. Asks first on a terminal,\n"
                "unless --yes is given. A removed file is never delivered, and stays unsent in\n"
                "lonnet.perm.log.\n",
    },
    {
        .name = "send",
        .arguments = "HOST COMMAND...",
        .changes = true,
        .help = "send a request to lond and print its reply",
        .more = "The words of COMMAND are sent as they are, options included, with one blank\n"
                "between them. If COMMAND is -, one line is read from standard input, so that\n"
                "nobody sees it in a list of processes. On a terminal, bytes that are not\n"
                "printable are shown as \\xNN.\n",
        .view = view_reply,
    },
    {
        .name = "defer",
        .arguments = "HOST COMMAND...",
        .changes = true,
        .help = "store a request until it can be delivered",
        .more = "COMMAND is the same as for `send`. When loncctl exits with 0, the request is on\n"
                "disk.\n",
    },
    {
        .name = "reload",
        .arguments = "",
        .changes = true,
        .help = "read settings and tables again, all or nothing",
        .more = "Prints the mistakes in the files; if there are any, nothing changes. Mistakes in\n"
                "the files for ssl are only warnings, and the exit code is 4. To update the\n"
                "hosts' sockets as well: systemctl reload lonc-keeper.\n",
    },
    {
        .name = "log level",
        .arguments = "emerg|alert|crit|err|warning|notice|info|debug",
        .changes = true,
        .help = "set the minimum priority to log",
        .more = "Until the next reload, which reads log_level from keeper.conf again.\n",
    },
    {
        .name = "log transactions",
        .arguments = "on|off",
        .changes = true,
        .help = "log a message for each request, or stop",
        .more = "Until the next reload, which reads log_transactions from keeper.conf again.\n",
    },
};

#define VERBS (sizeof(verbs) / sizeof(*verbs))

/* --- Finding ---------------------------------------------------------------------------------- */

/* Returns how many words the name has if `words` begin with it, else 0. */
static size_t match_name(const char *name, char *const *words, size_t count)
{
    size_t used = 0;
    while (*name != '\0') {
        size_t length = strcspn(name, " ");
        if (used == count || strlen(words[used]) != length ||
            strncmp(words[used], name, length) != 0)
            return 0;
        used++;
        name += length + (name[length] == ' ');
    }
    return used;
}

const struct verb *verbs_find(char *const *words, size_t count, size_t *name_words)
{
    const struct verb *found = NULL;
    *name_words = 0;
    for (size_t i = 0; i < VERBS; i++) {
        size_t used = match_name(verbs[i].name, words, count);
        if (used > *name_words) {
            *name_words = used;
            found = &verbs[i];
        }
    }
    return found;
}

bool verbs_take_rest(const struct verb *verb)
{
    return strstr(verb->arguments, "...") != NULL;
}

bool verbs_accept(const struct verb *verb, size_t arguments)
{
    size_t least = 0, most = 0;
    for (const char *at = verb->arguments; *at != '\0'; at += strspn(at, " ")) {
        least += *at != '[';
        most++;
        at += strcspn(at, " ");
    }
    return arguments >= least && (arguments <= most || verbs_take_rest(verb));
}

/* --- Help ------------------------------------------------------------------------------------- */

static bool is_named(const struct verb *verb, const char *name)
{
    size_t length = strlen(name);
    return strncmp(verb->name, name, length) == 0 &&
           (verb->name[length] == '\0' || verb->name[length] == ' ');
}

static void print_usage(FILE *out, const struct verb *verb)
{
    fprintf(out, "usage: loncctl %s%s%s\n", verb->name, *verb->arguments != '\0' ? " " : "",
            verb->arguments);
}

bool verbs_usage(FILE *out, const char *name)
{
    bool any = false;
    for (size_t i = 0; i < VERBS; i++)
        if (is_named(&verbs[i], name)) {
            print_usage(out, &verbs[i]);
            any = true;
        }
    return any;
}

bool verbs_help(const char *name)
{
    bool any = false;
    for (size_t i = 0; i < VERBS; i++) {
        const struct verb *verb = &verbs[i];
        if (!is_named(verb, name))
            continue;
        if (any)
            putchar('\n');
        any = true;
        print_usage(stdout, verb);
        printf("\n%c%s.\n", toupper((unsigned char)*verb->help), verb->help + 1);
        if (verb->changes)
            puts("For root and the keeper's user.");
        if (verb->more != NULL)
            fputs(verb->more, stdout);
        if (verb->options != NULL && verb->options->row_count > 0) {
            putchar('\n');
            options_print_list(verb->options, stdout);
        }
    }
    return any;
}

/* The widest verb with its arguments that has its help on the same line; those of `log level` are
 * cut. */
#define SUMMARY_WIDTH 28

void verbs_summary(FILE *out, bool changes)
{
    char text[128];
    for (size_t i = 0; i < VERBS; i++) {
        const struct verb *verb = &verbs[i];
        if (verb->changes != changes)
            continue;
        snprintf(text, sizeof(text), "%s %s", verb->name, verb->arguments);
        if (strlen(text) > SUMMARY_WIDTH)
            snprintf(text, sizeof(text), "%s ...", verb->name);
        fprintf(out, "  %-*s %s\n", SUMMARY_WIDTH, text, verb->help);
    }
}

void verbs_list(FILE *out)
{
    for (size_t i = 0; i < VERBS; i++)
        fprintf(out, "%s\t%s\n", verbs[i].name, verbs[i].arguments);
}
