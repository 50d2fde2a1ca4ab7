/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The texts that lonnet-load sends and expects. They differ from request to request only in the
 * numbers of client and request, so only the head is made anew for each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"

#define CLIENT_DIGITS 5 /* --clients and --requests have no more */
#define SERIAL_DIGITS 10

void text_make(struct pattern *pattern, const char *text)
{
    const size_t numbers = CLIENT_DIGITS + SERIAL_DIGITS + 2; /* a dash behind each */
    const char *mark = strstr(text, "%u");
    size_t before = mark != NULL ? (size_t)(mark - text) : 0;
    const char *after = mark != NULL ? mark + 2 : text;
    size_t padding = mark != NULL && options.size > numbers ? (size_t)options.size - numbers : 0;

    if (before >= sizeof(pattern->before))
        load_fail("more than %zu bytes before %%u", sizeof(pattern->before));
    memcpy(pattern->before, text, before);
    pattern->before_length = before;
    pattern->unique = mark != NULL;
    pattern->length = padding + strlen(after) + 1;
    pattern->rest = malloc(pattern->length + 1);
    if (pattern->rest == NULL)
        load_fail("no memory for %zu bytes", pattern->length);
    for (size_t i = 0; i < padding; i++)
        pattern->rest[i] = (char)('a' + i % 23);
    sprintf(pattern->rest + padding, "%s\n", after);
}

/* Writes a number of that many digits and a dash. Returns where it ends. printf would take a tenth
 * of the CPU. */
static char *put_number(char *at, uint64_t number, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    at[digits] = '-';
    return at + digits + 1;
}

size_t text_head(const struct pattern *pattern, unsigned client, uint64_t serial, char *head)
{
    char *end = head + pattern->before_length;

    if (!pattern->unique)
        return 0;
    memcpy(head, pattern->before, pattern->before_length);
    end = put_number(end, client, CLIENT_DIGITS);
    return (size_t)(put_number(end, serial, SERIAL_DIGITS) - head);
}
