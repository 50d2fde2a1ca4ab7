/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Puts a configuration into force, the first one and those that follow: all or nothing
 * (keeper/README.md rule 9). A table may have ten thousand hosts, so this is done in slices
 * (keeper/core/sliced_task.h), and requests are served meanwhile. First comes all that can fail,
 * with the old configuration in force; then what cannot.
 */
#ifndef LONC_KEEPER_CONTROL_RELOAD_H
#define LONC_KEEPER_CONTROL_RELOAD_H

#include <bsd/sys/queue.h>

#include "keeper/control/notifier.h"
#include "keeper/control/socketwatch.h"
#include "keeper/deferred/deferred.h"
#include "keeper/host/certificates.h"
#include "keeper/host/hosts.h"

/* How a reload ended. Both lists are texts that end in NUL, one after the other. */
struct reload_outcome {
    bool failed;            /* the configuration before it is still in force */
    struct buffer errors;   /* why it failed */
    struct buffer warnings; /* what is wrong with the files for ssl, which never fails a reload */
};

/* Waits for the end of a reload; embedded in the object that waits. */
struct reload_waiter {
    /* `outcome` is valid only during the call. */
    void (*done)(struct reload_waiter *waiter, const struct reload_outcome *outcome);
    TAILQ_ENTRY(reload_waiter) link;
    struct reload *reload; /* NULL: it does not wait */
};

/* Who is told that a configuration has come into force. */
struct reload_parts {
    struct hosts *hosts;
    struct deferred *deferred;
    struct notifier *notifier;
    struct certificates *certificates;
    struct socket_watch *socket_watch; /* NULL: nobody looks after the paths of sockets */
};

/*
 * `config_path` is what is read (config_load); it and the parts must outlive the reload. NULL
 * without memory or descriptors.
 */
struct reload *reload_new(const struct reload_parts *parts, const char *config_path);

/* Those who still wait are not called back. NULL is allowed. */
void reload_free(struct reload *reload);

/*
 * Puts the first configuration into force, at once, before the loop runs. `config` becomes the
 * core's. It may be invalid, for the reason `diagnostic`: then all requests are answered con_lost,
 * and the files are read again after config_retry_min, and at growing intervals up to
 * config_retry_max, until they are valid. lonc-hosts is run then. 0, or -ENOMEM.
 */
int reload_first(struct reload *reload, struct config *config, const char *diagnostic);

/*
 * Reloads the files as they are on disk now. If a reload is under way already, another one follows
 * it, since files may have changed after they were read. `waiter` is NULL for a signal: then
 * lonc-hosts is run at the end, because nobody waits who would run it.
 */
void reload_ask(struct reload *reload, struct reload_waiter *waiter);

/* The waiter will not be called back; the reload goes on. Does nothing if it does not wait. */
void reload_withdraw(struct reload_waiter *waiter);

#endif
