/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See expected.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units/lonc-hosts/expected.h"
#include "units/lonc-hosts/paths.h"

/* --- From the table --------------------------------------------------------------------------- */

/* Whether the id is one of the words in `names`. */
static bool is_exception(const char *names, const char *id)
{
    size_t length = strlen(id);
    while (*(names += strspn(names, " \t")) != '\0') {
        size_t n = strcspn(names, " \t");
        if (n == length && memcmp(names, id, n) == 0)
            return true;
        names += n;
    }
    return false;
}

static enum activation activation_of(const struct settings *settings, const char *id)
{
    bool shared = settings->activation == ACTIVATION_SHARED;
    if (is_exception(settings->activation_exceptions, id))
        shared = !shared;
    return shared ? ACTIVATION_SHARED : ACTIVATION_PER_CONNECTION;
}

/* Leaves out, and reports, a path that is too long for a socket. */
static void add_path(struct host_list *hosts, struct host *host, const char *directory,
                     const char *name)
{
    int n = snprintf(host->paths[host->path_count], PATH_SIZE, "%s/%s", directory, name);
    if (n >= 0 && (size_t)n < PATH_SIZE) {
        host->path_count++;
        return;
    }
    fprintf(stderr, "lonc-hosts: %s/%s: a path of %d bytes; a socket's has at most %zu\n",
            directory, name, n, PATH_SIZE - 1);
    hosts->has_unservable = true;
}

static int add_entry(struct host_list *hosts, const struct config *config, const char *id,
                     const struct path_names *names)
{
    if (sizeof("lonc-shared@.service") + strlen(id) > UNIT_SIZE) {
        fprintf(stderr, "lonc-hosts: %s: too long for the name of a unit\n", id);
        hosts->has_unservable = true;
        return 0;
    }
    struct host host = {.wanted = true, .kind = activation_of(&config->settings, id)};
    for (size_t i = 0; i < PATHS_MAX && names->name[i] != NULL; i++)
        add_path(hosts, &host, config->loncapa.sock_dir, names->name[i]);
    if (host.path_count == 0)
        return 0;
    struct host *added = host_list_add(hosts, id);
    if (added == NULL)
        return -ENOMEM;
    host.id = added->id;
    *added = host;
    return 0;
}

/*
 * lonSockCreate, where lonnet asks for a host's socket. Hosts are served without it, so a mistake
 * in its path is reported, but is not an error.
 */
static int add_create(struct host_list *hosts, const struct config *config)
{
    const char *why, *path = config_create_path(config, &why);
    if (why != NULL)
        fprintf(stderr, "lonc-hosts: lonSockCreate: \"%s\": %s\n", config->loncapa.sock_create,
                why);
    if (path == NULL)
        return 0;
    const char *name = strrchr(path, '/') + 1;
    struct host *host = host_list_add(hosts, name);
    if (host == NULL)
        return -ENOMEM;
    host->wanted = true;
    host->kind = activation_of(&config->settings, name);
    host->path_count = 1;
    snprintf(host->paths[0], PATH_SIZE, "%s", path);
    return 0;
}

int expected_from_table(struct host_list *hosts, const struct config *config)
{
    const struct hosttab *table = &config->table;
    struct path_names *names = paths_names(table, (enum socket_names)config->settings.socket_names);
    int r = names != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < table->count; i++)
        r = add_entry(hosts, config, table->entries[i].id, &names[i]);
    free(names);
    if (r == 0)
        r = add_create(hosts, config);
    host_list_sort(hosts);
    hosts->from_table = true;
    return r;
}

/* --- From what there is ----------------------------------------------------------------------- */

void expected_from_found(struct host_list *hosts, const struct unit_files *unit_files)
{
    for (size_t i = 0; i < hosts->count; i++) {
        struct host *host = &hosts->list[i];
        bool shared = host->found.socket[ACTIVATION_SHARED] != UNIT_INACTIVE;
        host->kind = shared ? ACTIVATION_SHARED : ACTIVATION_PER_CONNECTION;
        if (host->found.socket[host->kind] != UNIT_INACTIVE)
            host->path_count = unit_files_read_paths(unit_files, host, host->kind, host->paths);
        host->wanted = host->path_count > 0;
    }
    host_list_sort(hosts);
}
