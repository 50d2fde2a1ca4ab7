/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of the status page share.
 */
#ifndef LONC_LONCCTL_PAGE_PARTS_H
#define LONC_LONCCTL_PAGE_PARTS_H

#include <jansson.h>
#include <stdio.h>
#include <time.h>

/* A browser takes seconds for a page with more hosts; loncctl hosts shows them all. */
#define PAGE_HOSTS_MAX 5000

extern const char page_style[];

/* A member's text; NULL where it has none. */
static inline const char *page_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static inline json_int_t page_integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* A member's number; NAN where it has none, as there is no latency without requests. */
double page_number(const json_t *object, const char *key);

/* The section's opening tag and heading; `id` names it for links. */
void page_section(FILE *to, const char *id, const char *heading);

/* The hosts that want attention, at `written`; nothing where none does. */
void page_trouble(FILE *to, const json_t *hosts, time_t written);

/* All hosts: the grid, and a table with more of each. */
void page_hosts(FILE *to, const json_t *hosts);

#endif
