/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of verbs, and what is read off it.
 */
#include <ctype.h>
#include <string.h>

#include "keeper/loncctl/metrics/metrics.h"
#include "keeper/loncctl/page/page.h"
#include "keeper/loncctl/queue_verb.h"
#include "keeper/loncctl/top/top.h"
#include "keeper/loncctl/verbs.h"
#include "keeper/loncctl/views/view.h"

/* The order is that of the help: what one looks at first comes first. */
static const struct verb verbs[] = {
    {
        .name = "status",
        .arguments = "",
        .help = "how the keeper is, and which hosts want attention",
        .more = "One screen: version, hosts by state, requests, latency, queues, resources; and\n"
                "the hosts that are not healthy or are paused, with the reason and the next\n"
                "attempt. Latencies are those of the last five to ten minutes.\n",
        .view = view_status,
    },
    {
        .name = "hosts",
        .arguments = "[PATTERN]",
        .help = "hosts: state, connections, queue, latency, ...",
        .more = "PATTERN is a lonHostID or a DNS name, and may have *, ? and [...] as the shell\n"
                "has them (to be quoted). CON_LOST counts by cause; a + behind DEFERRED: at\n"
                "least so many.\n",
        .view = view_hosts,
    },
    {
        .name = "top",
        .arguments = "",
        .help = "hosts on the whole screen, live, trouble first",
        .more = "Rate, latency and queue with graphs of the last minute; the keys are at the\n"
                "bottom. Asks the keeper once a second, and waits for it where there is none.\n",
        .run = loncctl_top,
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
        .help = "clients: who, for which host, since when",
        .more = "The first 1,000 are shown.\n",
        .view = view_clients,
    },
    {
        .name = "queue",
        .arguments = "[HOST]",
        .help = "the deferred queue: files by host and age",
        .more = "A row for each host, most files first. Behind CORRUPT, files by age: those of\n"
                "10m are younger than ten minutes and not counted in the columns before. With\n"
                "HOST, its files too; never what is in them. --config FILE says where the queue\n"
                "is when no keeper answers.\n",
        .run = queue_verb,
        .json = true,
    },
    {
        .name = "config",
        .arguments = "",
        .help = "every setting: value, default, source, meaning",
        .view = view_config,
    },
    {
        .name = "events",
        .arguments = "",
        .help = "follow what happens, as it happens",
        .more = "One line an event; with --json one JSON object a line. Ends with 0 on an\n"
                "interrupt, and with 3 when the keeper goes.\n",
        .view = view_event,
        .streams = true,
    },
    {
        .name = "metrics",
        .arguments = "",
        .help = "the keeper's numbers, for Prometheus",
        .more = "OpenMetrics; with --text in Prometheus's older text format, which the text-file\n"
                "collector of its node exporter reads. With --http, answers HTTP requests for\n"
                "/metrics on standard input, a connection or a listening socket:\n"
                "lonc-metrics.socket starts it so.\n",
        .run = loncctl_metrics,
    },
    {
        .name = "page",
        .arguments = "[PATH]",
        .help = "write the status page",
        .more = "A page for a browser. Without PATH, lon-status/lonc.html in lonDocRoot, to\n"
                "which --config FILE leads (/etc/lonc/keeper.conf). Without a keeper the page\n"
                "says so.\n",
        .run = loncctl_page,
    },
    {
        .name = "retry",
        .arguments = "HOST|ALL",
        .changes = true,
        .help = "try a host that is in trouble now",
        .more = "Forgives the host's failures and tries it at once, without waiting for the next\n"
                "probe. A healthy host does not notice.\n",
    },
    {
        .name = "reconnect",
        .arguments = "HOST",
        .changes = true,
        .help = "close a host's connections and open new ones",
        .more = "What is in flight is finished first.\n",
    },
    {
        .name = "pause",
        .arguments = "HOST",
        .changes = true,
        .help = "queue a host's requests without sending them",
        .more = "Requests wait until `loncctl resume HOST`, and no longer than the queue's\n"
                "bounds allow (queue_timeout, queue_per_host): past those they are answered\n"
                "con_lost.\n",
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
        .help = "keep files from being delivered",
        .more = "They lie in delayed/held meanwhile. One whose delivery was under way may be\n"
                "delivered all the same, and is gone then. Says how many files it was.\n",
    },
    {
        .name = "queue release",
        .arguments = "HOST|FILE|ALL",
        .changes = true,
        .help = "let held files be delivered again",
        .more = "Says how many files it was.\n",
    },
    {
        .name = "queue requeue",
        .arguments = "HOST|FILE|ALL",
        .changes = true,
        .help = "deliver again what lond rejected",
        .more = "Says how many files it was.\n",
    },
    {
        .name = "queue delete",
        .arguments = "HOST|FILE|ALL",
        .changes = true,
        .help = "remove deferred files for good",
        .more = "Files that wait or are held; asks on a terminal, unless --yes. What is removed\n"
                "is never delivered, and stays unsent in lonnet.perm.log.\n",
    },
    {
        .name = "send",
        .arguments = "HOST COMMAND...",
        .changes = true,
        .help = "send a request to lond, and print the reply alone",
        .more = "The words of COMMAND are sent with one blank between, options included; a\n"
                "COMMAND of - is read from standard input, one line, so that nobody sees it in a\n"
                "list of processes. To a terminal, bytes that are not printable are shown as\n"
                "\\xNN.\n",
        .view = view_reply,
    },
    {
        .name = "defer",
        .arguments = "HOST COMMAND...",
        .changes = true,
        .help = "store a request until it can be delivered",
        .more = "COMMAND is as for `send`. When it is done the request is on the disk.\n",
    },
    {
        .name = "reload",
        .arguments = "",
        .changes = true,
        .help = "read settings and tables again, all or nothing",
        .more = "What is wrong in a file is said and changes nothing. Files for ssl that are of\n"
                "no use hold up nothing: what is wrong with them is a warning, and the exit code\n"
                "is 4. To have the hosts' sockets follow as well: systemctl reload lonc-keeper.\n",
    },
    {
        .name = "log level",
        .arguments = "emerg|alert|crit|err|warning|notice|info|debug",
        .changes = true,
        .help = "the least important messages that are said",
        .more = "Until the next reload, which takes log_level from keeper.conf again.\n",
    },
    {
        .name = "log transactions",
        .arguments = "on|off",
        .changes = true,
        .help = "a line of log for each request",
    },
};

#define VERBS (sizeof(verbs) / sizeof(*verbs))

/* --- Finding ---------------------------------------------------------------------------------- */

/* How many of the words are the name's, all of it; 0 when they are not. */
static size_t words_of(const char *name, char *const *words, size_t count)
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
        size_t used = words_of(verbs[i].name, words, count);
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
    }
    return any;
}

/* The longest that share a line with their help; log level's alternatives do not. */
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
