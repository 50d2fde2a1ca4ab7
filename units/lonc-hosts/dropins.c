/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See dropins.h. Names only: what is in them is the administrator's business.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "units/lonc-hosts/dropins.h"

/* Where administrators put them, and `systemctl edit --runtime` does. */
static const char *const folders[] = {"/etc/systemd/system", "/run/systemd/system"};

static const char *const way[] = {
    [ACTIVATION_PER_CONNECTION] = "served per connection",
    [ACTIVATION_SHARED] = "shared",
};

/* Those of one host's unit, those of all hosts' units, and what holds for who is served the other
 * way. */
static const struct kin {
    enum activation kind;
    const char *suffix, *all, *instead;
} kin[] = {
    {ACTIVATION_PER_CONNECTION, ".socket.d", "lonc-host-.socket.d", "lonc-shared@.socket.d"},
    {ACTIVATION_PER_CONNECTION, "@.service.d", "lonc-host-.service.d", "lonc-shared.service.d"},
    {ACTIVATION_SHARED, ".socket.d", "lonc-shared@.socket.d", "lonc-host-.socket.d"},
};

static bool any_of(const struct hosts *hosts, enum activation kind)
{
    for (size_t i = 0; i < hosts->wanted; i++)
        if (hosts->list[i].kind == kind)
            return true;
    return false;
}

/* A drop-in of this kind, or a whole unit, that a shim of each host's had. */
static bool is_of_old_shim(const char *name)
{
    static const char prefix[] = "lonc-shared@";
    return strncmp(name, prefix, sizeof(prefix) - 1) == 0 && strstr(name, ".service") != NULL;
}

bool dropins_is_dead(char *text, size_t size, const struct hosts *hosts, const char *name)
{
    char id[UNIT_SIZE];
    if (is_of_old_shim(name)) {
        snprintf(text, size, "there is one service for all hosts; lonc-shared.service.d has one");
        return true;
    }
    for (size_t i = 0; i < sizeof(kin) / sizeof(*kin); i++) {
        const struct host *host = NULL;
        bool all = strcmp(name, kin[i].all) == 0;
        if (!all && sockets_id_of(id, name, kin[i].kind, kin[i].suffix))
            host = sockets_find(hosts, id);
        if (all)
            snprintf(text, size, "no host is %s; %s has one", way[kin[i].kind], kin[i].instead);
        else if (host != NULL)
            snprintf(text, size, "%s is %s; %s has one", id, way[!kin[i].kind], kin[i].instead);
        if (all || host != NULL)
            return all ? !any_of(hosts, kin[i].kind) : host->kind != kin[i].kind;
    }
    return false;
}

void dropins_report(const struct hosts *hosts)
{
    char why[2 * UNIT_SIZE + 64];
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        DIR *folder = opendir(folders[i]);
        struct dirent *entry;
        while (folder != NULL && (entry = readdir(folder)) != NULL)
            if (dropins_is_dead(why, sizeof(why), hosts, entry->d_name))
                fprintf(stderr, "lonc-hosts: %s/%s: without effect, since %s\n", folders[i],
                        entry->d_name, why);
        if (folder != NULL)
            closedir(folder);
    }
}
