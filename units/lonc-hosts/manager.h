/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * systemd's bus interface, as far as lonc-hosts needs it: lists units, and queues jobs and waits
 * for their end, in a bounded time. It knows nothing of hosts.
 */
#ifndef LONC_UNITS_LONC_HOSTS_MANAGER_H
#define LONC_UNITS_LONC_HOSTS_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/attributes.h"

struct manager;

struct manager_unit {
    const char *name;
    const char *load_state;   /* loaded, not-found, masked, ... */
    const char *active_state; /* active, inactive, failed, activating, deactivating, ... */
};

/* Where a unit is or is going to be: one that is starting counts as active, one that is stopping as
 * inactive. */
enum unit_state { UNIT_INACTIVE, UNIT_ACTIVE, UNIT_FAILED };

enum unit_state manager_unit_state(const struct manager_unit *unit);

/*
 * The functions below that return int return 0 or more, or a negative errno after reporting the
 * error on standard error.
 */

/* Connects to the system bus. All later calls together take at most `patience` seconds. On success
 * the caller ends *result with manager_close. */
MUST_CHECK int manager_open(struct manager **result, unsigned patience);
void manager_close(struct manager *manager); /* NULL is allowed */

/* Calls `each` for every loaded unit that matches one of the NULL-terminated patterns. */
MUST_CHECK int manager_list(struct manager *manager, char *patterns[],
                            void (*each)(void *argument, const struct manager_unit *unit),
                            void *argument);

/* Makes systemd read all unit files again. */
MUST_CHECK int manager_reload(struct manager *manager);

/* When the service's process was started, in microseconds since the epoch; 0 if it never was. */
MUST_CHECK int manager_start_time(struct manager *manager, const char *unit, uint64_t *when);

/*
 * Queues a job. `verb` is StartUnit, StopUnit or RestartUnit, and must be a string constant. An
 * error is counted by manager_wait too.
 */
int manager_queue(struct manager *manager, const char *verb, const char *unit);

/*
 * Queues one transaction that stops a service and starts sockets of it. systemd starts such sockets
 * only while their service does not run; a client that would start the service meanwhile waits
 * until the sockets are there. `sockets` ends with NULL. An error is counted by manager_wait too.
 */
int manager_queue_sockets(struct manager *manager, const char *service, char *sockets[]);

/* Makes systemd forget that a unit failed. */
MUST_CHECK int manager_reset_failed(struct manager *manager, const char *unit);

/*
 * Waits for everything that was queued since the last call. Returns how many jobs were refused,
 * have failed or did not end in time. Each of them has been reported.
 */
int manager_wait(struct manager *manager);

#endif
