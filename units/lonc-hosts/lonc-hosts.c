/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc-hosts makes the set of started socket units equal to the host table: one for each lonHostID,
 * of the kind that keeper.conf chooses. It also mends what systemd leaves broken: a socket that
 * failed, or whose path is gone. It is for administrators, for the keeper's reload and for a timer,
 * never on a request's way. When the configuration has a mistake it only mends.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"
#include "units/lonc-hosts/dropins.h"
#include "units/lonc-hosts/manager.h"
#include "units/lonc-hosts/sockets.h"
#include "units/lonc-hosts/sync.h"
#include "units/lonc-hosts/unit_files.h"

enum hosts_exit { HOSTS_DONE = 0, HOSTS_CONFIG = 1, HOSTS_USAGE = 2, HOSTS_SYSTEMD = 3 };

/* For all that is asked of systemd: a start of a socket takes milliseconds. */
#define PATIENCE_SECONDS 30

/* In a row, where the keeper asks for another sync while one is at work; the timer comes after. */
#define RUNS_MAX 3

static const char *const kind_name[] = {
    [ACTIVATION_PER_CONNECTION] = "per-connection",
    [ACTIVATION_SHARED] = "shared",
};

/* --- The verbs -------------------------------------------------------------------------------- */

/* The units' files; a change of what is running is not in it. */
static int write_files(struct unit_files *unit_files, const struct hosts *hosts,
                       const struct config *config)
{
    int r = unit_files_dropins(unit_files, config);
    for (size_t i = 0; r >= 0 && i < hosts->wanted; i++)
        r = unit_files_host(unit_files, &hosts->list[i]);
    return r;
}

static void find_moved(struct hosts *hosts)
{
    for (size_t i = 0; i < hosts->wanted; i++)
        for (int kind = 0; kind < 2; kind++) {
            struct host *host = &hosts->list[i];
            host->moved[kind] = host->socket[kind] == UNIT_ACTIVE &&
                                !unit_files_has_paths(host, (enum activation)kind);
        }
}

/* What there is, beside what there should be: without a valid table, what there is already. */
static int look(struct hosts *hosts, const struct config *config, struct manager *manager)
{
    int r = sockets_look(hosts, manager);
    if (r < 0)
        return r;
    if (config->valid)
        find_moved(hosts);
    else if (hosts->wanted == 0)
        sockets_keep(hosts, unit_files_take_paths);
    return 0;
}

static int reread(struct unit_files *unit_files, struct manager *manager)
{
    int r = unit_files->changed && !unit_files->dry_run ? manager_reload(manager) : 0;
    unit_files->changed = false;
    return r;
}

/* Two at once (a reload, the timer) would undo each other's sync; the second finds it done. */
static int take_turn(void)
{
    static bool taken;
    if (taken)
        return 0;
    int fd = open("/run/systemd/system", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int tries = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (errno != EWOULDBLOCK || tries == PATIENCE_SECONDS * 20) {
            fputs("lonc-hosts: another one is at work and does not end\n", stderr);
            close(fd);
            return -1;
        }
        poll(NULL, 0, 50);
    }
    taken = true; /* until this process ends */
    return 0;
}

static const char *describe(const struct host *host)
{
    static const char *const words[] = {
        [UNIT_INACTIVE] = "down", [UNIT_ACTIVE] = "listening", [UNIT_FAILED] = "failed"};
    if (!host->wanted)
        return "not to be served";
    if (host->moved[host->kind])
        return "its paths have changed";
    if (host->socket[host->kind] == UNIT_ACTIVE && !host->paths_alive)
        return "its path is gone";
    if (host->socket[host->kind] != UNIT_ACTIVE && host->socket[!host->kind] == UNIT_ACTIVE)
        return "served the other way";
    return words[host->socket[host->kind]];
}

/* Looks again, and leaves word of what is not as it should be even now. */
static int tell_unserved(struct hosts *hosts, const struct config *config, struct manager *manager,
                         bool changed)
{
    char *lines = NULL;
    size_t size;
    if (changed && look(hosts, config, manager) < 0)
        return -1;
    FILE *text = open_memstream(&lines, &size);
    for (size_t i = 0; text != NULL && i < OWN_SOCKETS; i++)
        if (!hosts->own[i].path_alive && hosts->own[OWN_TARGET].state == UNIT_ACTIVE)
            fprintf(text, "%s: nobody listens there\n", hosts->own[i].path);
    for (size_t i = 0; text != NULL && i < hosts->wanted; i++)
        for (size_t n = 0; n < hosts->list[i].path_count; n++)
            if (!sockets_is_served(&hosts->list[i]))
                fprintf(text, "%s: %s\n", hosts->list[i].paths[n], describe(&hosts->list[i]));
    int r = text == NULL || fclose(text) != 0
                ? -1
                : unit_files_unserved(config->settings.runtime_dir, lines);
    free(lines);
    return r;
}

static enum hosts_exit sync_hosts(struct hosts *hosts, const struct config *config,
                                  struct manager *manager, bool dry_run)
{
    struct sync sync = {.manager = manager, .dry_run = dry_run};
    struct unit_files unit_files = {.dry_run = dry_run};
    if (!dry_run && take_turn() < 0)
        return HOSTS_SYSTEMD;
    if (look(hosts, config, manager) < 0)
        return HOSTS_SYSTEMD;
    sync_make_way(&sync, hosts);
    if (write_files(&unit_files, hosts, config) < 0)
        return HOSTS_SYSTEMD;
    bool changed = unit_files.changed;
    if (reread(&unit_files, manager) < 0)
        return HOSTS_SYSTEMD;
    sync_serve(&sync, hosts);
    /* Last, since a unit whose file is gone cannot be stopped in good order. */
    if (unit_files_prune(&unit_files, hosts) < 0)
        return HOSTS_SYSTEMD;
    sync_renew_keeper(&sync, hosts);
    changed |= unit_files.hosts || sync.done > 0;
    if (dry_run && !changed)
        puts("nothing to do");
    if (changed) /* not each minute */
        dropins_report(hosts);
    if (!dry_run && tell_unserved(hosts, config, manager, sync.done > 0) < 0)
        return HOSTS_SYSTEMD;
    return sync.failed > 0 || hosts->incomplete ? HOSTS_SYSTEMD : HOSTS_DONE;
}

/* Without a valid table: nothing is written, and no socket is stopped for good. */
static enum hosts_exit mend_hosts(struct hosts *hosts, const struct config *config,
                                  struct manager *manager, bool dry_run)
{
    struct sync sync = {.manager = manager, .dry_run = dry_run};
    if ((!dry_run && take_turn() < 0) || look(hosts, config, manager) < 0)
        return HOSTS_SYSTEMD;
    sync_make_way(&sync, hosts);
    sync_serve(&sync, hosts);
    fputs("lonc-hosts: the hosts and their paths stay as they are\n", stderr);
    if (!dry_run && tell_unserved(hosts, config, manager, sync.done > 0) < 0)
        return HOSTS_SYSTEMD;
    return sync.failed > 0 || hosts->incomplete ? HOSTS_SYSTEMD : HOSTS_DONE;
}

static enum hosts_exit list_hosts(struct hosts *hosts, const struct config *config,
                                  struct manager *manager)
{
    if (look(hosts, config, manager) < 0)
        return HOSTS_SYSTEMD;
    int width = 4;
    for (size_t i = 0; i < hosts->count; i++)
        if ((int)strlen(hosts->list[i].id) > width)
            width = (int)strlen(hosts->list[i].id);
    printf("%-*s  %-14s  %-22s  %s\n", width, "HOST", "ACTIVATION", "STATE", "SOCKETS");
    for (size_t i = 0; i < hosts->count; i++) {
        const struct host *host = &hosts->list[i];
        bool shared = host->socket[ACTIVATION_SHARED] != UNIT_INACTIVE;
        enum activation kind = host->wanted ? host->kind
                               : shared     ? ACTIVATION_SHARED
                                            : ACTIVATION_PER_CONNECTION;
        printf("%-*s  %-14s  %-22s  %s", width, host->id, kind_name[kind], describe(host),
               host->wanted ? host->paths[0] : "-");
        for (size_t n = 1; n < host->path_count; n++)
            printf(" %s", host->paths[n]);
        putchar('\n');
    }
    dropins_report(hosts);
    return hosts->incomplete ? HOSTS_SYSTEMD : HOSTS_DONE;
}

/* --- The command line ------------------------------------------------------------------------- */

static const char help_text[] =
    "lonc-hosts makes the sockets that systemd listens on equal to the host table.\n"
    "\n"
    "usage: lonc-hosts [--config FILE] VERB\n"
    "\n"
    "  sync           start and stop sockets, and restart those that failed or whose\n"
    "                 path is gone\n"
    "  sync --dry-run only say what sync would do\n"
    "  list           show each host's sockets\n"
    "\n"
    "  --config FILE  settings, by default " CONFIG_PATH "\n"
    "\n"
    "Exit codes: 0 all is as it should be, 1 a mistake in the configuration (sockets\n"
    "are only mended), 2 wrong usage, 3 systemd cannot be reached or could not do\n"
    "something.\n";

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

static enum hosts_exit run(const struct options *options, const struct config *config)
{
    struct hosts hosts;
    struct manager *manager = NULL;
    enum hosts_exit result = HOSTS_SYSTEMD;
    bool expected = true;
    if (config->valid)
        expected = sockets_expect(&hosts, config);
    else
        sockets_expect_nothing(&hosts);
    if (!expected || manager_open(&manager, PATIENCE_SECONDS) < 0)
        result = HOSTS_SYSTEMD;
    else if (strcmp(options->verb, "list") == 0)
        result = list_hosts(&hosts, config, manager);
    else if (config->valid)
        result = sync_hosts(&hosts, config, manager, options->dry_run);
    else
        result = mend_hosts(&hosts, config, manager, options->dry_run);
    manager_close(manager);
    sockets_free(&hosts);
    return config->valid ? result : HOSTS_CONFIG;
}

/* When the keeper asked last for a sync, as lonc-reloaded.path learns it; all zero for never. */
static struct timespec asked(void)
{
    struct stat status = {.st_size = 0};
    (void)stat("/run/lonc/reloaded", &status);
    return status.st_mtim;
}

static enum hosts_exit run_once(const struct options *options)
{
    struct diagnostics diagnostics = {.say = say};
    struct config *config = config_load(options->config, &diagnostics);
    enum hosts_exit result = HOSTS_CONFIG;
    if (config == NULL)
        fputs("lonc-hosts: out of memory\n", stderr);
    else
        result = run(options, config);
    config_unref(config);
    return result;
}

int main(int argc, char **argv)
{
    struct options options = {.config = NULL};
    parse_options(&options, argc, argv);
    enum hosts_exit result = HOSTS_DONE;
    bool syncs = strcmp(options.verb, "sync") == 0 && !options.dry_run, again = true;
    /* What a path unit hears while its service runs is lost: so it is looked for here. */
    for (int i = 0; again && i < RUNS_MAX; i++) {
        struct timespec before = asked();
        result = run_once(&options);
        struct timespec after = asked();
        again = syncs && (before.tv_sec != after.tv_sec || before.tv_nsec != after.tv_nsec);
    }
    return (int)result;
}
