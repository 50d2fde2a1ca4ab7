/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * top's screen: totals at the top, one line for each host, then the selected host and the keys.
 * ncurses is used here and in pen.c only.
 */
#ifndef LONC_KEEPER_LONCCTL_TOP_TOPSCREEN_H
#define LONC_KEEPER_LONCCTL_TOP_TOPSCREEN_H

#include "common/attributes.h"
#include "keeper/loncctl/top/toplist.h"

/* What to show. */
struct topview {
    const struct toplist *list;
    size_t selected;   /* index in list->shown */
    size_t first;      /* index of the host on the first line; topscreen_draw() moves it so that the
                          selected host is visible */
    unsigned interval; /* seconds between updates */
    bool filtering;    /* the filter is being typed */
    const char *missing; /* why there is no answer; empty if there is one */
    const char *message; /* what the last key has led to, or empty */
};

/* Takes over the screen. Returns false if TERM is not known. */
MUST_CHECK bool topscreen_open(void);

void topscreen_draw(struct topview *view);

/* How many hosts fit on the screen. */
size_t topscreen_page(void);

/* Returns the next key of ncurses without waiting, or ERR. A change of the terminal's size has been
 * handled when it is returned as KEY_RESIZE. */
int topscreen_key(void);

/* Restores the screen. */
void topscreen_close(void);

#endif
