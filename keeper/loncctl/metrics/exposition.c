/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two formats.
 */
#include <stdlib.h>
#include <string.h>

#include "keeper/loncctl/metrics/exposition.h"

/* Indexed by kind: its name in either format, and the end of its samples' names. */
static const struct {
    const char *type, *old_type, *suffix;
} kinds[] = {
    [METRIC_GAUGE] = {"gauge", "gauge", ""},
    [METRIC_COUNTER] = {"counter", "counter", "_total"},
    [METRIC_INFO] = {"info", "gauge", "_info"},
    [METRIC_SUMMARY] = {"summary", "summary", ""},
    [METRIC_HISTOGRAM] = {"histogram", "histogram", ""},
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

void exposition_family(const struct exposition *to, const char *name, enum metric_kind kind,
                       const char *help)
{
    const char *suffix = to->openmetrics ? "" : kinds[kind].suffix;
    fprintf(to->file, "# TYPE %s%s %s\n", name, suffix,
            to->openmetrics ? kinds[kind].type : kinds[kind].old_type);
    if (to->openmetrics && (ends_with(name, "_seconds") || ends_with(name, "_bytes")))
        fprintf(to->file, "# UNIT %s %s\n", name, strrchr(name, '_') + 1);
    fprintf(to->file, "# HELP %s%s %s\n", name, suffix, help);
}

const char *exposition_suffix(enum metric_kind kind)
{
    return kinds[kind].suffix;
}

static void put_label(FILE *file, const char *name, const char *value)
{
    fprintf(file, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            fputc('\\', file);
        fputc(*value == '\n' ? 'n' : *value, file);
    }
    fputc('"', file);
}

void exposition_sample(const struct exposition *to, const char *name, const char *suffix,
                       const char *const (*labels)[2])
{
    char before = '{';
    fprintf(to->file, "%s%s", name, suffix);
    for (; (*labels)[0] != NULL; labels++) {
        if ((*labels)[1] == NULL)
            continue;
        fputc(before, to->file);
        put_label(to->file, (*labels)[0], (*labels)[1]);
        before = ',';
    }
    fputs(before == ',' ? "} " : " ", to->file);
}

void exposition_format_real(double number, char *text, size_t size)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    if (strpbrk(text, ".en") == NULL)
        strncat(text, ".0", size - strlen(text) - 1);
}

void exposition_integer(const struct exposition *to, long long value)
{
    fprintf(to->file, "%lld\n", value);
}

void exposition_value(const struct exposition *to, const json_t *value)
{
    char text[40];
    if (json_is_real(value)) {
        exposition_format_real(json_real_value(value), text, sizeof(text));
        fprintf(to->file, "%s\n", text);
    } else {
        exposition_integer(to, json_is_true(value) ? 1 : (long long)json_integer_value(value));
    }
}

void exposition_end(const struct exposition *to)
{
    if (to->openmetrics)
        fputs("# EOF\n", to->file);
}
