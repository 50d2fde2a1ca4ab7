/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lonnet's requests for sockets, which arrive at lonSockCreate (lonc-protocol(7) section 1). A
 * lonnet that cannot connect to a host's socket writes a line there, and tries again when it has
 * the answer:
 *
 *     <DNS name>:<lonHostID>[:<other ids of that name>...]
 *
 * The answer is `done` as soon as somebody listens at <lonSockDir>/<DNS name>; otherwise it is a
 * line that starts with `error: ` and says why not. The old daemon made the socket itself. Here it
 * takes a run of `lonc-hosts sync`, which those who wait have asked for through
 * create_on_missing_socket. Clients that wait for the same socket wait together.
 */
#ifndef LONC_KEEPER_CLIENT_CREATE_H
#define LONC_KEEPER_CLIENT_CREATE_H

#include "common/attributes.h"
#include "common/host_name.h"
#include "keeper/core/core.h"

/* The longest line, LF included: a name, and hundreds of ids. */
#define CREATE_LINE_MAX 4096

/* Room for two names and the words between them. */
#define CREATE_TEXT_SIZE (2 * (HOST_NAME_MAX_LENGTH + 1) + 128)

/* A client that waits for a socket; embedded in its dispatch, and zeroed at first. */
struct create_waiter {
    void (*done)(struct create_waiter *waiter, const char *answer);
    struct wanted *wanted; /* NULL while it does not wait */
    struct deadline deadline;
    TAILQ_ENTRY(create_waiter) link;
};

/* Lines so far, by their answer. */
struct create_counts {
    uint64_t done, failed;
};

struct create;

/* NULL for lack of memory. */
struct create *create_new(struct core *core);

/* Nobody may wait any more. NULL is allowed. */
void create_free(struct create *create);

/*
 * `missing` is called when somebody waits for a socket at which nobody listens, so that lonc-hosts
 * is asked for a sync. It is called once a second at most, and must not call create_* itself.
 */
void create_on_missing_socket(struct create *create, void (*missing)(void *argument),
                              void *argument);

struct create_counts create_counts(const struct create *create);

/* Whether a client that connected to this path asks for sockets. */
bool create_is_meant(const struct config *config, const char *path);

/*
 * Finds the socket that a line, with or without its LF, means by the table in force. 0, and `text`
 * is the path of the socket; or -EINVAL: there never will be such a socket, and `text` is the
 * answer.
 */
MUST_CHECK int create_find_path(const struct config *config, const char *line, size_t length,
                                char text[CREATE_TEXT_SIZE]);

/*
 * Serves a line. Returns the answer, which is valid until the next call; or NULL, and then
 * `waiter->done` is called with the answer within `create_timeout`, unless create_withdraw is
 * called before. The line is not needed once this returns.
 */
MUST_CHECK const char *create_ask(struct create *create, const char *line, size_t length,
                                  struct create_waiter *waiter);

/* Counts a line over CREATE_LINE_MAX and returns the answer to it. */
const char *create_refuse_long(struct create *create);

/* `done` will not be called any more. Does nothing if the waiter does not wait. */
void create_withdraw(struct create_waiter *waiter);

/* The keeper stops: whoever waits is answered now. */
void create_stop(struct create *create);

#endif
