/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing HTML so that no text from outside can become markup.
 */
#ifndef LONC_KEEPER_LONCCTL_PAGE_HTML_H
#define LONC_KEEPER_LONCCTL_PAGE_HTML_H

#include <stdio.h>

/*
 * As fprintf, with %s, %d and %zu only, and %s escaped, for between tags and in quotes: `&`, `<`,
 * `>` and both quotes become entities, control characters U+FFFD, and NULL is "-".
 */
__attribute__((format(printf, 2, 3))) void html_put(FILE *to, const char *format, ...);

#endif
