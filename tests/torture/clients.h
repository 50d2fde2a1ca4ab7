/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of world-clients share: a request, and what became of it.
 */
#ifndef LONC_TESTS_TORTURE_CLIENTS_H
#define LONC_TESTS_TORTURE_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Times are microseconds of CLOCK_MONOTONIC, so that they compare with those of the driver. */
uint64_t clients_now(void);

/* 0 to bound - 1, by the seed. */
uint64_t clients_random(uint64_t bound);

struct request {
    uint64_t id;
    const char *kind; /* a word for the account */
    char *line;       /* with its LF */
    size_t length, sent;
    const char *wanted; /* the right reply, with its LF */
    size_t wanted_length;
    bool stored_too;    /* con_delayed and con_failed are right as well */
    uint64_t connected; /* when its connection was made */
    uint64_t begun;     /* when it was begun to be written */
};

/* A request of a random kind for the host, with the next id. The line is the request's own. */
void request_make(struct request *request, const char *host);
void request_free(struct request *request);

/* The word for a reply of one line, its LF included: ok, con_lost, delayed, failed or wrong. */
const char *request_judge(const struct request *request, const char *reply, size_t length);

#endif
