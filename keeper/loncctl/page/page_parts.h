/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of the status page share.
 */
#ifndef LONC_KEEPER_LONCCTL_PAGE_PAGE_PARTS_H
#define LONC_KEEPER_LONCCTL_PAGE_PAGE_PARTS_H

#include <jansson.h>
#include <stdio.h>
#include <time.h>

/* A browser takes seconds for a page with more hosts; loncctl hosts shows them all. */
#define PAGE_HOSTS_MAX 5000

extern const char page_style[];

/* The section's opening tag and heading; `id` names it for links. */
void page_section(FILE *to, const char *id, const char *heading);

/* The hosts that want attention, at `written`; nothing where none does. */
void page_trouble(FILE *to, const json_t *hosts, time_t written);

/* All hosts: the grid, and a table with more of each. */
void page_hosts(FILE *to, const json_t *hosts);

#endif
