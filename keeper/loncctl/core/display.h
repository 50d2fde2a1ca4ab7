/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Values as people read them: texts without anything that a terminal would obey, times and sizes
 * with units.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_DISPLAY_H
#define LONC_KEEPER_LONCCTL_CORE_DISPLAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- Members of the keeper's objects; what is missing or null is none of these --- */

const char *field_text(const json_t *object, const char *key);   /* NULL without */
double field_number(const json_t *object, const char *key);      /* NAN without */
json_int_t field_integer(const json_t *object, const char *key); /* 0 without */
bool field_true(const json_t *object, const char *key);

/* An integer, 0 where it is none, that COUNT_MAX bounds: nobody counts so far, and of that size as
 * many as a table has hosts can be added. */
#define COUNT_MAX (INT64_C(1) << 46)
json_int_t count_of(const json_t *value);

/* --- Texts --- */

/*
 * A copy in which every byte that is not part of a printable character of the locale stands as
 * \xNN, so that no name or reply from elsewhere moves a cursor or reverses a line. The caller frees
 * it.
 */
char *display_clean(const char *text, size_t length);

/* Columns that a clean text takes. */
unsigned display_width(const char *clean);

/* How many bytes of a clean text fit into so many columns. */
size_t display_fit(const char *clean, unsigned width);

/* The sign that a text was cut, of display_width(display_ellipsis()) columns. */
const char *display_ellipsis(void);

/* Prints the text cleaned, broken between words where a terminal's line ends; `indent` columns are
 * taken already, and are left empty on the lines that follow. Then a line feed. */
void display_wrapped(unsigned indent, const char *text);

/* --- Numbers, by value: `printf("%s", display_age(3).text)`; "-" for NAN --- */

struct word {
    char text[32];
};

/* Whole seconds, of an age or of the clock; 0 where they are past all sense, or none. */
long display_whole(double seconds);

struct word display_age(double seconds);     /* "3d 4h", "12min 5s", "7s" */
struct word display_latency(double seconds); /* "1.2s", "34ms", "560us" */
struct word display_size(double bytes);      /* "1.5M", as the settings have it */
struct word display_rate(double per_second); /* "0.25", "12.3", "1234", "123k" */
struct word display_count(long long count);  /* "1,234,567" */
struct word display_date(double epoch);      /* "22 Nov 14:05", local time */

#endif
