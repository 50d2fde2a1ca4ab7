/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lonnet asks at lonSockCreate (lonc-protocol(7) section 1). One that cannot connect to a
 * host's socket writes a line there, and tries again once it is answered:
 *
 *     <DNS name>:<lonHostID>[:<other ids of that name>...]
 *
 * The answer is `done` when somebody listens at <lonSockDir>/<DNS name>, or a line that starts with
 * `error: ` and says why not. The old daemon made the socket itself; here `lonc-hosts sync` does,
 * which is asked for it, and those who wait for one socket wait together. Nothing else changes.
 */
#ifndef LONC_KEEPER_CLIENT_CREATE_H
#define LONC_KEEPER_CLIENT_CREATE_H

#include "common/host_name.h"
#include "keeper/core/core.h"

/* The longest line with its LF: a name, and hundreds of ids. */
#define CREATE_LINE_MAX 4096

/* Two names, and some words between. */
#define CREATE_TEXT_SIZE (2 * (HOST_NAME_MAX_LENGTH + 1) + 128)

/* Somebody who waits; embedded in the client. */
struct create_waiter {
    void (*done)(struct create_waiter *waiter, const char *answer);
    struct wanted *wanted; /* NULL: it does not wait */
    struct deadline deadline;
    TAILQ_ENTRY(create_waiter) link;
};

/* Lines so far, by their answer. */
struct create_counts {
    uint64_t done, failed;
};

struct create;

/* NULL without memory. */
struct create *create_new(struct core *core);
void create_free(struct create *create); /* nobody may wait any more; NULL is allowed */

/*
 * `missing` is called when somebody waits for a socket at which nobody listens: lonc-hosts is to be
 * asked for a sync. It is called once a second at most, and must not call create_* back.
 */
void create_on_missing_socket(struct create *create, void (*missing)(void *argument),
                              void *argument);

struct create_counts create_counts(const struct create *create);

/* Whether a client that came by this path asks for sockets. */
bool create_is_meant(const struct config *config, const char *path);

/*
 * Judges a line, with or without its LF, by the table in force. True: `text` is the path of the
 * socket. False: it is the answer, since there never will be one.
 */
bool create_judge(const struct config *config, const char *line, size_t length,
                  char text[CREATE_TEXT_SIZE]);

/*
 * Asks what a line asks. Returns the answer, good until the next call; or NULL: `waiter->done` is
 * called with it, within `create_timeout`, unless create_withdraw is called before.
 */
const char *create_ask(struct create *create, const char *line, size_t length,
                       struct create_waiter *waiter);

/* Counts a line over CREATE_LINE_MAX and returns the answer to it. */
const char *create_refuse_long(struct create *create);

void create_withdraw(struct create_waiter *waiter); /* nothing where it does not wait */

/* The keeper stops: nobody waits any longer. */
void create_stop(struct create *create);

#endif
