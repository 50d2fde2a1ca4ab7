/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Formats and counts diagnostics. Where they go is decided by the function `say`: with --check to a
 * terminal, in a reload to the journal.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/diagnostics.h"

/* Room for the longest path and a reason. Longer texts are cut. */
#define TEXT_SIZE (PATH_MAX + 1024)

static void mask_unprintable(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

/* Returns the length of what was written. TEXT_SIZE has room for any path that the kernel allows.
 */
static size_t write_place(char text[TEXT_SIZE], const char *file, unsigned line)
{
    if (line == 0)
        snprintf(text, TEXT_SIZE, "%.*s: ", PATH_MAX, file);
    else
        snprintf(text, TEXT_SIZE, "%.*s:%u: ", PATH_MAX, file, line);
    return strlen(text);
}

void diagnostics_add(struct diagnostics *to, const char *file, unsigned line, const char *format,
                     ...)
{
    to->count++;
    if (to->count > DIAGNOSTICS_REPORTED)
        return;

    char text[TEXT_SIZE];
    size_t length = write_place(text, file, line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof(text) - length, format, arguments);
    va_end(arguments);

    mask_unprintable(text);
    if (to->count == 1)
        snprintf(to->first, sizeof(to->first), "%.*s", DIAGNOSTIC_FIRST_SIZE - 1, text);
    to->say(to->argument, text);
}
