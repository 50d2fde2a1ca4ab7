/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hosts known by DNS name: asks for their addresses without ever waiting for the answer, and tells
 * whoever uses a name what has come. How long an answer holds is dns_record.c's; this owns the
 * questions, which c-ares sends, by DNS or from /etc/hosts. Users of one name share its answer.
 *
 * A question is asked only when somebody wants a connection, so that nothing runs when nobody does.
 */
#ifndef LONC_KEEPER_NET_RESOLVER_H
#define LONC_KEEPER_NET_RESOLVER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "common/attributes.h"
#include "keeper/core/core.h"
#include "keeper/net/address.h"

struct resolver;
struct name;

/* Who wants to know a name's addresses; embedded in it, and all zero but for `told` at first. */
struct resolver_user {
    struct name *name; /* NULL: of none */
    bool waiting;      /* has asked, and has not been told */
    /*
     * An answer has come, `waited` for or asked by another user: resolver_addresses has it. Called
     * from the loop, never from inside another function of this header; no user may leave its name
     * meanwhile.
     */
    void (*told)(struct resolver_user *user, bool waited);
    LIST_ENTRY(resolver_user) link;
};

/* NULL without memory. Free it when no name has a user any more. */
MUST_CHECK struct resolver *resolver_new(struct core *core);
void resolver_free(struct resolver *resolver);

/*
 * The settings may have changed: what is known is asked again at the next connection, of the
 * servers of now. What is being asked goes on; the last good addresses stay.
 */
void resolver_reload(struct resolver *resolver);

/*
 * Makes `user` a user of this name, which is copied, instead of the one before. 0, or -ENOMEM: then
 * nothing has changed.
 */
MUST_CHECK int resolver_use(struct resolver *resolver, struct resolver_user *user,
                             const char *name);

/* Makes `user` a user of no name. A name without users is forgotten. */
void resolver_leave(struct resolver_user *user);

/*
 * Makes room for this name: resolver_use() does not fail for it until resolver_settle(), which
 * forgets the names that have no users. 0 or -ENOMEM.
 */
MUST_CHECK int resolver_expect(struct resolver *resolver, const char *name);
void resolver_settle(struct resolver *resolver);

/*
 * The addresses to connect to: what is known, if it is fresh, or the last good ones after a failure
 * that is fresh. Empty: the name cannot be resolved. NULL: it is being asked, and `told` will be
 * called, within resolve_timeout.
 */
const struct addresses *resolver_ask(struct resolver_user *user);

/* What is known, fresh or not. */
const struct addresses *resolver_addresses(const struct resolver_user *user);

/* Connecting to this one succeeded, so it is tried first, after later answers too. */
void resolver_prefer(struct resolver_user *user, const union address *address);

/* A host in trouble is to be tried now: what is known may be the trouble, and is asked anew. */
void resolver_retry(struct resolver_user *user);

#endif
