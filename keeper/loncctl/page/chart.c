/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The picture is stretched to the width available (preserveAspectRatio=none). The style sheet keeps
 * the width of the lines with vector-effect. A sample is 1 wide; y goes from 0 at the top to
 * HEIGHT.
 */
#include <math.h>
#include <stdbool.h>

#include "keeper/loncctl/page/chart.h"
#include "keeper/loncctl/page/html.h"

#define HEIGHT 40

/* The range of values; all NAN if there are none. */
struct extent {
    double least, most, last; /* `least` is the smallest above 0, for a logarithm */
};

static struct extent extent_of(const struct chart *chart, const struct chart_line *line)
{
    struct extent extent = {.least = NAN, .most = NAN, .last = NAN};
    for (size_t i = 0; i < chart->samples; i++) {
        double value = line->values[i];
        if (isnan(value))
            continue;
        if (value > 0)
            extent.least = fmin(extent.least, value); /* fmin() and fmax() skip NAN */
        extent.most = fmax(extent.most, value);
        extent.last = value;
    }
    return extent;
}

/* How high a value is drawn, from 0 to 1. The smallest of a logarithmic chart stands at 0.1, so
 * that it differs from 0. */
static double level(const struct chart *chart, const struct extent *all, double value)
{
    if (!(value > 0))
        return 0;
    if (chart->logarithmic && all->most > all->least)
        return 0.1 + 0.9 * log(value / all->least) / log(all->most / all->least);
    return value / all->most;
}

/* Draws from value to value and starts anew after a gap. The "h0" makes a dot of a value between
 * two gaps, which would be invisible. */
static void put_line(FILE *to, const struct chart *chart, const struct chart_line *line,
                     const struct extent *all)
{
    fputs("<path d=\"", to);
    for (size_t i = 0; i < chart->samples; i++) {
        bool starts = i == 0 || isnan(line->values[i - 1]);
        if (!isnan(line->values[i]))
            fprintf(to, "%s%zu %.1f%s", starts ? "M" : "L", i,
                    HEIGHT * (1 - level(chart, all, line->values[i])), starts ? "h0" : "");
    }
    fputs("\"/>", to);
}

void chart_put(FILE *to, const struct chart *chart)
{
    struct extent all = {.least = NAN, .most = NAN, .last = NAN};
    html_put(to, "<figure><figcaption><b>%s</b> <span>%s%s</span>", chart->title, chart->span,
             chart->logarithmic ? ", logarithmic" : "");
    for (int i = 0; i < chart->line_count; i++) {
        struct extent extent = extent_of(chart, &chart->lines[i]);
        all.least = fmin(all.least, extent.least);
        all.most = fmax(all.most, extent.most);
        html_put(to, "<span class=\"key k%d\">%s: <b>%s</b>, at most %s</span>", i,
                 chart->lines[i].name, chart->in_words(extent.last).text,
                 chart->in_words(extent.most).text);
    }
    html_put(to,
             "</figcaption><svg viewBox=\"0 -1 %zu %d\" preserveAspectRatio=\"none\" "
             "aria-hidden=\"true\" focusable=\"false\">",
             chart->samples > 1 ? chart->samples - 1 : (size_t)1, HEIGHT + 2);
    for (int i = 0; i < chart->line_count; i++) {
        fprintf(to, "<g class=k%d>", i);
        put_line(to, chart, &chart->lines[i], &all);
        fputs("</g>", to);
    }
    fputs("</svg></figure>\n", to);
}
