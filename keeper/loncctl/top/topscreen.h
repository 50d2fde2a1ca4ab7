/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * top's screen: totals above, a line a host, the selected host and the keys below. ncurses is used
 * here, and nowhere else.
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_TOPSCREEN_H
#define LONC_KEEPER_LONCCTL_TOP_TOPSCREEN_H

#include "keeper/loncctl/top/toplist.h"

/* What there is to show. */
struct topview {
    const struct toplist *list;
    size_t selected;   /* in list->shown */
    size_t first;      /* the host of the first line; kept so that the selected one is to be seen */
    unsigned interval; /* seconds */
    bool filtering;    /* the filter is being typed */
    const char *missing; /* why there is no answer; empty when there is one */
    const char *message; /* what the last key came to; empty: nothing */
};

/* Takes the screen over. False when the terminal cannot do what is needed. */
bool topscreen_open(void);
void topscreen_draw(struct topview *view);

/* Lines of hosts that fit. */
size_t topscreen_page(void);

/* The next key without waiting, as ncurses has it; ERR when there is none. A change of size is seen
 * to, and is KEY_RESIZE. */
int topscreen_key(void);

/* Gives the screen back as it was. */
void topscreen_close(void);

#endif
