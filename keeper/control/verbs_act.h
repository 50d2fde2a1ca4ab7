/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Verbs that change something, for root and the keeper's own user only. Each answers a question as
 * verb_ask (verbs.h) says. What they do is done by the objects that would do it anyway.
 */
#ifndef LONC_KEEPER_CONTROL_VERBS_ACT_H
#define LONC_KEEPER_CONTROL_VERBS_ACT_H

#include "keeper/control/question.h"

int verb_reload(struct question *question);
int verb_retry(struct question *question);
int verb_pause(struct question *question);
int verb_resume(struct question *question);
int verb_reconnect(struct question *question);
int verb_flush(struct question *question);
int verb_queue(struct question *question);
int verb_send(struct question *question);
int verb_defer(struct question *question);
int verb_log(struct question *question);

#endif
