/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What standard output is: a terminal of some size, with or without color, or a file or pipe, where
 * lines may be as long as they are.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_TERMINAL_H
#define LONC_KEEPER_LONCCTL_CORE_TERMINAL_H

#include <stdbool.h>

struct terminal {
    bool present;           /* standard output is a terminal */
    bool color;             /* and may be colored: neither NO_COLOR nor TERM=dumb is set */
    bool utf8;              /* the locale's encoding is UTF-8; also without a terminal */
    unsigned width, height; /* in characters; 0 without a terminal: no bound */
};

extern struct terminal terminal;

/* Fills in `terminal` and sets the locale. Must be called before anything else. */
void terminal_setup(void);

/* What a text means, which decides its color. */
enum style { STYLE_PLAIN, STYLE_BAD, STYLE_WARNING, STYLE_NOTE, STYLE_HEADING, STYLE_FAINT };

/* The sequences that begin and end a style; empty strings without color. */
const char *terminal_start(enum style style);
const char *terminal_stop(enum style style);

#endif
