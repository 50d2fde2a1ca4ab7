/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What all objects of one keeper share: the loop, the configuration in force, counts, and
 * the account of descriptors. The lowest layer of keeper/: it knows nobody.
 */
#ifndef LONC_KEEPER_CORE_CORE_H
#define LONC_KEEPER_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buffer.h"
#include "common/config.h"
#include "keeper/core/loop.h"
#include "keeper/core/reason.h"
#include "keeper/core/scarcity.h"
#include "keeper/core/stats.h"
#include "keeper/core/troubles.h"

/* A limit that may be reached: logged when that begins and when it ends, and counted in between. */
struct limit {
    const char *name;     /* for the log, as "memory of all buffers" */
    enum trouble trouble; /* listed while it is reached; TROUBLE_NONE for one host's own limit */
    bool reached;
    uint64_t count; /* how often it was hit since it was reached */
};

struct core {
    struct loop loop;
    struct config *config;    /* in force; never NULL */
    struct settings settings; /* of it; here, so that deadlines can point at them for good */
    bool stopping;            /* no new work: what is under way is finished */

    struct scarcity scarcity;

    uint64_t requests;
    uint64_t answers[REASON_COUNT]; /* REASON_NONE: replies; else con_lost */
    struct stats stats;             /* timed by the loop's clock, which goes on once a turn */

    struct limit memory_limit, descriptor_limit;

    struct troubles troubles;

    size_t descriptors; /* open now, those of libraries included */
    size_t descriptors_max;
    bool descriptors_short;                   /* see core_descriptors_run_short */
    void (*descriptor_freed)(void *argument); /* or NULL, see core_on_descriptor_freed */
    void *descriptor_freed_argument;

    void (*changed)(void *argument); /* or NULL, see core_on_change */
    void *changed_argument;
};

/*
 * Makes a zeroed core ready: its loop, limits and statistics, and this configuration in force,
 * which becomes its own. Deadlines point at its settings, so it comes before whatever has a
 * time-out. 0 or a negative errno; core_end, when nothing uses the core any more, is right in
 * either case.
 */
MUST_CHECK int core_start(struct core *core, struct config *config);
void core_end(struct core *core);

/*
 * Raises the limit on descriptors as far as allowed and begins their account with those that are
 * open already, those of libraries included.
 */
void core_count_descriptors(struct core *core);

/*
 * The account of open descriptors. Each one that lives longer than the function that opened it is
 * entered here, because the kernel offers no cheap way to ask how many are open.
 */
void core_descriptor_opened(struct core *core);

/*
 * Closes a descriptor that was entered, and takes it off the account. This may call back whoever
 * waits for a free descriptor, so the caller's object must be consistent before.
 */
void core_close(struct core *core, int fd);

/* Only takes one off the account, for a descriptor that a library opens and closes itself. */
void core_descriptor_closed(struct core *core);

/* How many more may be opened beside the reserve. */
size_t core_descriptors_free(const struct core *core);

/*
 * Between these two calls the keeper is short of descriptors: no shim is accepted, and connections
 * that nobody needs are closed. Only intake.c calls them, since it learns from its listener whether
 * the kernel has any left. A call counts as one more hit of the limit, respectively ends that.
 */
void core_descriptors_run_short(struct core *core);
void core_descriptors_suffice(struct core *core);
bool core_descriptors_are_short(const struct core *core);

/* `freed` is called whenever a descriptor was closed; NULL ends that. There is one such callback.
 */
void core_on_descriptor_freed(struct core *core, void (*freed)(void *argument), void *argument);

/*
 * The keeper has this trouble; `format` says what was found: which path, and why. Cheap to repeat:
 * it is logged when it begins and whenever its detail changes, and it keeps its age.
 */
__attribute__((format(printf, 3, 4))) void trouble_begin(struct core *core, enum trouble kind,
                                                         const char *format, ...);

/* Its cause is gone; logged if the trouble was there. */
void trouble_end(struct core *core, enum trouble kind);

bool trouble_is_present(const struct core *core, enum trouble kind);

/* Something has changed that an overview of the keeper shows: hosts' health, queues, troubles. */
void core_changed(struct core *core);

/*
 * `changed` is called by core_changed, perhaps a thousand times a second; NULL ends that. There is
 * one such callback.
 */
void core_on_change(struct core *core, void (*changed)(void *argument), void *argument);

/* To be called after buffers were freed: the limit on memory may have been left. */
void core_check_memory(struct core *core);

/* The limit was hit once more; the first time is logged. `host` is whose limit it is, or NULL. */
void limit_reached(struct core *core, struct limit *limit, const char *host);
/* It is left; logged with the count, if it was reached. */
void limit_left(struct core *core, struct limit *limit, const char *host);

#endif
