/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request of the control socket, while its verb works on it: what was asked, where the answer
 * goes, and how it comes. control.c has the connection; verbs.c says which function answers.
 */
#ifndef LONC_KEEPER_CONTROL_QUESTION_H
#define LONC_KEEPER_CONTROL_QUESTION_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/attributes.h"
#include "keeper/client/clients.h"
#include "keeper/control/reload.h"
#include "keeper/control/status.h"
#include "keeper/core/json_writer.h"
#include "keeper/deferred/deferred.h"
#include "keeper/lond/transaction.h"

/* What the verbs work on. */
struct verbs {
    struct core *core;
    const struct status *status;
    struct deferred *deferred;
    const struct clients *clients;
    struct reload *reload;
};

/* A request consists of a verb and at most this many words. */
#define VERB_WORDS 4

/* Embedded in the object that asks. */
struct question {
    const struct verbs *verbs;
    struct ucred peer;  /* who asks */
    struct buffer *out; /* where verbs write the answer: one line of JSON */

    /* Called when an answer that comes later is complete in `out`; `result` is 0 or a negative
     * errno. Never called before verb_ask has returned. */
    void (*answered)(struct question *question, int result);

    /* How the answer comes; all of these are unset if it is in `out` when verb_ask returns. */
    bool later;   /* `answered` will be called */
    bool follows; /* the answer is every event from now on */
    /* Writes the next piece of a long answer; clears `more` with the last one. 0 or a negative
     * errno. */
    int (*more)(struct question *question);

    bool asking; /* verb_ask has not returned yet */
    int result;  /* of the answer */

    char words_text[256]; /* what `words` point into */
    const char *words[VERB_WORDS];
    const char *rest; /* the command that follows the words, up to its LF; opaque */
    size_t rest_length;

    char *cursor; /* `hosts`: the id of the last host looked at */
    bool listed;  /* `hosts`: some host has been written */
    struct host *host;
    struct transaction transaction;
    bool storing; /* `defer`: the disk has it, and nothing can stop that */
    struct reload_waiter reloading;
};

/*
 * The end of an answer, which stands complete in `out`, unless `result` is a negative errno. Every
 * question comes here once, except those with `more` or `follows`. Returns `result`.
 */
int question_finish(struct question *question, int result);

/* Answers {"ok": true}, or {"ok": false, "errors": [sentence]}, and finishes the question. */
int question_succeed(struct question *question);
int question_fail(struct question *question, const char *sentence);

/* Holds the host that the first word names (hosts_hold). NULL if there is none: then the answer is
 * NO_SUCH_HOST. */
#define NO_SUCH_HOST "no such host in hosts.tab; expected a lonHostID or a DNS name"
struct host *question_hold_host(const struct question *question);

/*
 * The asker has gone. Returns true if the question may be freed. Otherwise its answer cannot be
 * stopped: the question and its `out` must stay until `answered` is called.
 */
MUST_CHECK bool question_withdraw(struct question *question);

/* Frees and wipes what the question holds, after it was answered or withdrawn. */
void question_clear(struct question *question);

#endif
