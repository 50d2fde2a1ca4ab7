/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's answers for people, printed on standard output: one function for each kind of answer
 * (keeper/control/control.h describes the protocol). They rely on nothing: what is missing in an
 * answer, or of another type, is shown as "-".
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
void view_reply(const json_t *answer); /* only lond's reply; byte for byte unless on a
                                          terminal */
void view_files(const json_t *answer); /* how many files were changed */
void view_event(const json_t *event);  /* one line, wrapped on a terminal */

/* --- Parts that several views, top and the status page share --- */

/* How well a host is, from best to worst. */
enum host_condition { HOST_HEALTHY, HOST_PAUSED, HOST_FAILING, HOST_DEAD, HOST_CONDITIONS };

/* A host that is failing or dead counts as such even if it is paused as well. */
enum host_condition view_condition(const json_t *host);

/* "healthy", "failing" or "dead", with ", paused" if the host is. */
struct word view_state(const json_t *host);
enum style view_state_style(const json_t *host);

/* Why the host is not healthy: "refused (detail)". The caller frees it; NULL if there is no
 * reason. */
char *view_reason(const json_t *host);

/* The host's addresses, separated by blanks. The caller frees it; NULL if none is known. */
char *view_addresses(const json_t *host);

/* Causes of con_lost, the most frequent first: "dead 10, lost 3". The caller frees it; NULL if
 * there was none. */
char *view_con_lost(const json_t *causes);

/* How many requests to the host were answered con_lost, whatever the cause. Requests that still
 * wait are not among them. */
json_int_t view_con_lost_count(const json_t *host);

/* lond's version: "1.421" for "$Revision: 1.421 $", as RCS wrote it; anything else as it is. */
struct word view_lond_version(const json_t *host);

#endif
