/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hosts on the status page, in three forms: those in trouble with all that is known of them, a
 * grid of all hosts for the eye, and a table of all hosts to look something up. Whatever a color
 * says, a word or a sign says too.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/core/reason.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/page/html.h"
#include "keeper/loncctl/page/page_parts.h"
#include "keeper/loncctl/views/view.h"

/* With more hosts than this, the tiles of the grid have no room for names. */
#define NAMED_TILES_MAX 300
/* Of the hosts in trouble: how many are shown at first, so that the rest of the page stays near,
 * and how many are shown at all. */
#define TROUBLE_OPEN 10
#define TROUBLE_MAX  100

/* How each condition is shown; the class is one of page_style.c. */
static const struct {
    const char *word, *sign, *class, *meaning;
} looks[HOST_CONDITIONS] = {
    [HOST_HEALTHY] = {"healthy", "·", "h", "reached, or not asked yet"},
    [HOST_PAUSED] = {"paused", "=", "p",
                     "requests wait because an administrator has paused the host"},
    [HOST_FAILING] = {"failing", "!", "f", "one attempt failed; the next decides"},
    [HOST_DEAD] = {"dead", "✕", "d", "cannot be reached; requests are answered con_lost"},
};

/* "dead" or "dead, paused" */
static void put_state(FILE *to, const json_t *host)
{
    enum host_condition look = view_condition(host);
    bool paused = field_true(host, "paused");
    html_put(to, "<b class=\"state %s\"><span aria-hidden=\"true\">%s </span>%s%s</b>",
             looks[look].class, looks[look].sign, looks[look].word,
             paused && look != HOST_PAUSED ? ", paused" : "");
}

/* --- Those in trouble ------------------------------------------------------------------------- */

/* The reason in words. A word that this loncctl does not know is shown as it is. */
static const char *reason_in_words(const char *word)
{
    for (int reason = 0; word != NULL && reason < REASON_COUNT; reason++)
        if (strcmp(word, reason_word((enum reason)reason)) == 0)
            return reason_text((enum reason)reason);
    return word;
}

static void put_row_in_trouble(FILE *to, const json_t *host, time_t written)
{
    const json_t *dead_for = json_object_get(host, "dead_for");
    const json_t *next = json_object_get(host, "next_attempt_in");
    const json_t *address;
    size_t i;
    html_put(to, "<tr role=row><th scope=row role=rowheader>%s<small>%s", field_text(host, "id"),
             field_text(host, "name"));
    json_array_foreach(json_object_get(host, "addresses"), i, address)
        html_put(to, " · %s", json_string_value(address));
    fputs("</small><td role=cell>", to);
    put_state(to, host);
    if (field_text(host, "reason") != NULL)
        html_put(to, " %s", reason_in_words(field_text(host, "reason")));
    if (field_text(host, "detail") != NULL)
        html_put(to, "<small>%s</small>", field_text(host, "detail"));
    fputs("<td role=cell>", to);
    if (dead_for != NULL) {
        double seconds = json_number_value(dead_for);
        html_put(to, "%s<small>for %s</small>", display_date((double)written - seconds).text,
                 display_age(seconds).text);
    }
    if (next != NULL)
        html_put(to, "<small>next attempt within %s</small>",
                 display_age(json_number_value(next) + 1).text);
    html_put(to,
             "<td role=cell class=n data-name=Queued>%s<td role=cell class=n data-name=Deferred>%s",
             display_count(field_integer(host, "queued")).text,
             display_count(field_integer(host, "deferred")).text);
    if (json_object_get(host, "deferred_oldest") != NULL)
        html_put(to, "<small>oldest %s</small>",
                 display_age(field_number(host, "deferred_oldest")).text);
    fputs("\n", to);
}

/* The dead first, the longest dead before the others; then failing, then paused hosts. */
static int compare_trouble(const void *a, const void *b)
{
    const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;
    int difference = (int)view_condition(other) - (int)view_condition(one);
    double one_for = field_number(one, "dead_for"), other_for = field_number(other, "dead_for");
    if (difference == 0)
        difference = (other_for > one_for) - (other_for < one_for);
    if (difference == 0 && field_text(one, "id") != NULL && field_text(other, "id") != NULL)
        difference = strcmp(field_text(one, "id"), field_text(other, "id"));
    return difference;
}

/* Has roles, because a browser takes the table for none where the style sheet shows it as cards. */
static void put_table_of_trouble(FILE *to, json_t *const *trouble, size_t count, time_t written)
{
    fputs("<table class=cards role=table>"
          "<caption class=v>Hosts that are dead, failing or paused</caption>"
          "<thead role=rowgroup><tr role=row><th scope=col role=columnheader>Host"
          "<th scope=col role=columnheader>State<th scope=col role=columnheader>Since"
          "<th scope=col role=columnheader class=n>Queued"
          "<th scope=col role=columnheader class=n>Deferred<tbody role=rowgroup>\n",
          to);
    for (size_t i = 0; i < count; i++)
        put_row_in_trouble(to, trouble[i], written);
    fputs("</table>", to);
}

static void put_trouble(FILE *to, json_t *const *trouble, size_t count, time_t written)
{
    size_t shown = count < TROUBLE_MAX ? count : TROUBLE_MAX;
    size_t open = shown < TROUBLE_OPEN ? shown : TROUBLE_OPEN;
    html_section(to, "trouble", "Hosts that want attention");
    put_table_of_trouble(to, trouble, open, written);
    if (shown > open) {
        html_put(to, "<details><summary>%zu more</summary>", shown - open);
        put_table_of_trouble(to, trouble + open, shown - open, written);
        fputs("</details>", to);
    }
    if (count > shown)
        html_put(to, "<p>And %zu more: <code>loncctl hosts</code> lists all.", count - shown);
    fputs("</section>\n", to);
}

void page_hosts_in_trouble(FILE *to, const json_t *hosts, time_t written)
{
    size_t count = 0, total = json_array_size(hosts);
    json_t **trouble = must(calloc(total + 1, sizeof(json_t *)));
    for (size_t i = 0; i < total; i++)
        if (view_condition(json_array_get(hosts, i)) != HOST_HEALTHY)
            trouble[count++] = json_array_get(hosts, i);
    if (count > 0) {
        qsort(trouble, count, sizeof(json_t *), compare_trouble);
        put_trouble(to, trouble, count, written);
    }
    free(trouble);
}

/* --- All -------------------------------------------------------------------------------------- */

static void put_legend(FILE *to, const json_t *hosts)
{
    size_t count[HOST_CONDITIONS] = {0}, i;
    const json_t *host;
    json_array_foreach(hosts, i, host) count[view_condition(host)]++;
    fputs("<ul class=legend>", to);
    for (int look = HOST_CONDITIONS - 1; look >= 0; look--)
        html_put(to,
                 "<li><b class=\"state %s\"><span aria-hidden=\"true\">%s </span>%s %s</b> "
                 "<span>%s</span>",
                 looks[look].class, looks[look].sign, display_count((long long)count[look]).text,
                 looks[look].word, looks[look].meaning);
    fputs("</ul>\n", to);
}

/* One tile for each host, in the order of their ids, so that a host keeps its place. With very many
 * hosts a tile is only a sign; the name is in its label and in the table, to which it links. */
static void put_grid(FILE *to, const json_t *hosts, size_t shown)
{
    bool named = shown <= NAMED_TILES_MAX;
    html_put(to, "<ul class=\"grid %s\" aria-label=\"State of each host\">",
             named ? "named" : "dense");
    for (size_t i = 0; i < shown; i++) {
        const json_t *host = json_array_get(hosts, i);
        enum host_condition look = view_condition(host);
        const char *id = field_text(host, "id");
        if (named)
            html_put(to,
                     "<li class=%s><a href=\"#h-%s\"><span aria-hidden=\"true\">%s</span>"
                     "<span>%s</span><span class=%s>%s</span></a>\n",
                     looks[look].class, id, looks[look].sign, id,
                     look == HOST_HEALTHY ? "v" : "word", looks[look].word);
        else
            html_put(to,
                     "<li class=%s><a href=\"#h-%s\" tabindex=-1 title=\"%s: %s\" "
                     "aria-label=\"%s: %s\">%s</a>\n",
                     looks[look].class, id, id, looks[look].word, id, looks[look].word,
                     looks[look].sign);
    }
    fputs("</ul>\n", to);
}

static void put_host_row(FILE *to, const json_t *host)
{
    const json_t *latency = json_object_get(host, "latency");
    html_put(to, "<tr id=\"h-%s\"><th scope=row>%s<small>%s</small><td>", field_text(host, "id"),
             field_text(host, "id"), field_text(host, "name"));
    put_state(to, host);
    html_put(to, "<td class=n>%s<td class=n>%s",
             display_count(field_integer(host, "requests")).text,
             display_count(view_con_lost_count(host)).text);
    html_put(to, "<td class=n>%s<td class=n>%s", display_latency(field_number(latency, "p50")).text,
             display_latency(field_number(latency, "p99")).text);
    html_put(to, "<td class=n>%s<td class=n>%s%s",
             display_count(field_integer(host, "queued")).text,
             json_is_false(json_object_get(host, "deferred_exact")) ? "at least " : "",
             display_count(field_integer(host, "deferred")).text);
    html_put(to, "<td>%s<td>%s\n", view_lond_version(host).text, field_text(host, "mode"));
}

void page_hosts(FILE *to, const json_t *hosts)
{
    size_t total = json_array_size(hosts);
    size_t shown = total < PAGE_HOSTS_MAX ? total : PAGE_HOSTS_MAX;
    html_section(to, "hosts", "All hosts");
    put_legend(to, hosts);
    put_grid(to, hosts, shown);
    if (shown < total)
        html_put(to, "<p>And %zu more: <code>loncctl hosts</code> lists all.\n", total - shown);
    fputs("<details><summary>Numbers of each host</summary>"
          "<div class=scroll tabindex=0 role=region aria-label=\"Numbers of each host\"><table>"
          "<caption>Requests since the keeper started; latency in the last minutes: half of the "
          "requests, and 99 % of them, took no longer</caption>"
          "<thead><tr><th scope=col>Host<th scope=col>State<th scope=col class=n>Requests"
          "<th scope=col class=n>No reply<th scope=col class=n>Half<th scope=col class=n>99 %"
          "<th scope=col class=n>Queued<th scope=col class=n>Deferred<th scope=col>lond"
          "<th scope=col>Mode<tbody>\n",
          to);
    for (size_t i = 0; i < shown; i++)
        put_host_row(to, json_array_get(hosts, i));
    fputs("</table></div></details></section>\n", to);
}
