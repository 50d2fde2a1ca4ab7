/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What standard output is: a terminal of some size, with or without colour, or something that takes
 * lines as long as they are.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_TERMINAL_H
#define LONC_KEEPER_LONCCTL_CORE_TERMINAL_H

#include <stdbool.h>

struct terminal {
    bool present;           /* standard output is one */
    bool colour;            /* and it is to be coloured: neither NO_COLOR nor TERM=dumb is set */
    bool utf8;              /* the locale's characters, terminal or not */
    unsigned width, height; /* in characters; 0 where there is no terminal, hence no bound */
};

extern struct terminal terminal;

/* Finds it out, and sets the locale. To be called first. */
void terminal_setup(void);

/* What a text means, for its colour. */
enum style { STYLE_PLAIN, STYLE_BAD, STYLE_WARNING, STYLE_NOTE, STYLE_HEADING, STYLE_FAINT };

/* The sequence that starts the style, and that which ends it; empty without colour. */
const char *terminal_start(enum style style);
const char *terminal_stop(enum style style);

#endif
