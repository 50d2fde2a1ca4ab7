/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The last hour and the last day, drawn.
 */
#include <math.h>

#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/page/chart.h"
#include "keeper/loncctl/page/html.h"
#include "keeper/loncctl/page/page_parts.h"

/* Fills the line with a member of each sample. The divisor makes a rate of what was counted in a
 * span. */
static void fill_line(struct chart_line *line, const char *name, const json_t *samples, size_t from,
                      const char *key, double divisor)
{
    line->name = name;
    for (size_t i = 0; from + i + 1 < json_array_size(samples) && i < CHART_SAMPLES; i++)
        line->values[i] = field_number(json_array_get(samples, from + i), key) / divisor;
}

static struct word queued_in_words(double queued)
{
    return display_count(isnan(queued) ? 0 : (long long)queued);
}

/* Leaves out the last sample, which is still being counted and would look like a drop. */
static void put_history_of(FILE *to, const json_t *part, const char *span)
{
    static struct chart chart; /* 4 KiB */
    const json_t *samples = json_object_get(part, "samples");
    double seconds = field_number(part, "span");
    size_t count = json_array_size(samples) > 0 ? json_array_size(samples) - 1 : 0;
    size_t from = count > CHART_SAMPLES ? count - CHART_SAMPLES : 0;
    chart = (struct chart){.title = "Requests per second", .span = span, .in_words = display_rate};
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
    chart.in_words = queued_in_words;
    chart.logarithmic = false;
    chart.line_count = 1;
    fill_line(&chart.lines[0], "requests", samples, from, "queued", 1);
    chart_put(to, &chart);
}

void page_history(FILE *to, const json_t *history)
{
    html_section(to, "history", "The last hour and day");
    if (history != NULL) {
        fputs("<div class=charts>\n", to);
        put_history_of(to, json_object_get(history, "hour"), "last hour");
        put_history_of(to, json_object_get(history, "day"), "last day");
        fputs("</div>", to);
    } else {
        fputs(PAGE_NOT_SAID, to);
    }
    fputs("</section>\n", to);
}
