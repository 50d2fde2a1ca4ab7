/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attempts to open a connection: when one is needed, when health allows it, and what it means for
 * the host how it ends (keeper/README.md rule 5).
 */
#ifndef LONC_KEEPER_HOST_ATTEMPTS_H
#define LONC_KEEPER_HOST_ATTEMPTS_H

#include "keeper/host/host_state.h"

/* The rules of health, as the settings have them. */
struct health_rules attempts_rules(const struct core *core);

/* Begins for a new host, which is healthy. */
void attempts_init(struct host *host);

/* Nothing is held against the host any more, as when it is at another address. */
void attempts_forget(struct host *host);

/*
 * Starts as many attempts as are needed and allowed; where one is not allowed yet, a timer is set.
 * To be called after whatever may change that: a request that waits, a connection gone, a health
 * that has changed.
 */
void attempts_start(struct host *host);

/* The host may be gone, though no attempt has failed: has one fresh handshake find out. */
void attempts_probe(struct host *host);

/* A connection became idle, by its handshake (`opened`) or by a reply: the host is well. */
void attempts_succeeded(struct host *host, bool opened);

/* An attempt that was begun in `round` of the host's health has failed, for `reason`; `detail` says
 * more or is NULL. The host may be dead then, and its queue answered. */
void attempts_failed(struct host *host, unsigned round, enum reason reason, const char *detail);

#endif
