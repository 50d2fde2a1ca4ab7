/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Printing HTML so that no text from outside can become markup.
 */
#ifndef LONC_KEEPER_LONCCTL_PAGE_HTML_H
#define LONC_KEEPER_LONCCTL_PAGE_HTML_H

#include <stdio.h>

/*
 * Like fprintf(), with the conversions %s, %d and %zu only. %s is escaped, so that it may stand
 * between tags and in a quoted attribute: `&`, `<`, `>` and both quotes become entities, control
 * characters become U+FFFD, and NULL is printed as "-".
 */
__attribute__((format(printf, 2, 3))) void html_put(FILE *to, const char *format, ...);

/* Prints the opening tag of a section and its heading; links may lead to `id`. */
void html_section(FILE *to, const char *id, const char *heading);

#endif
