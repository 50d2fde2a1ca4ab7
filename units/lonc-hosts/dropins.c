/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See dropins.h. Only names are looked at. What a drop-in contains is the administrator's business.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "units/lonc-hosts/dropins.h"

/* Where `systemctl edit` and `systemctl edit --runtime` put drop-ins. */
static const char *const folders[] = {"/etc/systemd/system", "/run/systemd/system"};

static const char *const way[] = {
    [ACTIVATION_PER_CONNECTION] = "served per connection",
    [ACTIVATION_SHARED] = "shared",
};

/* The names of folders with drop-ins. */
static const struct folder_kind {
    enum activation kind;
    const char *suffix;  /* how the folder of one host's unit ends */
    const char *all;     /* the folder for the units of all hosts */
    const char *instead; /* the folder that has an effect on hosts of the other kind */
} folder_kinds[] = {
    {ACTIVATION_PER_CONNECTION, ".socket.d", "lonc-host-.socket.d", "lonc-shared@.socket.d"},
    {ACTIVATION_PER_CONNECTION, "@.service.d", "lonc-host-.service.d", "lonc-shared.service.d"},
    {ACTIVATION_SHARED, ".socket.d", "lonc-shared@.socket.d", "lonc-host-.socket.d"},
};

static bool is_per_connection(const struct host *host)
{
    return host->kind == ACTIVATION_PER_CONNECTION;
}

static bool is_shared(const struct host *host)
{
    return host->kind == ACTIVATION_SHARED;
}

static bool has_any_of(const struct host_list *hosts, enum activation kind)
{
    return host_list_has_any(hosts, hosts->wanted,
                             kind == ACTIVATION_SHARED ? is_shared : is_per_connection);
}

/* A drop-in, or a whole unit file, for the shim of a single host that older releases had. */
static bool is_of_old_shim(const char *name)
{
    static const char prefix[] = "lonc-shared@";
    return strncmp(name, prefix, sizeof(prefix) - 1) == 0 && strstr(name, ".service") != NULL;
}

bool dropins_is_dead(char *text, size_t size, const struct host_list *hosts, const char *name)
{
    char id[UNIT_SIZE];
    if (is_of_old_shim(name)) {
        snprintf(text, size, "there is one service for all hosts; lonc-shared.service.d has one");
        return true;
    }
    for (size_t i = 0; i < sizeof(folder_kinds) / sizeof(*folder_kinds); i++) {
        const struct folder_kind *folder = &folder_kinds[i];
        const struct host *host = NULL;
        bool all = strcmp(name, folder->all) == 0;
        if (!all && unit_name_is_of(id, name, folder->kind, folder->suffix))
            host = host_list_find(hosts, id);
        if (all)
            snprintf(text, size, "no host is %s; %s has one", way[folder->kind], folder->instead);
        else if (host != NULL)
            snprintf(text, size, "%s is %s; %s has one", id, way[!folder->kind], folder->instead);
        if (all || host != NULL)
            return all ? !has_any_of(hosts, folder->kind) : host->kind != folder->kind;
    }
    return false;
}

void dropins_report_folder(const struct host_list *hosts, const char *path)
{
    char why[2 * UNIT_SIZE + 64];
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (dropins_is_dead(why, sizeof(why), hosts, entry->d_name))
            fprintf(stderr, "lonc-hosts: %s/%s: without effect, since %s\n", path, entry->d_name,
                    why);
    if (folder != NULL)
        closedir(folder);
}

void dropins_report(const struct host_list *hosts)
{
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        dropins_report_folder(hosts, folders[i]);
}
