/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc-hosts makes the set of started socket units equal to the host table: one unit for each
 * lonHostID, of the kind that keeper.conf chooses. It also mends what systemd leaves broken: a
 * socket that failed or whose path is gone. Administrators, the keeper's reload and a timer run it;
 * no request ever waits for it. If the configuration has a mistake, it only mends.
 *
 *     lonc-hosts [--config FILE] sync [--dry-run]
 *     lonc-hosts [--config FILE] list
 *
 * Exit codes: 0 all is as it should be; 1 the configuration has a mistake; 2 wrong usage; 3 systemd
 * cannot be reached, or could not do something.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"
#include "common/options.h"
#include "units/lonc-hosts/dropins.h"
#include "units/lonc-hosts/expected.h"
#include "units/lonc-hosts/manager.h"
#include "units/lonc-hosts/sockets.h"
#include "units/lonc-hosts/sync.h"
#include "units/lonc-hosts/unit_files.h"

enum hosts_exit { HOSTS_DONE = 0, HOSTS_CONFIG = 1, HOSTS_USAGE = 2, HOSTS_SYSTEMD = 3 };

/* For everything that one sync asks of systemd. Starting a socket takes milliseconds. */
#define PATIENCE_SECONDS 30

/* How many syncs one process does in a row if the keeper keeps asking for another. After that, the
 * timer starts the next one. */
#define SYNCS_MAX 3

static const char *const kind_name[] = {
    [ACTIVATION_PER_CONNECTION] = "per-connection",
    [ACTIVATION_SHARED] = "shared",
};

/* What the verbs work with. */
struct work {
    const struct config *config;
    struct manager *manager;
    struct unit_files files;
    struct host_list hosts;
};

/* --- sync ------------------------------------------------------------------------------------- */

/* Two syncs at once (a reload, the timer) would undo each other's steps. The second one waits, and
 * then finds everything done. The lock lasts until this process ends. */
static int lock_syncs(void)
{
    static bool locked;
    if (locked)
        return 0;
    int fd = open("/run/systemd/system", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int tries = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        int error = errno;
        if (error != EWOULDBLOCK || tries == PATIENCE_SECONDS * 20) {
            fputs("lonc-hosts: another lonc-hosts is at work and does not end\n", stderr);
            close(fd);
            return -error;
        }
        poll(NULL, 0, 50);
    }
    locked = true;
    return 0;
}

/* Without a valid table, the sockets that are found first are those that there should be. */
static int look_at_sockets(struct work *work)
{
    int r = sockets_look(&work->hosts, work->manager, &work->files);
    if (r == 0 && !work->config->valid && work->hosts.wanted == 0) {
        expected_from_found(&work->hosts, &work->files);
        sockets_look_at_paths(&work->hosts);
    }
    return r;
}

/* Writes the unit files. What is running does not change. */
static int write_files(struct work *work)
{
    int r = unit_files_write_dropins(&work->files, work->config);
    for (size_t i = 0; r >= 0 && i < work->hosts.wanted; i++)
        r = unit_files_write_host(&work->files, &work->hosts.list[i]);
    return r;
}

/* The state of a host's sockets, as a phrase. */
static const char *describe(const struct host *host)
{
    static const char *const words[] = {
        [UNIT_INACTIVE] = "down", [UNIT_ACTIVE] = "listening", [UNIT_FAILED] = "failed"};
    if (!host->wanted)
        return "no longer needed";
    if (host->found.moved[host->kind])
        return "its paths have changed";
    if (host->found.socket[host->kind] == UNIT_ACTIVE && !host->found.paths_alive)
        return "its path is gone";
    if (host->found.socket[host->kind] != UNIT_ACTIVE &&
        host->found.socket[!host->kind] == UNIT_ACTIVE)
        return "served the other way";
    return words[host->found.socket[host->kind]];
}

static void print_unserved(FILE *text, const struct host_list *hosts)
{
    for (size_t i = 0; i < OWN_SOCKETS; i++)
        if (!hosts->own[i].path_alive && hosts->own[OWN_TARGET].state == UNIT_ACTIVE)
            fprintf(text, "%s: nobody listens there\n", hosts->own[i].path);
    for (size_t i = 0; i < hosts->wanted; i++)
        for (size_t n = 0; n < hosts->list[i].path_count; n++)
            if (!host_list_is_served(&hosts->list[i]))
                fprintf(text, "%s: %s\n", hosts->list[i].paths[n], describe(&hosts->list[i]));
}

/* Tells the keeper which sockets are still not as they should be. Looks again if the sync has
 * changed something. */
static int report_unserved(struct work *work, bool changed)
{
    char *lines = NULL;
    size_t size;
    int r = changed ? look_at_sockets(work) : 0;
    if (r < 0)
        return r;
    FILE *text = open_memstream(&lines, &size);
    if (text == NULL)
        return -errno;
    print_unserved(text, &work->hosts);
    r = fclose(text) == 0 ? unit_files_write_unserved(work->config->settings.runtime_dir, lines)
                          : -errno;
    free(lines);
    return r;
}

static enum hosts_exit sync_result(const struct work *work, const struct sync *sync)
{
    bool all_good = sync->failed == 0 && !work->hosts.has_unservable && !work->hosts.has_unknown;
    return all_good ? HOSTS_DONE : HOSTS_SYSTEMD;
}

static enum hosts_exit sync_hosts(struct work *work, bool dry_run)
{
    struct sync sync = {.manager = work->manager, .dry_run = dry_run};
    struct unit_files *files = &work->files;
    if ((!dry_run && lock_syncs() < 0) || look_at_sockets(work) < 0)
        return HOSTS_SYSTEMD;
    sync_stop_sockets(&sync, &work->hosts);
    if (write_files(work) < 0)
        return HOSTS_SYSTEMD;
    if (files->needs_reload && !dry_run && manager_reload(work->manager) < 0)
        return HOSTS_SYSTEMD;
    sync_start_sockets(&sync, &work->hosts);
    /* Only now: a unit whose file is gone cannot be stopped in good order. */
    if (unit_files_prune(files, &work->hosts) < 0)
        return HOSTS_SYSTEMD;
    sync_restart_outdated_keeper(&sync, &work->hosts, files);
    bool changed = files->needs_reload || files->hosts_changed || sync.done > 0;
    if (dry_run && !changed)
        puts("nothing to do");
    if (changed) /* otherwise the timer would repeat the report each minute */
        dropins_report(&work->hosts);
    if (!dry_run && report_unserved(work, sync.done > 0) < 0)
        return HOSTS_SYSTEMD;
    return sync_result(work, &sync);
}

/* Without a valid table: writes no unit, and stops no socket for good. */
static enum hosts_exit mend_hosts(struct work *work, bool dry_run)
{
    struct sync sync = {.manager = work->manager, .dry_run = dry_run};
    if ((!dry_run && lock_syncs() < 0) || look_at_sockets(work) < 0)
        return HOSTS_SYSTEMD;
    sync_stop_sockets(&sync, &work->hosts);
    sync_start_sockets(&sync, &work->hosts);
    fputs("lonc-hosts: the hosts and their paths stay as they are\n", stderr);
    if (!dry_run && report_unserved(work, sync.done > 0) < 0)
        return HOSTS_SYSTEMD;
    return sync_result(work, &sync);
}

/* --- list ------------------------------------------------------------------------------------- */

static void print_host(const struct host *host, int width)
{
    bool shared = host->found.socket[ACTIVATION_SHARED] != UNIT_INACTIVE;
    enum activation kind = host->wanted ? host->kind
                           : shared     ? ACTIVATION_SHARED
                                        : ACTIVATION_PER_CONNECTION;
    printf("%-*s  %-14s  %-22s  %s", width, host->id, kind_name[kind], describe(host),
           host->wanted ? host->paths[0] : "-");
    for (size_t i = 1; i < host->path_count; i++)
        printf(" %s", host->paths[i]);
    putchar('\n');
}

static enum hosts_exit list_hosts(struct work *work)
{
    const struct host_list *hosts = &work->hosts;
    if (look_at_sockets(work) < 0)
        return HOSTS_SYSTEMD;
    int width = 4;
    for (size_t i = 0; i < hosts->count; i++)
        if ((int)strlen(hosts->list[i].id) > width)
            width = (int)strlen(hosts->list[i].id);
    printf("%-*s  %-14s  %-22s  %s\n", width, "HOST", "ACTIVATION", "STATE", "SOCKETS");
    for (size_t i = 0; i < hosts->count; i++)
        print_host(&hosts->list[i], width);
    dropins_report(hosts);
    return hosts->has_unservable || hosts->has_unknown ? HOSTS_SYSTEMD : HOSTS_DONE;
}

/* --- The command line ------------------------------------------------------------------------- */

static const struct option_row option_rows[] = {
    {"dry-run", 'n', NULL, "with sync: only say what it would do"},
    {"config", 'c', "FILE", "settings, by default " CONFIG_PATH},
    {"version", OPTION_VERSION, NULL, "print the version"},
    {"help", OPTION_HELP, NULL, "print this help"},
};
static const struct option_word verb_rows[] = {
    {"sync", "start and stop sockets, and restart those that failed or whose path is gone"},
    {"list", "show each host's sockets"},
};
static const char *const help_notes[] = {
    "Exit codes: 0 all is as it should be, 1 a mistake in the configuration (sockets are only "
    "mended), 2 wrong usage, 3 systemd cannot be reached or could not do something.",
    NULL,
};
static const struct command_line command_line = {
    .program = "lonc-hosts",
    OPTION_ROWS(option_rows),
    .misuse = HOSTS_USAGE,
    .purpose = "lonc-hosts makes the sockets that systemd listens on equal to the host table.",
    .usage = "VERB",
    OPTION_WORDS(verb_rows),
    .notes = help_notes,
};

struct invocation {
    const char *config, *verb;
    bool dry_run;
};

static void parse_command_line(struct invocation *invocation, int argc, char **argv)
{
    struct options options;
    int option;
    options_start(&options, &command_line, argc, argv);
    while ((option = options_next(&options)) != OPTION_END)
        switch (option) {
        case 'c':
            invocation->config = options.value;
            break;
        case 'n':
            invocation->dry_run = true;
            break;
        }
    if (options.word_count == 0)
        options_misuse(&command_line, "expected sync or list", NULL);
    invocation->verb = options.words[0];
    if (strcmp(invocation->verb, "sync") != 0 && strcmp(invocation->verb, "list") != 0)
        options_misuse(&command_line, "no such verb", invocation->verb);
    if (options.word_count > 1)
        options_misuse(&command_line, "unexpected argument", options.words[1]);
    if (invocation->dry_run && strcmp(invocation->verb, "sync") != 0)
        options_misuse(&command_line, "--dry-run is for sync", NULL);
}

static void print_diagnostic(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "lonc-hosts: %s\n", text);
}

static enum hosts_exit do_verb(struct work *work, const struct invocation *invocation)
{
    if (strcmp(invocation->verb, "list") == 0)
        return list_hosts(work);
    return work->config->valid ? sync_hosts(work, invocation->dry_run)
                               : mend_hosts(work, invocation->dry_run);
}

static enum hosts_exit run_with(const struct config *config, const struct invocation *invocation)
{
    struct work work = {.config = config};
    enum hosts_exit result = HOSTS_SYSTEMD;
    unit_files_init(&work.files, invocation->dry_run);
    host_list_init(&work.hosts);
    if (config->valid && expected_from_table(&work.hosts, config) < 0)
        fputs("lonc-hosts: out of memory\n", stderr);
    else if (manager_open(&work.manager, PATIENCE_SECONDS) == 0)
        result = do_verb(&work, invocation);
    manager_close(work.manager);
    host_list_free(&work.hosts);
    return config->valid ? result : HOSTS_CONFIG;
}

static enum hosts_exit run_once(const struct invocation *invocation)
{
    struct diagnostics diagnostics = {.say = print_diagnostic};
    struct config *config = config_load(invocation->config, &diagnostics);
    enum hosts_exit result = HOSTS_CONFIG;
    if (config == NULL)
        fputs("lonc-hosts: out of memory\n", stderr);
    else
        result = run_with(config, invocation);
    config_unref(config);
    return result;
}

/* When the keeper last asked for a sync, by touching this file; all zero if it never did. */
static struct timespec last_request(void)
{
    struct stat status = {.st_size = 0};
    (void)stat("/run/lonc/reloaded", &status);
    return status.st_mtim;
}

int main(int argc, char **argv)
{
    struct invocation invocation = {.config = NULL};
    parse_command_line(&invocation, argc, argv);
    enum hosts_exit result = HOSTS_DONE;
    bool syncs = strcmp(invocation.verb, "sync") == 0 && !invocation.dry_run, again = true;
    /* lonc-reloaded.path does not notice a touch while the service that it starts is running. So
     * this process looks itself whether there was another. */
    for (int i = 0; again && i < SYNCS_MAX; i++) {
        struct timespec before = last_request();
        result = run_once(&invocation);
        struct timespec after = last_request();
        again = syncs && (before.tv_sec != after.tv_sec || before.tv_nsec != after.tv_nsec);
    }
    return (int)result;
}
