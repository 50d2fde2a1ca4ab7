/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parts of the status page, in the order in which they stand on it. Each prints its HTML to a
 * stream, from the keeper's answers; what an answer lacks is left out, or the page says that it is
 * missing.
 */
#ifndef LONC_KEEPER_LONCCTL_PAGE_PAGE_PARTS_H
#define LONC_KEEPER_LONCCTL_PAGE_PAGE_PARTS_H

#include <jansson.h>
#include <stdio.h>
#include <time.h>

/* Hosts that the page shows at most. With more, a browser takes seconds; loncctl hosts lists all.
 */
#define PAGE_HOSTS_MAX 5000

/* Printed where the keeper has not answered a question. */
#define PAGE_NOT_SAID "<p>The keeper did not say."

/* page_style.c: the style sheet. */
extern const char page_style[];

/*
 * page_summary.c: the title, the verdict on the keeper and its hosts, and the time. `why` is NULL,
 * or the reason why there are no answers; then the page says what to do instead.
 */
void page_top(FILE *to, const json_t *status, const char *why, time_t written);

/* page_summary.c: the keeper's own troubles; prints nothing if there are none. */
void page_troubles(FILE *to, const json_t *troubles, time_t written);

/* page_summary.c: the numbers of this moment. */
void page_now(FILE *to, const json_t *status);

/* page_hosts.c: the hosts that want attention; prints nothing if there are none. */
void page_hosts_in_trouble(FILE *to, const json_t *hosts, time_t written);

/* page_history.c: charts of the last hour and day. */
void page_history(FILE *to, const json_t *history);

/* page_hosts.c: all hosts, as a grid and as a table. */
void page_hosts(FILE *to, const json_t *hosts);

/* page_lost.c: deferred files by age and by host, from queue_count(). */
void page_deferred(FILE *to, const json_t *queue);

/* page_lost.c: requests answered con_lost, by reason. */
void page_con_lost(FILE *to, const json_t *causes);

#endif
