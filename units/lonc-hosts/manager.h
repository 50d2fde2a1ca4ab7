/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * systemd's bus interface, as far as lonc-hosts needs it: what units there are, and jobs whose end
 * is awaited, in a bounded time. It knows nothing of hosts.
 */
#ifndef LONC_UNITS_LONC_HOSTS_MANAGER_H
#define LONC_UNITS_LONC_HOSTS_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

struct manager;

struct manager_unit {
    const char *name;
    const char *load_state;   /* loaded, not-found, masked, ... */
    const char *active_state; /* active, inactive, failed, activating, deactivating, ... */
};

/*
 * All functions return 0 or more, or a negative errno after they have said on standard error what
 * was wrong.
 */

/* Connects to the system bus. All that follows takes `patience` seconds at most. */
int manager_open(struct manager **result, unsigned patience);
void manager_close(struct manager *manager); /* NULL is allowed */

/* Calls `each` for every loaded unit that matches one of the NULL-terminated patterns. */
int manager_list(struct manager *manager, char *patterns[],
                 void (*each)(void *argument, const struct manager_unit *unit), void *argument);

/* Reads all unit files again. */
int manager_reload(struct manager *manager);

/* When the service's process was started, in microseconds since the epoch; 0 where it never was. */
int manager_started(struct manager *manager, const char *unit, uint64_t *when);

/*
 * Queues a job; `verb` is StartUnit, StopUnit or RestartUnit. That systemd refuses it is said, and
 * counted by manager_wait.
 */
int manager_queue(struct manager *manager, const char *verb, const char *unit);

/*
 * Queues in one transaction that a service stops and that sockets of its start, which systemd does
 * only while it does not run. A client that would start it again meanwhile waits for the sockets.
 * `sockets` ends with NULL. Errors are counted by manager_wait.
 */
int manager_queue_sockets(struct manager *manager, const char *service, char *sockets[]);

/* Forgets that a unit failed. */
int manager_reset_failed(struct manager *manager, const char *unit);

/*
 * Waits for all that was queued since the last call. Returns how many were refused, failed or did
 * not end in time, each of which was said.
 */
int manager_wait(struct manager *manager);

#endif
