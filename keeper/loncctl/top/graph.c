/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each value is a bar of one of eight heights.
 */
#include <math.h>
#include <string.h>

#include "keeper/loncctl/top/graph.h"

#define HEIGHTS 8

void series_add(struct series *series, double value)
{
    series->values[series->count++ % SERIES_LENGTH] = (float)value;
}

/* Returns the value that many before the newest, or NAN. */
static double value_at(const struct series *series, unsigned back)
{
    if (back >= series->count || back >= SERIES_LENGTH)
        return (double)NAN;
    return (double)series->values[(series->count - 1 - back) % SERIES_LENGTH];
}

static const char *bar(double value, double highest, bool utf8)
{
    static const char *const blocks[HEIGHTS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const signs[HEIGHTS] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    if (isnan(value))
        return " ";
    int height = value > 0 ? (int)(value / highest * HEIGHTS) : 0;
    if (height > HEIGHTS - 1)
        height = HEIGHTS - 1;
    return utf8 ? blocks[height] : signs[height];
}

void graph_draw(char text[GRAPH_SIZE], const struct series *series, unsigned width, double least,
                bool utf8)
{
    double highest = least;
    char *at = text;
    for (unsigned back = 0; back < width; back++)
        if (value_at(series, back) > highest)
            highest = value_at(series, back);
    for (unsigned back = width; back-- > 0;)
        at = stpcpy(at, bar(value_at(series, back), highest, utf8));
}
