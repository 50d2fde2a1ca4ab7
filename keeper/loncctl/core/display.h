/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Values as people read them: texts without control characters, times and sizes with units.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_DISPLAY_H
#define LONC_KEEPER_LONCCTL_CORE_DISPLAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- Members of the keeper's objects, which may be missing or of another type --- */

const char *field_text(const json_t *object, const char *key);   /* or NULL */
double field_number(const json_t *object, const char *key);      /* or NAN */
json_int_t field_integer(const json_t *object, const char *key); /* or 0 */
bool field_true(const json_t *object, const char *key);

/* An integer, or 0 if the value is none, cut to +/- COUNT_MAX: nothing is counted so far, and
 * numbers of that size can be added up for all hosts of a table without an overflow. */
#define COUNT_MAX (INT64_C(1) << 46)
json_int_t count_of(const json_t *value);

/* --- Texts --- */

/*
 * Returns a copy in which every byte that is not part of a printable character of the locale is
 * replaced by \xNN, so that no name or reply from outside can move the cursor or reverse a line. A
 * character that takes no column of its own, such as a combining accent or a sign that changes the
 * direction of writing, does not count as printable. The caller frees the copy.
 */
char *display_clean(const char *text, size_t length);

/* The width of a clean text in columns of the terminal. */
unsigned display_width(const char *clean);

/* How many bytes of a clean text fit into `width` columns; whole characters only. */
size_t display_fit(const char *clean, unsigned width);

/* The mark at the end of a text that was cut: "…", or "..." where the locale has only ASCII. */
const char *display_ellipsis(void);

/* Prints the text, cleaned, and a line feed. On a terminal it is wrapped between words; `indent`
 * columns of the first line are taken already, and the following lines are indented by as many. */
void display_wrapped(unsigned indent, const char *text);

/* --- Numbers, returned by value: `printf("%s", display_age(3).text)`; "-" for NAN --- */

struct word {
    char text[32];
};

/* Whole seconds; 0 for NAN, and for what no age or date can be. */
long display_whole(double seconds);

struct word display_age(double seconds);     /* "3d 4h", "12min 5s", "7s" */
struct word display_latency(double seconds); /* "1.2s", "34ms", "560us" */
struct word display_size(double bytes);      /* "1.5M", as settings are written */
struct word display_rate(double per_second); /* "0.25", "12.3", "1234", "123k" */
struct word display_count(long long count);  /* "1,234,567" */
struct word display_date(double epoch);      /* "22 Nov 14:05", local time */

#endif
