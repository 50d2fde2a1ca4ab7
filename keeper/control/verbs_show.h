/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verbs that show something and change nothing. Each answers a question as verb_ask (verbs.h) says.
 */
#ifndef LONC_KEEPER_CONTROL_VERBS_SHOW_H
#define LONC_KEEPER_CONTROL_VERBS_SHOW_H

#include "keeper/control/question.h"

int verb_status(struct question *question);
int verb_hosts(struct question *question);
int verb_connections(struct question *question);
int verb_clients(struct question *question);
int verb_config(struct question *question);
int verb_history(struct question *question);
int verb_histograms(struct question *question);
int verb_events(struct question *question);

#endif
