/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The top of the status page: what most visitors come for.
 */
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "common/plural.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/page/html.h"
#include "keeper/loncctl/page/page_parts.h"
#include "keeper/loncctl/views/view.h"

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

static void put_verdict_on_hosts(FILE *to, const json_t *hosts, bool keeper_in_trouble)
{
    json_int_t total = field_integer(hosts, "total"), dead = field_integer(hosts, "dead");
    json_int_t failing = field_integer(hosts, "failing");
    if (dead > 0)
        html_put(to, "<p class=\"verdict d\"><b>%s of %s host%s %s dead</b> and cannot be reached.",
                 display_count(dead).text, display_count(total).text, plural((uint64_t)total),
                 dead == 1 ? "is" : "are");
    else if (failing > 0)
        html_put(to, "<p class=\"verdict f\"><b>No host is dead;</b> %s %s failing.",
                 display_count(failing).text, failing == 1 ? "is" : "are");
    else
        html_put(to, "<p class=\"verdict h\"><b>%s</b> none of %s host%s is in trouble.",
                 keeper_in_trouble ? "The hosts are well:" : "All is well:",
                 display_count(total).text, plural((uint64_t)total));
    fputs("\n", to);
}

static void put_verdict(FILE *to, const json_t *status, const char *why)
{
    const json_t *troubles = json_object_get(status, "troubles"), *trouble;
    size_t count = json_array_size(troubles), i;
    if (why != NULL) {
        html_put(to, "<p class=\"verdict d\"><b>No keeper answers:</b> %s\n", why);
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
    if (field_true(status, "configured"))
        put_verdict_on_hosts(to, json_object_get(status, "hosts"), count > 0);
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
        "<p>Written <time datetime=\"%s\">%s</time>, and again every minute. "
        "<span class=old>This page has been open for some minutes: reload it to see the current "
        "state.</span>\n",
        machine, date);
}

static void put_header(FILE *to, const json_t *status, const char *why, const char *server,
                       time_t written)
{
    html_put(to, "<header><h1>lonc on <span>%s</span></h1>\n", server);
    put_verdict(to, status, why);
    put_written(to, written);
    fputs("</header>\n<main>\n", to);
    if (why != NULL)
        fputs("<section><h2>What to do</h2><ol><li><code>systemctl status lonc-keeper</code> says "
              "whether it runs.<li><code>journalctl -u lonc-keeper -x</code> says what happened to "
              "it.<li><code>systemctl start lonc.target</code> starts everything.</ol>"
              "<p>This page shows the hosts as soon as a keeper answers.</section>\n",
              to);
}

void page_top(FILE *to, const json_t *status, const char *why, time_t written)
{
    char server[256] = "";
    gethostname(server, sizeof(server) - 1);
    put_head(to, server);
    put_header(to, status, why, server, written);
}

/* --- The keeper ------------------------------------------------------------------------------- */

void page_troubles(FILE *to, const json_t *troubles, time_t written)
{
    const json_t *trouble;
    size_t i;
    if (json_array_size(troubles) == 0)
        return;
    html_section(to, "troubles", "Trouble with the keeper itself");
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

void page_now(FILE *to, const json_t *status)
{
    const json_t *latency = json_object_get(status, "latency");
    const json_t *connections = json_object_get(status, "connections");
    json_int_t queued = field_integer(status, "queued"),
               deferred = field_integer(status, "deferred");
    json_int_t requests = field_integer(status, "requests");
    double rate = field_number(status, "rate");
    char text[120];
    html_section(to, "now", "Now");
    fputs("<dl class=tiles>\n", to);
    put_tile(to, "Requests per second", display_rate(rate).text, "in the last minute");
    snprintf(text, sizeof(text), "for half of the requests; %s for 99 %%",
             display_latency(field_number(latency, "p99")).text);
    put_tile(to, "Latency", display_latency(field_number(latency, "p50")).text, text);
    put_tile(to, "Queued", display_count(queued).text,
             queued == 1 ? "request waits for a connection" : "requests wait for a connection");
    put_tile(to, "Deferred", display_count(deferred).text,
             deferred == 1 ? "transaction waits for its host" : "transactions wait for their host");
    snprintf(text, sizeof(text), "%s busy, %s being opened",
             display_count(field_integer(connections, "busy")).text,
             display_count(field_integer(connections, "opening")).text);
    put_tile(to, "Connections",
             display_count(field_integer(connections, "busy") + field_integer(connections, "idle") +
                           field_integer(connections, "opening"))
                 .text,
             text);
    snprintf(text, sizeof(text), "of %s request%s", display_count(requests).text,
             plural((uint64_t)requests));
    put_tile(to, "No reply", display_count(view_con_lost_count(status)).text, text);
    fputs("</dl></section>\n", to);
}
