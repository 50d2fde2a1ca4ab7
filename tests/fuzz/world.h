/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A keeper without a process: loop, hosts, clients and deferred queue as keeper.c puts them
 * together, on a clock that goes on only when a target says so. TCP is a socket pair, whose far end
 * is a peer (peer.h). With it a target looks at everything between a client's byte and lond's.
 */
#ifndef LONC_TESTS_FUZZ_WORLD_H
#define LONC_TESTS_FUZZ_WORLD_H

#include "keeper/client/clients.h"
#include "keeper/deferred/deferred.h"
#include "keeper/host/hosts.h"

#define WORLD_OWN "annarborl1"

/* Small, so that inputs of a few bytes meet them. */
#define WORLD_LINE_LIMIT 2048
#define WORLD_BUFFERS    (48 * 1024)

struct world {
    struct core core;
    struct hosts hosts;
    struct config config;
    struct deferred *deferred;
    struct clients *clients;
    bool deferring;      /* set by a target that wants the deferred queue to run */
    uint64_t clock;      /* microseconds */
    const char *sockets; /* lonSockDir */
};

extern struct world world;

/*
 * Ready for an input: msul1 and msul2 are in the table, at one DNS name, healthy and without
 * connections. The first call makes all there is.
 */
void world_begin(void);

/* Lets the loop and the peers do all that there is to do. */
void world_turn(void);

/* All is done that there is to do; then so much time goes by, and what was due by then happens. */
void world_pass(uint64_t microseconds);

/* The table has so many of the two hosts from now on; as a reload. */
void world_table(size_t hosts);

/* The end of an input: what is in flight is given up, hosts go, and CHECKs that nothing is left. */
void world_end(void);

/* A listener in lonSockDir, with a client connected to it: both ends, the client's in *near. */
int world_connect(const char *name, int *near);

#endif
