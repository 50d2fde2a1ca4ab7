/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Texts and numbers for people. The locale is set by terminal_setup().
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/terminal.h"

/* --- Members ---------------------------------------------------------------------------------- */

const char *field_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

double field_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

json_int_t count_of(const json_t *value)
{
    json_int_t number = json_integer_value(value);
    return number > COUNT_MAX ? COUNT_MAX : number < -COUNT_MAX ? -COUNT_MAX : number;
}

json_int_t field_integer(const json_t *object, const char *key)
{
    return count_of(json_object_get(object, key));
}

bool field_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* --- Texts ------------------------------------------------------------------------------------ */

/* Returns the length in bytes of the first character. Its width in columns is 0 if it must not be
 * printed. */
static size_t next_character(const char *text, size_t length, unsigned *width)
{
    wchar_t wide;
    mbstate_t state = {0};
    unsigned char byte = (unsigned char)*text;
    *width = byte >= 0x20 && byte < 0x7f;
    if (!terminal.utf8 || byte < 0x80)
        return 1;
    size_t n = mbrtowc(&wide, text, length, &state);
    if (n == 0 || n > length)
        return 1;
    int columns = wcwidth(wide);
    *width = columns > 0 ? (unsigned)columns : 0;
    return n;
}

char *display_clean(const char *text, size_t length)
{
    char *clean = must(malloc(4 * length + 1)), *out = clean;
    unsigned width;
    while (length > 0) {
        size_t n = next_character(text, length, &width);
        if (width > 0)
            out = mempcpy(out, text, n);
        for (size_t i = 0; width == 0 && i < n; i++)
            out += sprintf(out, "\\x%02x", (unsigned char)text[i]);
        text += n;
        length -= n;
    }
    *out = '\0';
    return clean;
}

size_t display_fit(const char *clean, unsigned width)
{
    size_t length = strlen(clean), at = 0;
    unsigned columns;
    while (at < length) {
        size_t n = next_character(clean + at, length - at, &columns);
        if (columns > width)
            break;
        width -= columns;
        at += n;
    }
    return at;
}

unsigned display_width(const char *clean)
{
    size_t length = strlen(clean);
    unsigned total = 0, columns;
    for (size_t at = 0; at < length; total += columns)
        at += next_character(clean + at, length - at, &columns);
    return total;
}

const char *display_ellipsis(void)
{
    return terminal.utf8 ? "…" : "...";
}

/* How many bytes to print on a line of `room` columns: all that is left, or up to the last blank
 * that fits, or what fits of a word longer than a line. */
static size_t line_length(const char *clean, unsigned room)
{
    size_t fits = display_fit(clean, room);
    if (clean[fits] == '\0' || clean[fits] == ' ')
        return fits;
    const char *blank = memrchr(clean, ' ', fits);
    return blank != NULL && blank > clean ? (size_t)(blank - clean) : fits;
}

void display_wrapped(unsigned indent, const char *text)
{
    char *clean = display_clean(text, strlen(text));
    const char *rest = clean;
    if (terminal.width <= indent + 1) {
        puts(clean);
        free(clean);
        return;
    }
    for (;;) {
        size_t length = line_length(rest, terminal.width - indent);
        printf("%.*s\n", (int)length, rest);
        rest += length + strspn(rest + length, " ");
        if (*rest == '\0' || length == 0)
            break;
        printf("%*s", (int)indent, "");
    }
    free(clean);
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static struct word two_units(long large, const char *large_unit, long small, const char *small_unit)
{
    struct word word;
    snprintf(word.text, sizeof(word.text), "%ld%s %ld%s", large, large_unit, small, small_unit);
    return word;
}

static struct word unknown(void)
{
    return (struct word){.text = "-"};
}

long display_whole(double seconds)
{
    return seconds > 0 && seconds < 1e12 ? (long)seconds : 0;
}

struct word display_age(double seconds)
{
    struct word word;
    if (isnan(seconds))
        return unknown();
    long s = display_whole(seconds);
    if (s >= 86400)
        return two_units(s / 86400, "d", s % 86400 / 3600, "h");
    if (s >= 3600)
        return two_units(s / 3600, "h", s % 3600 / 60, "min");
    if (s >= 60)
        return two_units(s / 60, "min", s % 60, "s");
    snprintf(word.text, sizeof(word.text), "%lds", s);
    return word;
}

/* Decimals that leave three digits: 1.23, 12.3, 123; but 1234. */
static int decimals(double value)
{
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

struct word display_latency(double seconds)
{
    struct word word;
    if (isnan(seconds))
        return unknown();
    double us = seconds * 1e6;
    if (us < 999.5)
        snprintf(word.text, sizeof(word.text), "%.0fus", us);
    else if (us < 999500)
        snprintf(word.text, sizeof(word.text), "%.*fms", decimals(us / 1e3), us / 1e3);
    else
        snprintf(word.text, sizeof(word.text), "%.*fs", decimals(seconds), seconds);
    return word;
}

struct word display_size(double bytes)
{
    static const char units[] = {' ', 'k', 'M', 'G', 'T'};
    struct word word;
    size_t unit = 0;
    if (isnan(bytes))
        return unknown();
    for (; bytes >= 1000 && unit + 1 < sizeof(units); unit++)
        bytes /= 1024;
    if (unit == 0)
        snprintf(word.text, sizeof(word.text), "%.0f", bytes);
    else
        snprintf(word.text, sizeof(word.text), "%.*f%c", bytes < 9.95 ? 1 : 0, bytes, units[unit]);
    return word;
}

struct word display_rate(double per_second)
{
    struct word word;
    if (isnan(per_second))
        return unknown();
    if (per_second >= 99999.5)
        snprintf(word.text, sizeof(word.text), "%.0fk", per_second / 1e3);
    else
        snprintf(word.text, sizeof(word.text), "%.*f", per_second == 0 ? 0 : decimals(per_second),
                 per_second);
    return word;
}

struct word display_count(long long count)
{
    struct word word = {0};
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%lld", count);
    char *to = word.text;
    for (int i = 0; i < n; i++) {
        if (i > 0 && digits[i - 1] != '-' && (n - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return word;
}

struct word display_date(double epoch)
{
    struct word word;
    struct tm local;
    time_t time = display_whole(epoch);
    if (time == 0)
        return unknown();
    strftime(word.text, sizeof(word.text), "%e %b %H:%M", localtime_r(&time, &local));
    return word;
}
