/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Metrics as text, in one of two formats: OpenMetrics 1.0, or Prometheus's older text format. They
 * differ little: OpenMetrics names the family of a counter without its _total, has UNIT lines, the
 * types info and unknown, and an end mark.
 *
 * A family is printed with exposition_family(), then each of its samples with exposition_sample()
 * and a value.
 */
#ifndef LONC_KEEPER_LONCCTL_METRICS_EXPOSITION_H
#define LONC_KEEPER_LONCCTL_METRICS_EXPOSITION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct exposition {
    FILE *file;
    bool openmetrics; /* else the older format */
};

enum metric_kind { METRIC_GAUGE, METRIC_COUNTER, METRIC_INFO, METRIC_SUMMARY, METRIC_HISTOGRAM };

/* Prints the lines that introduce a family. `name` has no _total or _info at its end. */
void exposition_family(const struct exposition *to, const char *name, enum metric_kind kind,
                       const char *help);

/* What the names of a kind's samples end in: "_total", "_info" or "". */
const char *exposition_suffix(enum metric_kind kind);

/* Labels of a sample: name and value, ended by two NULLs. One whose value is NULL is left out. */
#define LABELS(...) ((const char *const[][2]){__VA_ARGS__, {NULL, NULL}})

#define NO_LABELS LABELS({NULL, NULL})

/* Prints NAMESUFFIX{LABEL="VALUE",...} and a blank. */
void exposition_sample(const struct exposition *to, const char *name, const char *suffix,
                       const char *const (*labels)[2]);

/* Prints the value of a sample and ends its line; true is 1, and anything that is no number is 0.
 */
void exposition_value(const struct exposition *to, const json_t *value);
void exposition_integer(const struct exposition *to, long long value);

/* Writes the shortest text that reads back as the number, always with a point or an exponent:
 * OpenMetrics wants the same bound of a bucket to be written alike everywhere ("1.0", "1e-05"). */
void exposition_format_real(double number, char *text, size_t size);

/* Prints the end mark, if the format has one. */
void exposition_end(const struct exposition *to);

#endif
