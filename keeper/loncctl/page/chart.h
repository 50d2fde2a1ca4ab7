/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small line chart as inline SVG, without axes: the shape of an hour or a day at a glance. What
 * it shows stands in words beside it, for who cannot see it.
 */
#ifndef LONC_KEEPER_LONCCTL_PAGE_CHART_H
#define LONC_KEEPER_LONCCTL_PAGE_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "keeper/loncctl/core/display.h"

/* More samples than the keeper keeps of anything; the newest are drawn. */
#define CHART_SAMPLES 256
#define CHART_LINES   2

struct chart_line {
    const char *name;             /* what it is, in words */
    double values[CHART_SAMPLES]; /* oldest first; NAN: there is none, the line has a gap */
};

struct chart {
    const char *title;               /* "Requests a second" */
    const char *span;                /* "last hour" */
    struct word (*in_words)(double); /* its values */
    size_t samples;                  /* of each line */
    int line_count;
    bool logarithmic; /* else a few large values make a line of all others */
    struct chart_line lines[CHART_LINES];
};

/* Writes it as a <figure>. All lines have one scale, which ends at the largest value and begins at
 * 0 or, logarithmic, at the smallest. */
void chart_put(FILE *to, const struct chart *chart);

#endif
