/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The status page as a whole: what stands where, and how it gets to its place. It works without
 * script and loads nothing: a browser is told to refuse both (Content-Security-Policy), should a
 * text ever get past html_put.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"
#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/queue.h"
#include "keeper/loncctl/core/textstream.h"
#include "keeper/loncctl/page/chart.h"
#include "keeper/loncctl/page/html.h"
#include "keeper/loncctl/page/page.h"
#include "keeper/loncctl/page/page_parts.h"
#include "keeper/loncctl/views/view.h"

/* Hosts with deferred transactions that are named; those with most of them. */
#define DEFERRED_HOSTS_MAX 20
/* Classes of age; the keeper has 10. */
#define AGES_MAX 32

/* What the keeper has said; NULL where it has refused to. */
struct answers {
    json_t *status, *hosts, *history, *queue;
    const char *why; /* NULL, or why there is nothing to show */
};

#define NOT_SAID "<p>The keeper did not say."

void page_section(FILE *to, const char *id, const char *heading)
{
    html_put(to, "<section id=\"%s\" aria-labelledby=\"%s-h\"><h2 id=\"%s-h\">%s</h2>\n", id, id,
             id, heading);
}

/* --- The top ---------------------------------------------------------------------------------- */

static void put_head(FILE *to, const char *server)
{
    html_put(to,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
             "style-src 'unsafe-inline'; img-src data:\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n"
             "<meta name=\"robots\" content=\"noindex\">\n"
             "<title>lonc on %s</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n",
             server);
    fputs(page_style, to);
    fputs("</style>\n</head>\n<body>\n", to);
}

/* What most visitors come for: how the keeper itself is, and how its hosts are. */
static void put_verdict_on_hosts(FILE *to, const json_t *hosts, bool in_trouble)
{
    json_int_t total = field_integer(hosts, "total"), dead = field_integer(hosts, "dead");
    if (dead > 0)
        html_put(to, "<p class=\"verdict d\"><b>%s of %s hosts %s dead</b> and cannot be reached.",
                 display_count(dead).text, display_count(total).text, dead == 1 ? "is" : "are");
    else if (field_integer(hosts, "failing") > 0)
        html_put(to, "<p class=\"verdict f\"><b>No host is dead;</b> %s %s.",
                 display_count(field_integer(hosts, "failing")).text,
                 field_integer(hosts, "failing") == 1 ? "is failing" : "are failing");
    else
        html_put(to, "<p class=\"verdict h\"><b>%s</b> no host of %s is in trouble.",
                 in_trouble ? "The hosts are well:" : "All is well:", display_count(total).text);
    fputs("\n", to);
}

static void put_verdict(FILE *to, const struct answers *answers)
{
    const json_t *troubles = json_object_get(answers->status, "troubles"), *trouble;
    size_t count = json_array_size(troubles), i;
    if (answers->why != NULL) {
        html_put(to, "<p class=\"verdict d\"><b>No keeper answers:</b> %s\n", answers->why);
        return;
    }
    if (count > 0)
        fputs("<p class=\"verdict d\"><b>The keeper itself is in trouble:</b> "
              "<a href=\"#troubles\">",
              to);
    json_array_foreach(troubles, i, trouble)
        html_put(to, i > 0 ? ", %s" : "%s", field_text(trouble, "trouble"));
    if (count > 0)
        fputs("</a>.\n", to);
    if (field_true(answers->status, "configured"))
        put_verdict_on_hosts(to, json_object_get(answers->status, "hosts"), count > 0);
    else
        fputs("<p class=\"verdict d\"><b>The configuration is not valid:</b> every request is "
              "answered con_lost. <code>lonc-keeper --check</code> says what is wrong.\n",
              to);
}

static void put_written(FILE *to, time_t written)
{
    struct tm local;
    char date[64], machine[64];
    localtime_r(&written, &local);
    strftime(date, sizeof(date), "%a %e %b %Y, %H:%M:%S %Z", &local);
    strftime(machine, sizeof(machine), "%Y-%m-%dT%H:%M:%S%z", &local);
    html_put(
        to,
        "<p>Written <time datetime=\"%s\">%s</time>, and again each minute. "
        "<span class=old>This has been open for some minutes: load it again to see the present "
        "state.</span>\n",
        machine, date);
}

static void put_header(FILE *to, const struct answers *answers, const char *server, time_t written)
{
    html_put(to, "<header><h1>lonc on <span>%s</span></h1>\n", server);
    put_verdict(to, answers);
    put_written(to, written);
    fputs("</header>\n<main>\n", to);
    if (answers->why != NULL)
        fputs("<section><h2>What to do</h2><ol><li><code>systemctl status lonc-keeper</code> says "
              "whether it runs.<li><code>journalctl -u lonc-keeper -x</code> says what happened to "
              "it.<li><code>systemctl start lonc.target</code> starts all of it.</ol>"
              "<p>This page says how the hosts are as soon as a keeper answers.</section>\n",
              to);
}

/* The keeper's own troubles; nothing where it has none. */
static void put_troubles(FILE *to, const json_t *troubles, time_t written)
{
    const json_t *trouble;
    size_t i;
    if (json_array_size(troubles) == 0)
        return;
    page_section(to, "troubles", "Trouble of the keeper itself");
    fputs("<table class=cards role=table><caption class=v>What is wrong with the keeper, what it "
          "costs, and what to do</caption><thead role=rowgroup><tr role=row>"
          "<th scope=col role=columnheader>Trouble<th scope=col role=columnheader>What is wrong"
          "<th scope=col role=columnheader>Since<th scope=col role=columnheader>What to do"
          "<tbody role=rowgroup>\n",
          to);
    json_array_foreach(troubles, i, trouble)
    {
        double lasted = field_number(trouble, "for");
        html_put(to,
                 "<tr role=row><th scope=row role=rowheader>%s<td role=cell>%s<small>%s</small>"
                 "<td role=cell>%s<small>for %s</small><td role=cell class=wide>%s\n",
                 field_text(trouble, "trouble"), field_text(trouble, "detail"),
                 field_text(trouble, "cost"), display_date((double)written - lasted).text,
                 display_age(lasted).text, field_text(trouble, "remedy"));
    }
    fputs("</table></section>\n", to);
}

static void put_tile(FILE *to, const char *name, const char *value, const char *more)
{
    html_put(to, "<div><dt>%s</dt><dd><b>%s</b> <span>%s</span></dd></div>\n", name, value, more);
}

static void put_tiles(FILE *to, const json_t *status)
{
    const json_t *latency = json_object_get(status, "latency");
    const json_t *connections = json_object_get(status, "connections");
    double rate = field_number(status, "rate");
    char text[120];
    page_section(to, "now", "Now");
    fputs("<dl class=tiles>\n", to);
    put_tile(to, "Requests a second", display_rate(rate).text, "in the last minute");
    snprintf(text, sizeof(text), "for half of them; %s for 99 %%",
             display_latency(field_number(latency, "p99")).text);
    put_tile(to, "Latency", display_latency(field_number(latency, "p50")).text, text);
    put_tile(to, "Queued", display_count(field_integer(status, "queued")).text,
             "requests wait for a connection");
    put_tile(to, "Deferred", display_count(field_integer(status, "deferred")).text,
             "transactions wait for their host");
    snprintf(text, sizeof(text), "%s busy, %s being opened",
             display_count(field_integer(connections, "busy")).text,
             display_count(field_integer(connections, "opening")).text);
    put_tile(to, "Connections",
             display_count(field_integer(connections, "busy") + field_integer(connections, "idle") +
                           field_integer(connections, "opening"))
                 .text,
             text);
    snprintf(text, sizeof(text), "of %s requests",
             display_count(field_integer(status, "requests")).text);
    put_tile(to, "No reply", display_count(view_con_lost_count(status)).text, text);
    fputs("</dl></section>\n", to);
}

/* --- History ---------------------------------------------------------------------------------- */

/* A member of each sample as a line, divided: a count of a span becomes a rate. */
static void fill_line(struct chart_line *line, const char *name, const json_t *samples, size_t from,
                      const char *key, double divisor)
{
    line->name = name;
    for (size_t i = 0; from + i + 1 < json_array_size(samples) && i < CHART_SAMPLES; i++)
        line->values[i] = field_number(json_array_get(samples, from + i), key) / divisor;
}

static struct word in_queue(double queued)
{
    return display_count(isnan(queued) ? 0 : (long long)queued);
}

/* The last sample is still being counted, and would look like a fall: it is left out. */
static void put_history_of(FILE *to, const json_t *part, const char *span)
{
    static struct chart chart; /* 4 KiB */
    const json_t *samples = json_object_get(part, "samples");
    double seconds = field_number(part, "span");
    size_t count = json_array_size(samples) > 0 ? json_array_size(samples) - 1 : 0;
    size_t from = count > CHART_SAMPLES ? count - CHART_SAMPLES : 0;
    chart = (struct chart){.title = "Requests a second", .span = span, .in_words = display_rate};
    chart.samples = count - from;
    chart.line_count = 2;
    fill_line(&chart.lines[0], "all", samples, from, "requests", seconds);
    fill_line(&chart.lines[1], "con_lost", samples, from, "con_lost", seconds);
    chart_put(to, &chart);
    chart.title = "Latency";
    chart.in_words = display_latency;
    chart.logarithmic = true;
    fill_line(&chart.lines[0], "half", samples, from, "p50", 1);
    fill_line(&chart.lines[1], "99 %", samples, from, "p99", 1);
    chart_put(to, &chart);
    chart.title = "Queue";
    chart.in_words = in_queue;
    chart.logarithmic = false;
    chart.line_count = 1;
    fill_line(&chart.lines[0], "requests", samples, from, "queued", 1);
    chart_put(to, &chart);
}

static void put_history(FILE *to, const json_t *history)
{
    page_section(to, "history", "The last hour and day");
    if (history != NULL) {
        fputs("<div class=charts>\n", to);
        put_history_of(to, json_object_get(history, "hour"), "last hour");
        put_history_of(to, json_object_get(history, "day"), "last day");
        fputs("</div>", to);
    } else {
        fputs(NOT_SAID, to);
    }
    fputs("</section>\n", to);
}

/* --- What is deferred, what was lost ---------------------------------------------------------- */

/* A row with a bar as long as its share; `class` NULL: as the others. */
static void put_bar(FILE *to, const char *name, json_int_t count, json_int_t most)
{
    html_put(to,
             "<tr><th scope=row>%s<td class=n>%s<td class=bar aria-hidden=\"true\">"
             "<i style=\"width:%d%%\"></i>\n",
             name, display_count(count).text,
             most > 0 ? (int)((100 * count + most - 1) / most) : 0);
}

static void put_ages(FILE *to, const json_t *hosts, const json_t *bounds)
{
    json_int_t ages[AGES_MAX] = {0}, most = 0;
    size_t classes = json_array_size(bounds) + 1, i;
    const json_t *host;
    char name[80];
    if (classes > AGES_MAX)
        classes = AGES_MAX;
    json_array_foreach(hosts, i, host) for (size_t c = 0; c < classes; c++) ages[c] +=
        count_of(json_array_get(json_object_get(host, "ages"), c));
    for (size_t c = 0; c < classes; c++)
        most = ages[c] > most ? ages[c] : most;
    fputs("<table class=bars><caption>Files by age</caption><thead class=v><tr><th scope=col>Age"
          "<th scope=col>Files<th><tbody>\n",
          to);
    for (size_t c = 0; c < classes; c++) {
        double low = json_number_value(json_array_get(bounds, c - 1));
        double high = json_number_value(json_array_get(bounds, c));
        /* In minutes, as qshape has them: the bounds double. */
        if (c == 0)
            snprintf(name, sizeof(name), "under %.0f min", high / 60);
        else if (c + 1 < classes)
            snprintf(name, sizeof(name), "to %.0f min", high / 60);
        else
            snprintf(name, sizeof(name), "over %.0f min", low / 60);
        put_bar(to, name, ages[c], most);
    }
    fputs("</table>\n", to);
}

static int compare_files(const void *a, const void *b)
{
    json_int_t one = field_integer(*(json_t *const *)a, "files");
    json_int_t other = field_integer(*(json_t *const *)b, "files");
    return (other > one) - (other < one);
}

static void put_deferred_hosts(FILE *to, const json_t *hosts)
{
    size_t count = json_array_size(hosts);
    json_t **sorted = must(calloc(count + 1, sizeof(json_t *)));
    for (size_t i = 0; i < count; i++)
        sorted[i] = json_array_get(hosts, i);
    qsort(sorted, count, sizeof(*sorted), compare_files);
    fputs("<div><div class=scroll tabindex=0 role=region aria-label=\"Deferred files by "
          "host\"><table>"
          "<caption>Files by host</caption><thead><tr><th scope=col>Host<th scope=col class=n>Files"
          "<th scope=col class=n>Oldest<th scope=col class=n>Held<th scope=col class=n>Rejected"
          "<th scope=col class=n>Corrupt<tbody>\n",
          to);
    for (size_t i = 0; i < count && i < DEFERRED_HOSTS_MAX; i++) {
        double oldest = field_number(sorted[i], "oldest");
        html_put(to,
                 "<tr><th scope=row>%s<td class=n>%s<td class=n>%s<td class=n>%s<td class=n>%s"
                 "<td class=n>%s\n",
                 field_text(sorted[i], "host"),
                 display_count(field_integer(sorted[i], "files")).text, display_age(oldest).text,
                 display_count(field_integer(sorted[i], "held")).text,
                 display_count(field_integer(sorted[i], "rejected")).text,
                 display_count(field_integer(sorted[i], "corrupt")).text);
    }
    fputs("</table></div>", to);
    if (count > DEFERRED_HOSTS_MAX)
        html_put(to, "<p>And %zu more hosts: <code>loncctl queue</code> lists them.\n",
                 count - DEFERRED_HOSTS_MAX);
    fputs("</div>", to);
    free(sorted);
}

static void put_deferred(FILE *to, const json_t *queue)
{
    const json_t *hosts = json_object_get(queue, "hosts");
    page_section(to, "deferred", "Deferred transactions");
    if (json_array_size(hosts) == 0) {
        fputs(hosts != NULL ? "<p>Nothing is deferred." : NOT_SAID, to);
    } else {
        fputs("<div class=pair>", to);
        put_ages(to, hosts, json_object_get(queue, "bounds"));
        put_deferred_hosts(to, hosts);
        fputs("</div>", to);
    }
    fputs("</section>\n", to);
}

static void put_lost(FILE *to, const json_t *causes)
{
    const char *reason;
    json_t *count;
    json_int_t most = 0;
    page_section(to, "lost", "Requests answered con_lost");
    json_object_foreach((json_t *)(uintptr_t)causes, reason, count) most =
        count_of(count) > most ? count_of(count) : most;
    if (json_object_size(causes) == 0)
        fputs("<p>None since the keeper started.", to);
    else
        fputs("<table class=bars><caption>By reason, since the keeper started</caption>"
              "<thead class=v><tr><th scope=col>Reason<th scope=col>Requests<th><tbody>\n",
              to);
    json_object_foreach((json_t *)(uintptr_t)causes, reason, count)
        put_bar(to, reason, count_of(count), most);
    fputs(json_object_size(causes) == 0 ? "</section>\n" : "</table></section>\n", to);
}

/* --- The whole -------------------------------------------------------------------------------- */

static void put_footer(FILE *to, const json_t *status)
{
    fputs("</main>\n<footer>", to);
    if (status != NULL)
        html_put(to,
                 "<p>lonc-keeper %s, process %d, up for %s. <code>loncctl status</code> and "
                 "<code>loncctl top</code> show the same in a terminal.",
                 field_text(status, "version"), (int)field_integer(status, "pid"),
                 display_age(field_number(status, "up_for")).text);
    fputs("</footer>\n</body>\n</html>\n", to);
}

static void put_page(FILE *to, const struct answers *answers)
{
    char server[256] = "";
    time_t written = time(NULL);
    gethostname(server, sizeof(server) - 1);
    put_head(to, server);
    put_header(to, answers, server, written);
    if (answers->why == NULL) {
        const json_t *hosts = json_object_get(answers->hosts, "hosts");
        put_troubles(to, json_object_get(answers->status, "troubles"), written);
        put_tiles(to, answers->status);
        page_trouble(to, hosts, written);
        put_history(to, answers->history);
        page_hosts(to, hosts);
        put_deferred(to, answers->queue);
        put_lost(to, json_object_get(answers->status, "con_lost"));
    }
    put_footer(to, answers->why == NULL ? answers->status : NULL);
}

/* Asks for all of it. A keeper that goes away in between has not answered; one that is older, and
 * does not know of a part, has. */
static struct answers ask_all(const char *socket)
{
    struct answers answers = {0};
    struct {
        const char *line;
        json_t **value;
    } questions[] = {{"status\n", &answers.status},
                     {"hosts\n", &answers.hosts},
                     {"history\n", &answers.history}};
    for (size_t i = 0; i < sizeof(questions) / sizeof(*questions) && answers.why == NULL; i++) {
        json_t *value = ask_or_why(socket, questions[i].line, &answers.why);
        if (json_object_get(value, "errors") == NULL)
            *questions[i].value = value;
        else
            json_decref(value);
    }
    const char *folder = json_string_value(json_object_get(answers.status, "deferred_folder"));
    if (folder != NULL)
        answers.queue = queue_read(folder, answers.hosts, NULL);
    if (answers.why == NULL && (answers.status == NULL || answers.hosts == NULL))
        answers.why = "it does not say how it is";
    return answers;
}

static void free_answers(struct answers *answers)
{
    json_decref(answers->status);
    json_decref(answers->hosts);
    json_decref(answers->history);
    json_decref(answers->queue);
}

/* Writes a draft beside the page and puts it in its place. The draft's name is of this process
 * alone: the timer's and an administrator's may be under way at once. */
static int replace_page(const char *path, const char *text, size_t length)
{
    char draft[4200];
    int n = snprintf(draft, sizeof(draft), "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof(draft))
        fail(LONCCTL_USAGE, path, "the path is too long");
    int fd = mkstemp(draft);
    if (fd < 0)
        fail(LONCCTL_NO, path, strerror(errno));
    FILE *file = fdopen(fd, "w");
    int error = file == NULL || fchmod(fd, 0644) < 0 ? errno : 0;
    if (file != NULL && error == 0 && fwrite(text, 1, length, file) != length)
        error = errno;
    if (file != NULL && fclose(file) != 0 && error == 0)
        error = errno;
    if (error == 0 && rename(draft, path) < 0)
        error = errno;
    if (error != 0) {
        unlink(draft);
        fail(LONCCTL_NO, path, strerror(error));
    }
    return LONCCTL_DONE;
}

static void say_complaint(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

/* <lonDocRoot>/lon-status/lonc.html. The host table is not needed, and may be wrong. */
static void find_page(char *path, size_t size, const char *config)
{
    struct diagnostics diagnostics = {.say = say_complaint};
    struct settings settings;
    struct loncapa loncapa;
    if (settings_load(&settings, config != NULL ? config : CONFIG_PATH, config == NULL,
                      &diagnostics) < 0 ||
        loncapa_load(&loncapa, settings.loncapa_conf, &diagnostics) < 0)
        exit(LONCCTL_NO);
    int length = snprintf(path, size, "%s/lon-status/lonc.html", loncapa.doc_root);
    if (length < 0 || (size_t)length >= size)
        fail(LONCCTL_NO, loncapa.doc_root, "lonDocRoot is too long");
    loncapa_free(&loncapa);
    settings_free(&settings);
}

int loncctl_page(const char *socket, int argc, char **argv)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    const char *config = NULL;
    char standard[4096];
    int option;
    optind = 0; /* again, from the first word on */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == '?')
            return LONCCTL_USAGE;
        config = optarg;
    }
    if (argc - optind > 1)
        fail(LONCCTL_USAGE, argv[optind + 1], "there is one page only");
    if (optind == argc)
        find_page(standard, sizeof(standard), config);
    struct answers answers = ask_all(socket);
    /* All of it first: where there is no memory, the program ends, and leaves no draft behind. */
    struct textstream page;
    textstream_open(&page);
    put_page(page.out, &answers);
    free_answers(&answers);
    char *text = textstream_close(&page);
    int code = replace_page(optind < argc ? argv[optind] : standard, text, page.length);
    free(text);
    return code;
}
