/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Resolves the DNS names of hosts without ever waiting, and informs the users of a name when an
 * answer has come. Users of one name share its answer. How long an answer holds is decided by
 * dns_record.c; DNS itself is spoken by dns_channel.c.
 *
 * A name is resolved only when somebody wants a connection, so an idle keeper sends no queries.
 */
#ifndef LONC_KEEPER_NET_RESOLVER_H
#define LONC_KEEPER_NET_RESOLVER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "common/attributes.h"
#include "keeper/core/core.h"
#include "keeper/net/address.h"

struct resolver;
struct dns_name;

/*
 * Somebody who wants to know the addresses of a name. It is embedded in the user's own struct, all
 * zero at first but for `answered`, and it is the resolver's to write to.
 */
struct resolver_user {
    struct dns_name *name; /* NULL: it uses none */
    bool waiting;          /* it has asked, and `answered` has not been called since */
    /*
     * An answer has come, for this user (`waited`) or for another one of the same name;
     * resolver_addresses() has it. Called from the loop, never from inside a function of this
     * header. No user may leave its name meanwhile.
     */
    void (*answered)(struct resolver_user *user, bool waited);
    LIST_ENTRY(resolver_user) link;
};

/* Returns NULL for lack of memory. It may be freed once no name has a user any more. */
MUST_CHECK struct resolver *resolver_new(struct core *core);
void resolver_free(struct resolver *resolver);

/*
 * The settings may have changed: every name is resolved again at the next connection to it, by the
 * servers that are configured now. Queries in progress are repeated. The last good addresses stay.
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
 * Returns the addresses to connect to, if they are fresh: those found, or after a failure the last
 * good ones; none means that the name cannot be resolved. Returns NULL if the name has to be
 * resolved first: `answered` will be called, within resolve_timeout.
 */
MUST_CHECK const struct addresses *resolver_ask(struct resolver_user *user);

/* The addresses that are known, fresh or not. */
const struct addresses *resolver_addresses(const struct resolver_user *user);

/* A connection to this address has succeeded. It is tried first from now on, also after later
 * answers. */
void resolver_prefer(struct resolver_user *user, const union address *address);

/* A host in trouble is to be tried now. Its addresses may be the cause, so its name is resolved
 * again at the next connection. */
void resolver_retry(struct resolver_user *user);

#endif
