/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The units of this package that belong to no host: the keeper's sockets and services, the timers
 * and paths. lonc-hosts only mends them. Whether they are started at all is an administrator's
 * choice.
 */
#ifndef LONC_UNITS_LONC_HOSTS_OWN_UNITS_H
#define LONC_UNITS_LONC_HOSTS_OWN_UNITS_H

#include <stdbool.h>
#include <stddef.h>

#include "units/lonc-hosts/manager.h"

struct listening;

/* Indices into the table of units. The keeper's sockets are its first OWN_SOCKETS rows. */
enum own_unit_index {
    OWN_CHANNEL,
    OWN_CONTROL,
    OWN_SOCKETS,
    OWN_KEEPER = OWN_SOCKETS,
    OWN_TARGET,
    OWN_SHIM,
};
#define OWN_UNITS 10

/* The service behind all shared sockets. */
#define SHARED_SHIM "lonc-shared.service"

struct own_unit {
    const char *name;
    const char *path; /* of one of the keeper's sockets, as in its unit file; otherwise NULL */
    enum unit_state state;
    bool at_rest; /* inactive or failed, and no longer stopping */
    bool running; /* active: not starting, stopping or reloading */
    bool masked;
    bool path_alive;   /* somebody listens there */
    bool path_blocked; /* a folder is in its place, which has been reported */
};

/* The names and paths, before anything is known about the states. */
void own_units_init(struct own_unit units[OWN_UNITS]);

/* All inactive: systemd does not list a unit that is not loaded. */
void own_units_forget(struct own_unit units[OWN_UNITS]);

/* Takes the state of a unit that systemd lists, if it is one of these. */
void own_units_note(struct own_unit units[OWN_UNITS], const struct manager_unit *unit);

/* Looks whether the keeper's sockets are where they should be. A folder in the place of one is
 * reported on standard error. */
void own_units_check_paths(struct own_unit units[OWN_UNITS], const struct listening *listening);

/* Why the unit must be started again, as a phrase for the administrator; NULL if it need not. */
const char *own_units_why_broken(const struct own_unit units[OWN_UNITS], size_t index);

/* Whether the target wants a keeper that is down. */
bool own_units_is_keeper_missing(const struct own_unit units[OWN_UNITS]);

#endif
