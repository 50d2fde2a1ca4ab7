/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc-hosts makes the set of started socket units equal to the host table: one for each lonHostID,
 * of the kind that keeper.conf chooses. It also mends what systemd leaves broken: a socket that
 * failed, or whose path is gone. It is for administrators, for the keeper's reload and for a timer,
 * never on a request's way. When the configuration has a mistake it changes nothing.
 *
 *     lonc-hosts [--config FILE] sync [--dry-run]
 *     lonc-hosts [--config FILE] list
 *
 * Exit codes: 0 all is as it should be; 1 the configuration has a mistake; 2 wrong usage; 3 systemd
 * cannot be reached, or could not do something.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/config.h"
#include "units/manager.h"
#include "units/written.h"

enum hosts_exit { HOSTS_DONE = 0, HOSTS_CONFIG = 1, HOSTS_USAGE = 2, HOSTS_SYSTEMD = 3 };

/* For all that is asked of systemd: a start of a socket takes milliseconds. */
#define PATIENCE_SECONDS 30

/* The longest name of a unit is 255 bytes, the longest path of a socket 107. */
#define UNIT_SIZE 256
#define PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

#define KEEPER_CHANNEL "/run/lonc/keeper.sock"
#define KEEPER_CONTROL "/run/lonc/control.sock"

/* What a unit is; "waiting to be started" and the like are none of these, and end by themselves. */
enum unit_state { UNIT_INACTIVE, UNIT_ACTIVE, UNIT_FAILED };

/* One host: what there should be, and what there is. */
struct host {
    char *id;
    bool wanted;               /* it is in the table */
    enum activation kind;      /* which socket it should have */
    enum unit_state socket[2]; /* by enum activation */
    enum unit_state service;   /* the shared one's */
    char path[PATH_SIZE];
    bool path_alive; /* a socket is there, and somebody listens */
};

/* One of the keeper's two sockets, which are only mended. */
struct keeper_socket {
    const char *unit, *path;
    enum unit_state state;
    bool path_alive;
};

struct hosts {
    struct host *list; /* those of the table first, sorted by id */
    size_t count, in_table, room;
    struct keeper_socket keeper[2];
    bool incomplete; /* something could not be looked at, or served */
};

static const char *const socket_prefix[] = {
    [ACTIVATION_PER_CONNECTION] = "lonc-host-",
    [ACTIVATION_SHARED] = "lonc-shared@",
};

static const char *const kind_name[] = {
    [ACTIVATION_PER_CONNECTION] = "per-connection",
    [ACTIVATION_SHARED] = "shared",
};

static void socket_name(char name[UNIT_SIZE], const struct host *host, enum activation kind)
{
    snprintf(name, UNIT_SIZE, "%s%s.socket", socket_prefix[kind], host->id);
}

static void service_name(char name[UNIT_SIZE], const struct host *host)
{
    snprintf(name, UNIT_SIZE, "%s%s.service", socket_prefix[ACTIVATION_SHARED], host->id);
}

/* --- What there should be --------------------------------------------------------------------- */

static struct host *add_host(struct hosts *hosts, const char *id, size_t length)
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
    *host = (struct host){.id = strndup(id, length)};
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

/* False without memory. */
static bool add_table(struct hosts *hosts, const struct config *config)
{
    const struct settings *settings = &config->settings;
    for (size_t i = 0; i < config->table.count; i++) {
        const char *id = config->table.entries[i].id;
        char path[PATH_SIZE];
        int n = snprintf(path, sizeof(path), "%s/%s", config->loncapa.sock_dir, id);
        if (n < 0 || (size_t)n >= sizeof(path)) {
            fprintf(stderr, "lonc-hosts: %s: the path of its socket has %d bytes, more than %zu\n",
                    id, n, sizeof(path) - 1);
            hosts->incomplete = true;
            continue;
        }
        struct host *host = add_host(hosts, id, strlen(id));
        if (host == NULL)
            return false;
        host->wanted = true;
        host->kind = (enum activation)settings->activation;
        if (is_exception(settings->activation_exceptions, id))
            host->kind =
                host->kind == ACTIVATION_SHARED ? ACTIVATION_PER_CONNECTION : ACTIVATION_SHARED;
        memcpy(host->path, path, sizeof(path));
    }
    qsort(hosts->list, hosts->count, sizeof(*hosts->list), by_id);
    hosts->in_table = hosts->count;
    return true;
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

/* The host of a unit's name; one that is not in the table is added behind it. NULL: no memory. */
static struct host *host_of(struct hosts *hosts, const char *id, size_t length)
{
    char copy[UNIT_SIZE];
    snprintf(copy, sizeof(copy), "%.*s", (int)length, id);
    struct host key = {.id = copy};
    struct host *host = hosts->in_table > 0
                            ? bsearch(&key, hosts->list, hosts->in_table, sizeof(key), by_id)
                            : NULL;
    for (size_t i = hosts->in_table; host == NULL && i < hosts->count; i++)
        if (strcmp(hosts->list[i].id, copy) == 0)
            host = &hosts->list[i];
    return host != NULL ? host : add_host(hosts, id, length);
}

/* "lonc-shared@" ID ".socket": where the ID begins and how long it is; false for another unit. */
static bool split_name(const char *name, const char *prefix, const char *suffix, const char **id,
                       size_t *length)
{
    size_t all = strlen(name), before = strlen(prefix), after = strlen(suffix);
    if (all <= before + after || strncmp(name, prefix, before) != 0 ||
        strcmp(name + all - after, suffix) != 0)
        return false;
    *id = name + before;
    *length = all - before - after;
    return true;
}

static void note_unit(void *argument, const struct manager_unit *unit)
{
    struct hosts *hosts = argument;
    const char *id;
    size_t length;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(unit->name, hosts->keeper[i].unit) == 0)
            hosts->keeper[i].state = state_of(unit);
    for (int kind = 0; kind < 2; kind++) {
        bool is_socket = split_name(unit->name, socket_prefix[kind], ".socket", &id, &length);
        bool is_service = kind == ACTIVATION_SHARED &&
                          split_name(unit->name, socket_prefix[kind], ".service", &id, &length);
        if (!is_socket && !is_service)
            continue;
        struct host *host = host_of(hosts, id, length);
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

/* The paths on which this machine listens, one allocation each; NULL, and said, on failure. */
static char **listening_paths(size_t *count)
{
    FILE *file = fopen("/proc/net/unix", "re");
    char **paths = NULL, *line = NULL;
    size_t room = 0, size = 0;
    *count = 0;
    if (file == NULL) {
        perror("lonc-hosts: /proc/net/unix");
        return NULL;
    }
    /* Num RefCount Protocol Flags Type St Inode Path; 0x10000 among the flags: it listens. */
    while (getline(&line, &size, file) > 0) {
        unsigned flags;
        int at = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%*s %*x %*x %x %*x %*x %*u %n", &flags, &at) != 1 || at == 0 ||
            (flags & 0x10000) == 0 || line[at] != '/')
            continue;
        if (*count == room) {
            room = room == 0 ? 256 : 2 * room;
            char **grown = reallocarray(paths, room, sizeof(*paths));
            if (grown == NULL)
                break;
            paths = grown;
        }
        if ((paths[*count] = strdup(line + at)) != NULL)
            ++*count;
    }
    free(line);
    fclose(file);
    if (paths != NULL)
        qsort(paths, *count, sizeof(*paths), compare_text);
    return paths;
}

static bool is_alive(const char *path, char **paths, size_t count)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && paths != NULL &&
           bsearch(&path, paths, count, sizeof(*paths), compare_text) != NULL;
}

/* Without asking anybody: a connect to find out would start a shim. */
static void look_at_paths(struct hosts *hosts)
{
    size_t count;
    char **paths = listening_paths(&count);
    if (paths == NULL)
        hosts->incomplete = true;
    for (size_t i = 0; i < hosts->in_table; i++)
        hosts->list[i].path_alive = paths == NULL || is_alive(hosts->list[i].path, paths, count);
    for (size_t i = 0; i < 2; i++)
        hosts->keeper[i].path_alive =
            paths == NULL || is_alive(hosts->keeper[i].path, paths, count);
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}

static int look(struct hosts *hosts, struct manager *manager)
{
    /* Not lonc-host-*.service: there may be thousands, and they end by themselves. */
    char *patterns[] = {(char[]){"lonc-host-*.socket"}, (char[]){"lonc-shared@*.socket"},
                        (char[]){"lonc-shared@*.service"}, (char[]){"lonc-keeper*.socket"}, NULL};
    int r = manager_list(manager, patterns, note_unit, hosts);
    if (r >= 0)
        look_at_paths(hosts);
    return r;
}

/* --- What is to be done ----------------------------------------------------------------------- */

struct work {
    struct manager *manager;
    bool dry_run;
    unsigned done, failed;
};

static void act(struct work *work, const char *verb, const char *unit, const char *why)
{
    static const struct {
        const char *verb, *word;
    } words[] = {{"StartUnit", "start"},
                 {"StopUnit", "stop"},
                 {"RestartUnit", "restart"},
                 {"ResetFailedUnit", "forget"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(verb, words[i].verb) == 0)
            printf("%s %s%s%s\n", words[i].word, unit, *why != '\0' ? ": " : "", why);
    work->done++;
    if (work->dry_run)
        return;
    if (strcmp(verb, "ResetFailedUnit") != 0)
        manager_queue(work->manager, verb, unit);
    else if (manager_reset_failed(work->manager, unit) < 0)
        work->failed++;
}

static void await(struct work *work)
{
    if (!work->dry_run)
        work->failed += (unsigned)manager_wait(work->manager);
}

static void act_on_socket(struct work *work, const char *verb, const struct host *host,
                          enum activation kind, const char *why)
{
    char unit[UNIT_SIZE];
    socket_name(unit, host, kind);
    act(work, verb, unit, why);
}

static bool is_served(const struct host *host)
{
    return host->socket[host->kind] == UNIT_ACTIVE && host->path_alive;
}

static const char *why_not_served(const struct host *host)
{
    static const char *const others[] = {
        [ACTIVATION_PER_CONNECTION] = "it was shared",
        [ACTIVATION_SHARED] = "it was served per connection",
    };
    if (host->socket[host->kind] == UNIT_FAILED)
        return "it had failed";
    if (host->socket[host->kind] == UNIT_ACTIVE)
        return "its path was gone";
    return host->socket[!host->kind] == UNIT_ACTIVE ? others[host->kind] : "";
}

/* Hosts that are no longer in the table. */
static void remove_strays(struct work *work, const struct hosts *hosts)
{
    static const char why[] = "not in the host table";
    for (size_t i = hosts->in_table; i < hosts->count; i++)
        for (int kind = 0; kind < 2; kind++) {
            const struct host *host = &hosts->list[i];
            if (host->socket[kind] == UNIT_ACTIVE)
                act_on_socket(work, "StopUnit", host, (enum activation)kind, why);
            else if (host->socket[kind] == UNIT_FAILED)
                act_on_socket(work, "ResetFailedUnit", host, (enum activation)kind, why);
        }
}

/*
 * systemd refuses to start a shared socket while its service runs, so that goes first. The socket
 * goes before its service, which then takes who waits in the backlog and leaves: nobody is lost.
 */
static void make_way(struct work *work, const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->in_table; i++) {
        const struct host *host = &hosts->list[i];
        bool restarted = host->kind == ACTIVATION_SHARED && !is_served(host);
        if (restarted && host->socket[ACTIVATION_SHARED] == UNIT_ACTIVE)
            act_on_socket(work, "StopUnit", host, ACTIVATION_SHARED, why_not_served(host));
    }
    await(work);
    for (size_t i = 0; i < hosts->in_table; i++) {
        const struct host *host = &hosts->list[i];
        char unit[UNIT_SIZE];
        service_name(unit, host);
        if (host->kind == ACTIVATION_SHARED && !is_served(host) && host->service == UNIT_ACTIVE)
            act(work, "StopUnit", unit, "its socket is started anew");
    }
    await(work);
}

/* Starting one kind stops the other, in one go (Conflicts= of the unit), so the gap is short. */
static void start_wanted(struct work *work, const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->in_table; i++) {
        const struct host *host = &hosts->list[i];
        bool again =
            host->kind == ACTIVATION_PER_CONNECTION && host->socket[host->kind] == UNIT_ACTIVE;
        if (!is_served(host))
            act_on_socket(work, again ? "RestartUnit" : "StartUnit", host, host->kind,
                          why_not_served(host));
        else if (host->socket[!host->kind] == UNIT_ACTIVE)
            act_on_socket(work, "StopUnit", host, !host->kind, "it is served the other way");
    }
    for (size_t i = 0; i < 2; i++) {
        const struct keeper_socket *socket = &hosts->keeper[i];
        if (socket->state == UNIT_FAILED)
            act(work, "StartUnit", socket->unit, "it had failed");
        else if (socket->state == UNIT_ACTIVE && !socket->path_alive)
            act(work, "RestartUnit", socket->unit, "its path was gone");
    }
    await(work);
}

/* Their sockets are gone; they hand over who had got there, and leave. */
static void stop_services(struct work *work, const struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        const struct host *host = &hosts->list[i];
        char unit[UNIT_SIZE];
        service_name(unit, host);
        if (host->service == UNIT_ACTIVE &&
            (!host->wanted || host->kind == ACTIVATION_PER_CONNECTION))
            act(work, "StopUnit", unit, "its socket is gone");
    }
    await(work);
}

/* --- The verbs -------------------------------------------------------------------------------- */

/* The units' files; a change of what is running is not in it. */
static int write_files(struct written *written, const struct hosts *hosts,
                       const struct config *config)
{
    int r = written_dropins(written, &config->loncapa);
    for (size_t i = 0; r >= 0 && i < hosts->in_table; i++)
        if (hosts->list[i].kind == ACTIVATION_PER_CONNECTION)
            r = written_host(written, &config->loncapa, hosts->list[i].id);
    return r;
}

static bool has_own_units(void *argument, const char *id)
{
    const struct hosts *hosts = argument;
    struct host key = {.id = (char *)(uintptr_t)id};
    const struct host *host = bsearch(&key, hosts->list, hosts->in_table, sizeof(key), by_id);
    return host != NULL && host->kind == ACTIVATION_PER_CONNECTION;
}

static int reread(struct written *written, struct manager *manager)
{
    int r = written->changed && !written->dry_run ? manager_reload(manager) : 0;
    written->changed = false;
    return r;
}

/* Two at once (a reload, the timer) would undo each other's work; the second finds it done. */
static int take_turn(void)
{
    int fd = open("/run/systemd/system", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int tries = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (errno != EWOULDBLOCK || tries == PATIENCE_SECONDS * 20) {
            fputs("lonc-hosts: another one is at work and does not end\n", stderr);
            close(fd);
            return -1;
        }
        poll(NULL, 0, 50);
    }
    return 0; /* until this process ends */
}

static enum hosts_exit sync_hosts(struct hosts *hosts, const struct config *config,
                                  struct manager *manager, bool dry_run)
{
    struct work work = {.manager = manager, .dry_run = dry_run};
    struct written written = {.dry_run = dry_run};
    if (!dry_run && take_turn() < 0)
        return HOSTS_SYSTEMD;
    if (write_files(&written, hosts, config) < 0)
        return HOSTS_SYSTEMD;
    bool changed = written.changed;
    if (written.keeper_changed)
        puts("lonc-keeper.service: restart it, so that it may write there");
    if (reread(&written, manager) < 0 || look(hosts, manager) < 0)
        return HOSTS_SYSTEMD;
    remove_strays(&work, hosts);
    make_way(&work, hosts);
    start_wanted(&work, hosts);
    stop_services(&work, hosts);
    /* Last, since a unit whose file is gone cannot be stopped in good order. */
    if (written_prune(&written, has_own_units, hosts) < 0 || reread(&written, manager) < 0)
        return HOSTS_SYSTEMD;
    if (dry_run && work.done == 0 && !changed)
        puts("nothing to do");
    return work.failed > 0 || hosts->incomplete ? HOSTS_SYSTEMD : HOSTS_DONE;
}

static const char *describe(const struct host *host)
{
    static const char *const words[] = {
        [UNIT_INACTIVE] = "down", [UNIT_ACTIVE] = "listening", [UNIT_FAILED] = "failed"};
    if (!host->wanted)
        return "not in the host table";
    if (host->socket[host->kind] == UNIT_ACTIVE && !host->path_alive)
        return "its path is gone";
    if (host->socket[host->kind] != UNIT_ACTIVE && host->socket[!host->kind] == UNIT_ACTIVE)
        return "served the other way";
    return words[host->socket[host->kind]];
}

static enum hosts_exit list_hosts(struct hosts *hosts, struct manager *manager)
{
    if (look(hosts, manager) < 0)
        return HOSTS_SYSTEMD;
    int width = 4;
    for (size_t i = 0; i < hosts->count; i++)
        if ((int)strlen(hosts->list[i].id) > width)
            width = (int)strlen(hosts->list[i].id);
    printf("%-*s  %-14s  %-21s  %s\n", width, "HOST", "ACTIVATION", "STATE", "SOCKET");
    for (size_t i = 0; i < hosts->count; i++) {
        const struct host *host = &hosts->list[i];
        bool shared = host->socket[ACTIVATION_SHARED] != UNIT_INACTIVE;
        enum activation kind = host->wanted ? host->kind
                               : shared     ? ACTIVATION_SHARED
                                            : ACTIVATION_PER_CONNECTION;
        printf("%-*s  %-14s  %-21s  %s\n", width, host->id, kind_name[kind], describe(host),
               host->wanted ? host->path : "-");
    }
    return hosts->incomplete ? HOSTS_SYSTEMD : HOSTS_DONE;
}

/* --- The command line ------------------------------------------------------------------------- */

static const char help_text[] =
    "lonc-hosts makes the sockets that systemd listens on equal to the host table.\n"
    "\n"
    "usage: lonc-hosts [--config FILE] VERB\n"
    "\n"
    "  sync           start and stop sockets, and restart those that failed or whose path is gone\n"
    "  sync --dry-run only say what sync would do\n"
    "  list           show each host's socket\n"
    "\n"
    "  --config FILE  settings, by default " CONFIG_PATH "\n"
    "\n"
    "Exit codes: 0 all is as it should be, 1 a mistake in the configuration (nothing is changed),\n"
    "2 wrong usage, 3 systemd cannot be reached or could not do something.\n";

struct options {
    const char *config, *verb;
    bool dry_run;
};

static _Noreturn void usage(const char *what, const char *value)
{
    fprintf(stderr, "lonc-hosts: %s%s; see --help\n", what, value);
    exit(HOSTS_USAGE);
}

static void parse_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"dry-run", no_argument, NULL, 'n'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'n':
            options->dry_run = true;
            break;
        case 'V':
            puts("lonc-hosts " LONC_VERSION);
            exit(HOSTS_DONE);
        case 'h':
            fputs(help_text, stdout);
            exit(HOSTS_DONE);
        default:
            exit(HOSTS_USAGE);
        }
    }
    if (optind == argc)
        usage("expected sync or list", "");
    options->verb = argv[optind];
    if (strcmp(options->verb, "sync") != 0 && strcmp(options->verb, "list") != 0)
        usage("no such verb: ", options->verb);
    if (optind + 1 < argc)
        usage("unexpected argument: ", argv[optind + 1]);
    if (options->dry_run && strcmp(options->verb, "sync") != 0)
        usage("--dry-run is for sync", "");
}

static void say(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "lonc-hosts: %s\n", text);
}

static void free_hosts(struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++)
        free(hosts->list[i].id);
    free(hosts->list);
}

static enum hosts_exit run(const struct options *options, const struct config *config)
{
    struct hosts hosts = {
        .keeper = {{.unit = "lonc-keeper.socket", .path = KEEPER_CHANNEL},
                   {.unit = "lonc-keeper-control.socket", .path = KEEPER_CONTROL}},
    };
    struct manager *manager = NULL;
    enum hosts_exit result = HOSTS_SYSTEMD;
    if (!add_table(&hosts, config))
        fputs("lonc-hosts: out of memory\n", stderr);
    else if (manager_open(&manager, PATIENCE_SECONDS) < 0)
        result = HOSTS_SYSTEMD;
    else if (strcmp(options->verb, "list") == 0)
        result = list_hosts(&hosts, manager);
    else
        result = sync_hosts(&hosts, config, manager, options->dry_run);
    manager_close(manager);
    free_hosts(&hosts);
    return result;
}

int main(int argc, char **argv)
{
    struct options options = {.config = NULL};
    struct complaints complaints = {.say = say};
    parse_options(&options, argc, argv);
    struct config *config = config_load(options.config, &complaints);
    enum hosts_exit result = HOSTS_CONFIG;
    if (config == NULL)
        fputs("lonc-hosts: out of memory\n", stderr);
    else if (!config->valid)
        fputs("lonc-hosts: nothing was changed\n", stderr);
    else
        result = run(&options, config);
    config_free(config);
    return (int)result;
}
