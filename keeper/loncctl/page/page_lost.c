/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was not answered by a lond: files that wait on disk, and requests that were answered
 * con_lost.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/plural.h"
#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/page/html.h"
#include "keeper/loncctl/page/page_parts.h"

/* Hosts with deferred files that are listed: those with the most. */
#define DEFERRED_HOSTS_MAX 20

/* Classes of age that are shown; queue_count() has 10. */
#define AGES_MAX 32

/* A row with a bar as long as its share of `most`. */
static void put_bar(FILE *to, const char *name, json_int_t count, json_int_t most)
{
    html_put(to,
             "<tr><th scope=row>%s<td class=n>%s<td class=bar aria-hidden=\"true\">"
             "<i style=\"width:%d%%\"></i>\n",
             name, display_count(count).text,
             most > 0 ? (int)((100 * count + most - 1) / most) : 0);
}

/* --- Deferred --------------------------------------------------------------------------------- */

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
        /* In minutes, as qshape(1) shows them. */
        if (c == 0)
            snprintf(name, sizeof(name), "under %.0f min", high / 60);
        else if (c + 1 < classes)
            snprintf(name, sizeof(name), "up to %.0f min", high / 60);
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
        html_put(to, "<p>And %zu more host%s: <code>loncctl queue</code> lists all.\n",
                 count - DEFERRED_HOSTS_MAX, plural((uint64_t)(count - DEFERRED_HOSTS_MAX)));
    fputs("</div>", to);
    free(sorted);
}

void page_deferred(FILE *to, const json_t *queue)
{
    const json_t *hosts = json_object_get(queue, "hosts");
    html_section(to, "deferred", "Deferred transactions");
    if (json_array_size(hosts) == 0) {
        fputs(hosts != NULL ? "<p>Nothing is deferred." : PAGE_NOT_SAID, to);
    } else {
        fputs("<div class=pair>", to);
        put_ages(to, hosts, json_object_get(queue, "bounds"));
        put_deferred_hosts(to, hosts);
        fputs("</div>", to);
    }
    fputs("</section>\n", to);
}

/* --- con_lost --------------------------------------------------------------------------------- */

void page_con_lost(FILE *to, const json_t *causes)
{
    const char *reason;
    json_t *count;
    json_int_t most = 0;
    html_section(to, "lost", "Requests answered con_lost");
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
