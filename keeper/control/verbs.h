/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What administrators may ask of the keeper, one row of a table for each verb. The verbs that show
 * something are in verbs_show.c, those that change something in verbs_act.c; control.c has the
 * socket.
 */
#ifndef LONC_KEEPER_CONTROL_VERBS_H
#define LONC_KEEPER_CONTROL_VERBS_H

#include "common/attributes.h"
#include "keeper/control/question.h"

/* How long an asker keeps its connection: for an answer, until a reload ends, or without limit. */
enum verb_stay { VERB_ANSWERS, VERB_RELOADS, VERB_FOLLOWS };
enum verb_stay verb_stay(const char *line, size_t length);

/*
 * Obeys the line, which ends in LF and must stay where it is until the answer is complete. The
 * answer is in `out` then, unless the question says that it comes otherwise. 0 or a negative errno.
 */
MUST_CHECK int verb_ask(struct question *question, const char *line, size_t length);

#endif
