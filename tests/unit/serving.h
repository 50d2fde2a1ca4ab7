/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of clients and of the intake share: a keeper's loop, clients and one host, msul1,
 * at whose socket real clients connect. The host is paused, so a request for it stays in its queue
 * until a test answers for its lond. `reset_retries` is a request that the keeper answers itself.
 */
#ifndef LONC_TESTS_UNIT_SERVING_H
#define LONC_TESTS_UNIT_SERVING_H

#include "keeper/client/clients.h"
#include "keeper/host/hosts.h"
#include "keeper/host/queue.h"

/* Nothing here takes as long as this, in microseconds, unless it does not come at all. */
#define SERVING_LONG UINT64_C(5000000)

struct serving {
    struct core core;
    struct config config;
    struct hosts hosts;
    struct host *host;
    struct deferred *deferred;
    struct clients *clients;
    char folder[128]; /* the working directory; lonSockDir is `sockets` in it */
    int listener;     /* of msul1's socket */
};

extern struct serving serving;

/* For .init and .fini of a suite. */
void serving_begin(void);
void serving_end(void);

/* A connection to msul1's socket: the client's end, and the keeper's in *accepted. */
int serving_connect(int *accepted);

/* The same, given to clients_start, with `text` already written. */
int serving_client(const char *text);

void serving_write(int fd, const char *text);

/* Turns the loop until this stands at `fd`, and nothing else within the same time; takes it. */
void serving_expect(int fd, const char *text);

/* Turns the loop until the stream ends, with nothing before. */
void serving_expect_end(int fd);

/* Turns the loop until the number has become this one. */
void serving_turn_until(const size_t *number, size_t value);
void serving_turn_until_clients(size_t count);

/* Turns until there is nothing to do. */
void serving_settle(void);

#endif
