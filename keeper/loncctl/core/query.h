/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One query at the control socket: a line is sent, and a JSON value comes back, in steps. For
 * callers that watch other descriptors meanwhile; ask.h is for those that may wait.
 */
#ifndef LONC_KEEPER_LONCCTL_CORE_QUERY_H
#define LONC_KEEPER_LONCCTL_CORE_QUERY_H

#include <jansson.h>
#include <stddef.h>

#include "common/attributes.h"

/* A query in progress, or none. */
struct query {
    int fd; /* to be polled for reading; -1: no query is in progress */
    char *bytes;
    size_t length, size; /* of the answer: bytes received, and bytes allocated */
};

/*
 * Connects to the socket at `path` and sends the line, LF included; each of the two takes
 * `patience` seconds at most. Where systemd listens, connecting works even while no keeper runs.
 * Returns 0, or a negative errno, and then there is nothing to end.
 */
MUST_CHECK int query_start(struct query *query, const char *path, const char *line,
                           unsigned patience);

/* Receives what has arrived, without waiting. Returns 1 at the end of the answer, 0 if more is to
 * come, or a negative errno. */
MUST_CHECK int query_receive(struct query *query);

/* Parses a complete answer. The caller owns the value; NULL if the answer is not JSON. */
json_t *query_value(const struct query *query);

/* Closes and frees a query in any state. Does nothing if none is in progress. */
void query_end(struct query *query);

#endif
