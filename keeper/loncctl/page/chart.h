/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small line chart as inline SVG, without axes: the shape of an hour or a day at a glance. Its
 * last and highest values stand beside it in words, also for those who cannot see it.
 */
#ifndef LONC_KEEPER_LONCCTL_PAGE_CHART_H
#define LONC_KEEPER_LONCCTL_PAGE_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "keeper/loncctl/core/display.h"

/* More samples than the keeper keeps; of more, the newest would be drawn. */
#define CHART_SAMPLES 256
#define CHART_LINES   2

struct chart_line {
    const char *name;             /* for the key */
    double values[CHART_SAMPLES]; /* oldest first; NAN leaves a gap in the line */
};

struct chart {
    const char *title;               /* "Requests per second" */
    const char *span;                /* "last hour" */
    struct word (*in_words)(double); /* how a value is written */
    size_t samples;                  /* in each line */
    int line_count;
    bool logarithmic; /* for values of several magnitudes, most of which would lie on the ground */
    struct chart_line lines[CHART_LINES];
};

/* Prints the chart as a <figure>. All lines share one scale, from 0, or from the smallest value if
 * it is logarithmic, to the largest value. */
void chart_put(FILE *to, const struct chart *chart);

#endif
