/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Size and colors of the terminal. NO_COLOR works as described at no-color.org: it counts if it is
 * set and not empty.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "keeper/loncctl/core/terminal.h"

/* The size assumed if the terminal does not tell its own, as on a serial line. */
#define WIDTH_UNKNOWN  80
#define HEIGHT_UNKNOWN 24

struct terminal terminal;

static bool wants_color(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return (no == NULL || *no == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

void terminal_setup(void)
{
    struct winsize size = {.ws_col = 0};
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C"); /* scripts read our numbers, too */
    terminal = (struct terminal){
        .present = isatty(STDOUT_FILENO) != 0,
        .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
    };
    if (!terminal.present)
        return;
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    terminal.color = wants_color();
    terminal.width = size.ws_col > 0 ? size.ws_col : WIDTH_UNKNOWN;
    terminal.height = size.ws_row > 0 ? size.ws_row : HEIGHT_UNKNOWN;
}

const char *terminal_start(enum style style)
{
    static const char *const sequences[] = {
        [STYLE_PLAIN] = "",        [STYLE_BAD] = "\033[1;31m",  [STYLE_WARNING] = "\033[33m",
        [STYLE_NOTE] = "\033[36m", [STYLE_HEADING] = "\033[1m", [STYLE_FAINT] = "\033[2m",
    };
    return terminal.color ? sequences[style] : "";
}

const char *terminal_stop(enum style style)
{
    return terminal.color && style != STYLE_PLAIN ? "\033[0m" : "";
}
