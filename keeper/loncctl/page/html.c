/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Escaping what comes from outside.
 */
#include <stdarg.h>
#include <string.h>

#include "keeper/loncctl/page/html.h"

static void put_escaped(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        const char *entity = *text == '&'                                    ? "&amp;"
                             : *text == '<'                                  ? "&lt;"
                             : *text == '>'                                  ? "&gt;"
                             : *text == '"'                                  ? "&quot;"
                             : *text == '\''                                 ? "&#39;"
                             : (unsigned char)*text < ' ' || *text == '\x7f' ? "&#xFFFD;"
                                                                             : NULL;
        if (entity != NULL)
            fputs(entity, to);
        else
            fputc(*text, to);
    }
}

void html_put(FILE *to, const char *format, ...)
{
    va_list arguments;
    const char *text;
    va_start(arguments, format);
    for (const char *at; (at = strchr(format, '%')) != NULL; format = at) {
        fwrite(format, 1, (size_t)(at - format), to);
        at += strncmp(at, "%zu", 3) == 0 ? 3 : 2;
        switch (at[-1]) {
        case 's':
            text = va_arg(arguments, const char *);
            put_escaped(to, text != NULL ? text : "-");
            break;
        case 'd':
            fprintf(to, "%d", va_arg(arguments, int));
            break;
        case 'u':
            fprintf(to, "%zu", va_arg(arguments, size_t));
            break;
        default:
            fputc('%', to);
        }
    }
    va_end(arguments);
    fputs(format, to);
}

void html_section(FILE *to, const char *id, const char *heading)
{
    html_put(to, "<section id=\"%s\" aria-labelledby=\"%s-h\"><h2 id=\"%s-h\">%s</h2>\n", id, id,
             id, heading);
}
