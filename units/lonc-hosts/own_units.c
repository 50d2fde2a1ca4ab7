/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See own_units.h.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "units/lonc-hosts/listening.h"
#include "units/lonc-hosts/own_units.h"

static const struct {
    const char *name, *path;
} own_units[OWN_UNITS] = {
    [OWN_CHANNEL] = {"lonc-keeper.socket", "/run/lonc/keeper.sock"},
    [OWN_CONTROL] = {"lonc-keeper-control.socket", "/run/lonc/control.sock"},
    [OWN_KEEPER] = {"lonc-keeper.service", NULL},
    [OWN_TARGET] = {"lonc.target", NULL},
    [OWN_SHIM] = {SHARED_SHIM, NULL},
    {"lonc-hosts-sync.timer", NULL},
    {"lonc-page.timer", NULL},
    {"lonc-reloaded.path", NULL},
    {"lonc-hosts.path", NULL},
    {"lonc-metrics.socket", NULL},
};

void own_units_init(struct own_unit units[OWN_UNITS])
{
    for (size_t i = 0; i < OWN_UNITS; i++)
        units[i] = (struct own_unit){.name = own_units[i].name, .path = own_units[i].path};
}

void own_units_forget(struct own_unit units[OWN_UNITS])
{
    for (size_t i = 0; i < OWN_UNITS; i++) {
        units[i].state = UNIT_INACTIVE;
        units[i].at_rest = true;
        units[i].running = false;
        units[i].masked = false;
    }
}

static void note_state(struct own_unit *own, const struct manager_unit *unit)
{
    own->state = manager_unit_state(unit);
    own->at_rest = strcmp(unit->active_state, "inactive") == 0 || own->state == UNIT_FAILED;
    own->running = strcmp(unit->active_state, "active") == 0;
    own->masked = strcmp(unit->load_state, "masked") == 0;
}

void own_units_note(struct own_unit units[OWN_UNITS], const struct manager_unit *unit)
{
    for (size_t i = 0; i < OWN_UNITS; i++)
        if (strcmp(unit->name, units[i].name) == 0)
            note_state(&units[i], unit);
}

static bool is_folder(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

void own_units_check_paths(struct own_unit units[OWN_UNITS], const struct listening *listening)
{
    for (size_t i = 0; i < OWN_SOCKETS; i++) {
        struct own_unit *unit = &units[i];
        bool owned_by_root; /* of no interest: the unit itself gives these sockets their owner */
        unit->path_alive = listening_is_alive(listening, unit->path, &owned_by_root);
        unit->path_blocked = is_folder(unit->path);
        if (unit->path_blocked)
            fprintf(stderr, "lonc-hosts: %s: a folder is where %s should listen\n", unit->path,
                    unit->name);
    }
}

/*
 * Mending a socket restarts the keeper, so it must be of use. It is not while a folder is in the
 * socket's place, nor where the keeper was started without a control socket of systemd's and has
 * made one itself, which serves as well.
 */
const char *own_units_why_broken(const struct own_unit units[OWN_UNITS], size_t index)
{
    const struct own_unit *unit = &units[index];
    bool serves_anyway = index == OWN_CONTROL && unit->path_alive;
    if (unit->masked)
        return NULL;
    if (unit->state == UNIT_FAILED)
        return !serves_anyway && !unit->path_blocked ? "it had failed" : NULL;
    bool is_gone = index < OWN_SOCKETS && unit->state == UNIT_ACTIVE && !unit->path_alive;
    return is_gone ? "its path was gone" : NULL;
}

bool own_units_is_keeper_missing(const struct own_unit units[OWN_UNITS])
{
    const struct own_unit *keeper = &units[OWN_KEEPER];
    return units[OWN_TARGET].state == UNIT_ACTIVE && keeper->state == UNIT_INACTIVE &&
           keeper->at_rest && !keeper->masked;
}
