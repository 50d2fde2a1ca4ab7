/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Units are asked for by patterns, once; whether a socket's path is still there is read from the
 * file system and from the kernel's list of sockets, since a connect to find out would start a
 * shim.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "units/lonc-hosts/sockets.h"
#include "units/lonc-hosts/www.h"

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

/*
 * Where lonnet asks for the others. Hosts are served without it, so what is wrong with its path is
 * said, and no more. False without memory.
 */
static bool add_create(struct hosts *hosts, const struct config *config)
{
    const char *why, *path = config_create_path(config, &why);
    if (why != NULL)
        fprintf(stderr, "lonc-hosts: lonSockCreate: \"%s\": %s\n", config->loncapa.sock_create,
                why);
    if (path == NULL)
        return true;
    const char *name = strrchr(path, '/') + 1;
    struct host *host = add_host(hosts, name);
    if (host == NULL)
        return false;
    host->wanted = true;
    host->kind = kind_of(&config->settings, name);
    host->path_count = 1;
    snprintf(host->paths[0], PATH_SIZE, "%s", path);
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
    good = good && add_create(hosts, config);
    if (hosts->count > 0)
        qsort(hosts->list, hosts->count, sizeof(*hosts->list), by_id);
    hosts->wanted = hosts->count;
    return good;
}

void sockets_expect_nothing(struct hosts *hosts)
{
    *hosts = (struct hosts){
        .own = {[OWN_CHANNEL] = {.name = "lonc-keeper.socket", .path = "/run/lonc/keeper.sock"},
                [OWN_CONTROL] = {.name = "lonc-keeper-control.socket",
                                 .path = "/run/lonc/control.sock"},
                [OWN_KEEPER] = {.name = "lonc-keeper.service"},
                [OWN_TARGET] = {.name = "lonc.target"},
                [OWN_SHIM] = {.name = SOCKETS_SHIM},
                {.name = "lonc-hosts-sync.timer"},
                {.name = "lonc-page.timer"},
                {.name = "lonc-reloaded.path"},
                {.name = "lonc-hosts.path"},
                {.name = "lonc-metrics.socket"}},
    };
}

bool sockets_expect(struct hosts *hosts, const struct config *config)
{
    sockets_expect_nothing(hosts);
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

static void note_own_unit(struct own_unit *own, const struct manager_unit *unit)
{
    own->state = state_of(unit);
    own->at_rest = strcmp(unit->active_state, "inactive") == 0 || own->state == UNIT_FAILED;
    own->running = strcmp(unit->active_state, "active") == 0;
    own->masked = strcmp(unit->load_state, "masked") == 0;
}

static void note_unit(void *argument, const struct manager_unit *unit)
{
    struct hosts *hosts = argument;
    char id[UNIT_SIZE];
    for (size_t i = 0; i < OWN_UNITS; i++)
        if (strcmp(unit->name, hosts->own[i].name) == 0)
            note_own_unit(&hosts->own[i], unit);
    for (int kind = 0; kind < 2; kind++) {
        bool is_socket = sockets_id_of(id, unit->name, (enum activation)kind, ".socket");
        if (!is_socket && (kind != ACTIVATION_SHARED ||
                           !sockets_id_of(id, unit->name, ACTIVATION_SHARED, ".service")))
            continue;
        struct host *host = host_of(hosts, id);
        if (host == NULL)
            hosts->incomplete = true;
        else if (!is_socket)
            host->old_shim = state_of(unit) == UNIT_ACTIVE;
        else {
            host->socket[kind] = state_of(unit);
            host->known[kind] = true;
        }
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

/*
 * Whether it is systemd's socket that is at the path: who listens is known to whoever connects.
 * Asked only where there is reason to doubt it, for it may start a shim.
 */
static bool is_systemds(const char *path)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path); /* it was bound, so it fits */
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        struct ucred who = {.pid = 0};
        socklen_t size = sizeof(who);
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bool connected = fd >= 0 &&
                         connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                         getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;
        bool full = !connected && errno == EAGAIN;
        if (fd >= 0)
            close(fd);
        if (connected || full)
            return full || who.pid == 1;
    }
    return false;
}

/* Sockets of systemd's are given to www. */
static bool is_www(uid_t user)
{
    return www() == NULL || www()->user == user;
}

/* Whether a socket of systemd's listens at the path; also where that is not known. Sets *roots
 * where it is root's still. */
static bool may_be_alive(const char *path, const struct paths *paths, bool *roots)
{
    struct stat status;
    if (!paths->known)
        return true;
    if (lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode) || paths->count == 0)
        return false;
    char **found = bsearch(&path, paths->list, paths->count, sizeof(*paths->list), compare_text);
    if (found == NULL)
        return false;
    char **end = paths->list + paths->count;
    bool twice = (found > paths->list && strcmp(found[-1], path) == 0) ||
                 (found + 1 < end && strcmp(found[1], path) == 0);
    bool alive = (!twice && is_www(status.st_uid)) || is_systemds(path);
    *roots |= alive && status.st_uid == 0;
    return alive;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void look_at_paths(struct hosts *hosts)
{
    struct paths paths = listening_paths();
    if (!paths.known)
        hosts->incomplete = true;
    for (size_t i = 0; i < hosts->wanted; i++) {
        struct host *host = &hosts->list[i];
        host->paths_alive = true;
        host->roots = false;
        for (size_t n = 0; n < host->path_count; n++)
            host->paths_alive &= may_be_alive(host->paths[n], &paths, &host->roots);
    }
    for (size_t i = 0; i < OWN_SOCKETS; i++) {
        struct own_unit *unit = &hosts->own[i];
        bool roots; /* which the unit itself sees to */
        unit->path_alive = may_be_alive(unit->path, &paths, &roots);
        unit->path_blocked = is_folder(unit->path);
        if (unit->path_blocked)
            fprintf(stderr, "lonc-hosts: %s: a folder is where %s should listen\n", unit->path,
                    unit->name);
    }
    free_paths(&paths);
}

/* A unit that systemd does not name is inactive. */
static void forget_states(struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        struct host *host = &hosts->list[i];
        host->socket[0] = host->socket[1] = UNIT_INACTIVE;
        host->known[0] = host->known[1] = host->old_shim = false;
    }
    for (size_t i = 0; i < OWN_UNITS; i++) {
        hosts->own[i].state = UNIT_INACTIVE;
        hosts->own[i].at_rest = true;
        hosts->own[i].running = false;
        hosts->own[i].masked = false;
    }
}

int sockets_look(struct hosts *hosts, struct manager *manager)
{
    /* Not lonc-host-*.service: there may be thousands, and they end by themselves. */
    char *patterns[3 + OWN_UNITS + 1] = {(char[]){"lonc-host-*.socket"},
                                         (char[]){"lonc-shared@*.socket"},
                                         (char[]){"lonc-shared@*.service"}};
    for (size_t i = 0; i < OWN_UNITS; i++)
        patterns[3 + i] = (char *)(uintptr_t)hosts->own[i].name;
    forget_states(hosts);
    int r = manager_list(manager, patterns, note_unit, hosts);
    if (r >= 0)
        look_at_paths(hosts);
    return r;
}

void sockets_keep(struct hosts *hosts, void (*paths_of)(struct host *host))
{
    size_t kept = 0;
    for (size_t i = 0; i < hosts->count; i++) {
        struct host *host = &hosts->list[i];
        bool shared = host->socket[ACTIVATION_SHARED] != UNIT_INACTIVE;
        host->kind = shared ? ACTIVATION_SHARED : ACTIVATION_PER_CONNECTION;
        if (host->socket[host->kind] != UNIT_INACTIVE)
            paths_of(host);
        host->wanted = host->path_count > 0;
        if (host->wanted) { /* those first */
            struct host other = hosts->list[kept];
            hosts->list[kept++] = *host;
            *host = other;
        }
    }
    hosts->wanted = kept;
    if (kept > 0)
        qsort(hosts->list, kept, sizeof(*hosts->list), by_id);
    look_at_paths(hosts);
}

bool sockets_is_served(const struct host *host)
{
    return host->socket[host->kind] == UNIT_ACTIVE && host->paths_alive && !host->moved[host->kind];
}

void sockets_free(struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++)
        free(hosts->list[i].id);
    free(hosts->list);
}
