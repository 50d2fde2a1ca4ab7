/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Units are asked for by patterns, once; whether a socket's path is still there is read from the
 * file system and from the kernel's list of sockets, since a connect to find out would start a
 * shim.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "units/sockets.h"

static const char *const prefix_of[] = {
    [ACTIVATION_PER_CONNECTION] = "lonc-host-",
    [ACTIVATION_SHARED] = "lonc-shared@",
};

void sockets_unit_name(char name[UNIT_SIZE], const struct host *host, enum activation kind,
                       const char *suffix)
{
    snprintf(name, UNIT_SIZE, "%s%s%s", prefix_of[kind], host->id, suffix);
}

bool sockets_id_of(char id[UNIT_SIZE], const char *name, enum activation kind, const char *suffix)
{
    const char *prefix = prefix_of[kind];
    size_t all = strlen(name), before = strlen(prefix), after = strlen(suffix);
    if (all <= before + after || all >= UNIT_SIZE || strncmp(name, prefix, before) != 0 ||
        strcmp(name + all - after, suffix) != 0)
        return false;
    snprintf(id, UNIT_SIZE, "%.*s", (int)(all - before - after), name + before);
    return true;
}

/* --- What there should be --------------------------------------------------------------------- */

static struct host *add_host(struct hosts *hosts, const char *id)
{
    if (hosts->count == hosts->room) {
        size_t room = hosts->room == 0 ? 256 : 2 * hosts->room;
        struct host *list = reallocarray(hosts->list, room, sizeof(*list));
        if (list == NULL)
            return NULL;
        hosts->list = list;
        hosts->room = room;
    }
    struct host *host = &hosts->list[hosts->count];
    *host = (struct host){.id = strdup(id)};
    if (host->id == NULL)
        return NULL;
    hosts->count++;
    return host;
}

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

static int by_id(const void *left, const void *right)
{
    return strcmp(((const struct host *)left)->id, ((const struct host *)right)->id);
}

/* Its path, where a socket can have one that long. */
static void add_path(struct hosts *hosts, struct host *host, const char *directory,
                     const char *name)
{
    int n = snprintf(host->paths[host->path_count], PATH_SIZE, "%s/%s", directory, name);
    if (n >= 0 && (size_t)n < PATH_SIZE) {
        host->path_count++;
        return;
    }
    fprintf(stderr, "lonc-hosts: %s/%s: a path of %d bytes; a socket's has at most %zu\n",
            directory, name, n, PATH_SIZE - 1);
    hosts->incomplete = true;
}

static enum activation kind_of(const struct settings *settings, const char *id)
{
    bool shared = settings->activation == ACTIVATION_SHARED;
    if (is_exception(settings->activation_exceptions, id))
        shared = !shared;
    return shared ? ACTIVATION_SHARED : ACTIVATION_PER_CONNECTION;
}

/* False without memory. */
static bool add_entry(struct hosts *hosts, const struct config *config, const char *id,
                      const struct path_names *names)
{
    if (sizeof("lonc-shared@.service") + strlen(id) > UNIT_SIZE) {
        fprintf(stderr, "lonc-hosts: %s: too long for the name of a unit\n", id);
        hosts->incomplete = true;
        return true;
    }
    struct host host = {.wanted = true, .kind = kind_of(&config->settings, id)};
    for (size_t i = 0; i < PATHS_MAX && names->name[i] != NULL; i++)
        add_path(hosts, &host, config->loncapa.sock_dir, names->name[i]);
    if (host.path_count == 0)
        return true;
    struct host *added = add_host(hosts, id);
    if (added == NULL)
        return false;
    host.id = added->id;
    *added = host;
    return true;
}

/* False without memory. */
static bool add_table(struct hosts *hosts, const struct config *config)
{
    const struct hosttab *table = &config->table;
    struct path_names *names = paths_names(table, (enum socket_names)config->settings.socket_names);
    bool good = names != NULL;
    for (size_t i = 0; good && i < table->count; i++)
        good = add_entry(hosts, config, table->entries[i].id, &names[i]);
    free(names);
    if (hosts->count > 0)
        qsort(hosts->list, hosts->count, sizeof(*hosts->list), by_id);
    hosts->wanted = hosts->count;
    return good;
}

bool sockets_expect(struct hosts *hosts, const struct config *config)
{
    *hosts = (struct hosts){
        .keeper = {{.unit = "lonc-keeper.socket", .path = "/run/lonc/keeper.sock"},
                   {.unit = "lonc-keeper-control.socket", .path = "/run/lonc/control.sock"}},
    };
    if (add_table(hosts, config))
        return true;
    fputs("lonc-hosts: out of memory\n", stderr);
    return false;
}

const struct host *sockets_find(const struct hosts *hosts, const char *id)
{
    struct host key = {.id = (char *)(uintptr_t)id};
    return hosts->wanted > 0 ? bsearch(&key, hosts->list, hosts->wanted, sizeof(key), by_id) : NULL;
}

/* --- What there is ---------------------------------------------------------------------------- */

static enum unit_state state_of(const struct manager_unit *unit)
{
    if (strcmp(unit->active_state, "failed") == 0)
        return UNIT_FAILED;
    bool active = strcmp(unit->active_state, "active") == 0 ||
                  strcmp(unit->active_state, "activating") == 0 ||
                  strcmp(unit->active_state, "reloading") == 0;
    return active ? UNIT_ACTIVE : UNIT_INACTIVE;
}

/* The host of a unit's name; one that is not wanted is added behind them. NULL: no memory. */
static struct host *host_of(struct hosts *hosts, const char *id)
{
    struct host key = {.id = (char *)(uintptr_t)id};
    struct host *host =
        hosts->wanted > 0 ? bsearch(&key, hosts->list, hosts->wanted, sizeof(key), by_id) : NULL;
    for (size_t i = hosts->wanted; host == NULL && i < hosts->count; i++)
        if (strcmp(hosts->list[i].id, id) == 0)
            host = &hosts->list[i];
    return host != NULL ? host : add_host(hosts, id);
}

static void note_unit(void *argument, const struct manager_unit *unit)
{
    struct hosts *hosts = argument;
    char id[UNIT_SIZE];
    for (size_t i = 0; i < 2; i++)
        if (strcmp(unit->name, hosts->keeper[i].unit) == 0)
            hosts->keeper[i].state = state_of(unit);
    for (int kind = 0; kind < 2; kind++) {
        bool is_socket = sockets_id_of(id, unit->name, (enum activation)kind, ".socket");
        if (!is_socket && (kind != ACTIVATION_SHARED ||
                           !sockets_id_of(id, unit->name, ACTIVATION_SHARED, ".service")))
            continue;
        struct host *host = host_of(hosts, id);
        if (host == NULL)
            hosts->incomplete = true;
        else if (is_socket)
            host->socket[kind] = state_of(unit);
        else
            host->service = state_of(unit);
    }
}

static int compare_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The paths on which this machine listens, one allocation each. */
struct paths {
    char **list;
    size_t count, room;
    bool known; /* all of them */
};

static void free_paths(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->list[i]);
    free(paths->list);
}

/* False without memory. */
static bool put_path(struct paths *paths, const char *path)
{
    if (paths->count == paths->room) {
        size_t room = paths->room == 0 ? 256 : 2 * paths->room;
        char **grown = reallocarray(paths->list, room, sizeof(*grown));
        if (grown == NULL)
            return false;
        paths->list = grown;
        paths->room = room;
    }
    if ((paths->list[paths->count] = strdup(path)) == NULL)
        return false;
    paths->count++;
    return true;
}

/* The path in a line of /proc/net/unix, where somebody listens at it, or NULL. */
static char *listening_path(char *line)
{
    unsigned flags;
    int at = 0;
    line[strcspn(line, "\n")] = '\0';
    /* Num RefCount Protocol Flags Type St Inode Path; 0x10000 among the flags: it listens. */
    /* NOLINTNEXTLINE(cert-err34-c): the kernel writes 8 digits. */
    if (sscanf(line, "%*s %*x %*x %x %*x %*x %*u %n", &flags, &at) != 1 || at == 0)
        return NULL;
    return (flags & 0x10000) != 0 && line[at] == '/' ? line + at : NULL;
}

/* Not known, and said, on failure: what is missing must not look as if nobody listened there. */
static struct paths listening_paths(void)
{
    struct paths paths = {.known = false};
    FILE *file = fopen("/proc/net/unix", "re");
    char *line = NULL, *path;
    size_t size = 0;
    bool room = true;
    while (file != NULL && room && getline(&line, &size, file) > 0)
        if ((path = listening_path(line)) != NULL)
            room = put_path(&paths, path);
    paths.known = file != NULL && room && feof(file);
    if (!paths.known)
        perror("lonc-hosts: /proc/net/unix");
    free(line);
    if (file != NULL)
        fclose(file);
    if (paths.count > 0)
        qsort(paths.list, paths.count, sizeof(*paths.list), compare_text);
    return paths;
}

/* Also where that is not known. */
static bool may_be_alive(const char *path, const struct paths *paths)
{
    struct stat status;
    if (!paths->known)
        return true;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && paths->count > 0 &&
           bsearch(&path, paths->list, paths->count, sizeof(*paths->list), compare_text) != NULL;
}

static void look_at_paths(struct hosts *hosts)
{
    struct paths paths = listening_paths();
    if (!paths.known)
        hosts->incomplete = true;
    for (size_t i = 0; i < hosts->wanted; i++) {
        struct host *host = &hosts->list[i];
        host->paths_alive = true;
        for (size_t n = 0; n < host->path_count; n++)
            host->paths_alive &= may_be_alive(host->paths[n], &paths);
    }
    for (size_t i = 0; i < 2; i++)
        hosts->keeper[i].path_alive = may_be_alive(hosts->keeper[i].path, &paths);
    free_paths(&paths);
}

int sockets_look(struct hosts *hosts, struct manager *manager)
{
    /* Not lonc-host-*.service: there may be thousands, and they end by themselves. */
    char *patterns[] = {(char[]){"lonc-host-*.socket"}, (char[]){"lonc-shared@*.socket"},
                        (char[]){"lonc-shared@*.service"}, (char[]){"lonc-keeper*.socket"}, NULL};
    int r = manager_list(manager, patterns, note_unit, hosts);
    if (r >= 0)
        look_at_paths(hosts);
    return r;
}

void sockets_free(struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++)
        free(hosts->list[i].id);
    free(hosts->list);
}
