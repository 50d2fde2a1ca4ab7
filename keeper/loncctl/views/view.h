/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's answers for people, on standard output: one function a kind of answer (see the
 * control protocol in keeper/control/control.h). They believe nothing: what is missing in an answer
 * shows as "-".
 */
#ifndef LONC_KEEPER_LONCCTL_VIEWS_VIEW_H
#define LONC_KEEPER_LONCCTL_VIEWS_VIEW_H

#include <jansson.h>

#include "keeper/loncctl/core/display.h"
#include "keeper/loncctl/core/terminal.h"

void view_status(const json_t *status);
void view_hosts(const json_t *answer);
void view_connections(const json_t *answer);
void view_clients(const json_t *answer);
void view_config(const json_t *config);
void view_queue(const json_t *answer);
void view_reply(const json_t *answer); /* lond's reply alone, byte for byte unless to a terminal */
void view_files(const json_t *answer); /* how many files it was */
void view_event(const json_t *event);  /* one line, or more on a terminal that is narrow */

/* --- What several of them, and top, say of a host --- */

/* "healthy", "failing", "dead", with ", paused" when it is. */
struct word view_state(const json_t *host);
enum style view_state_style(const json_t *host);

/* Why it is not well, with what is known of it: "refused (detail)". The caller frees it; NULL when
 * there is nothing to say. */
char *view_reason(const json_t *host);

/* Its addresses with blanks between. The caller frees it; NULL when none is known. */
char *view_addresses(const json_t *host);

/* "dead 10, lost 3": causes of con_lost, the most frequent first. The caller frees it; NULL when
 * there was none. */
char *view_con_lost(const json_t *causes);

/* How many requests to it got con_lost, for whatever cause; those that still wait did not. */
json_int_t view_con_lost_count(const json_t *host);

/* "1.421" of "$Revision: 1.421 $", as RCS wrote it into lond; anything else as it is. */
struct word view_lond_version(const json_t *host);

#endif
