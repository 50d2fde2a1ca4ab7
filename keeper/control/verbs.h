/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What administrators may ask of the keeper, one row a verb. control.c has the socket and the
 * clients; what a verb shows comes from status.c, and what it does is done by those who would do
 * it anyway.
 */
#ifndef LONC_KEEPER_CONTROL_VERBS_H
#define LONC_KEEPER_CONTROL_VERBS_H

#include <sys/socket.h>

#include "keeper/client/clients.h"
#include "keeper/control/reload.h"
#include "keeper/control/status.h"
#include "keeper/deferred/deferred.h"
#include "keeper/lond/transaction.h"

/* What they work on. */
struct verbs {
    struct core *core;
    const struct status *status;
    struct deferred *deferred;
    const struct clients *clients;
    struct reload *reload;
};

/* A request is a verb and at most so many words. */
#define VERB_WORDS 4

/* One question; embedded in who asks. */
struct question {
    const struct verbs *verbs;
    struct ucred peer;
    /*
     * Called by verbs whose answer comes later, perhaps before verb_ask returns: the value is the
     * callee's, and NULL without memory.
     */
    void (*answer)(struct question *question, json_t *value);

    /* Set by verb_ask, where the answer is not one value at once. */
    bool later;   /* `answer` will be called */
    bool follows; /* the answer is every event from now on */
    /* Appends the next piece of a long answer; the last one clears `more`. 0 or a negative errno.
     */
    int (*more)(struct question *question, struct buffer *out);

    char words_text[256]; /* what `words` point into */
    const char *words[VERB_WORDS];
    const char *rest; /* of the line: a command that is opaque; ends in LF */
    size_t rest_length;
    char *cursor; /* `hosts`: the last id that was looked at; question_clear frees it */
    bool told;    /* and one has been told */
    struct host *host;
    struct transaction transaction;
    bool storing; /* `defer`: the disk has it */
    struct reload_waiter reloading;
};

/* How long whoever asks this stays: for an answer, for the end of a reload, or as it likes. */
enum verb_stay { VERB_ANSWERS, VERB_RELOADS, VERB_FOLLOWS };
enum verb_stay verb_stay(const char *line, size_t length);

/*
 * Obeys the line, which ends in LF and stays where it is until the answer. Returns the answer, the
 * caller's; or NULL when one of the members above says how it comes, or without memory.
 */
json_t *verb_ask(struct question *question, const char *line, size_t length);

/*
 * Whoever asked has gone. False: the answer comes all the same, and the question must stay until
 * then.
 */
bool question_withdraw(struct question *question);

/* Frees and wipes what a question has, once it is answered or withdrawn. */
void question_clear(struct question *question);

#endif
