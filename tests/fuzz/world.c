/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The world: what keeper.c does at its start, and the seams to kernel and clock.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/unix.h"
#include "keeper/lond/cipher.h"
#include "keeper/lond/credentials.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/peer.h"
#include "tests/fuzz/world.h"

/* Turns of the loop after which something must be going round in circles. */
#define TURNS_MAX 2000

/* Decades ahead of the kernel's clock, so that no timer of sd-event runs out by itself. */
#define CLOCK_START (UINT64_C(1) << 51)

struct world world = {.clock = CLOCK_START};

/* --- Seams ------------------------------------------------------------------------------------ */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_poll(struct pollfd *fds, nfds_t count, int patience);
long __wrap_syscall(long number, ...);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __real_poll(struct pollfd *fds, nfds_t count, int patience);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, now);
    *now = (struct timespec){.tv_sec = (time_t)(world.clock / 1000000),
                             .tv_nsec = (long)(world.clock % 1000000) * 1000};
    return 0;
}

/* The log looks whether standard error takes anything: it does not, but log_also_to hears it. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int patience)
{
    return count == 1 && fds->fd == STDERR_FILENO ? 0 : __real_poll(fds, count, patience);
}

/* No AIO (keeper/deferred/async_fsync.h), so that what is stored is stored when the call returns.
 */
long __wrap_syscall(long number, ...)
{
    (void)number;
    errno = ENOSYS;
    return -1;
}

/* A socket pair has no options of TCP. */
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return level == IPPROTO_TCP ? 0 : __real_setsockopt(fd, level, name, value, size);
}

/* --- Time ------------------------------------------------------------------------------------- */

/* Whatever the kernel has told sd-event by now, it is asked, since a timer may ring a little late.
 */
static bool turn_once(void)
{
    world.core.loop.asking = true;
    int r = loop_turn(&world.core.loop, 0);
    CHECK(r >= 0);
    return r > 0;
}

void world_turn(void)
{
    int turns = 0;
    bool busy;
    do {
        busy = false;
        /* It is asked in two turns: one prepares, the next one looks. */
        while (turn_once() || turn_once()) {
            CHECK(turns++ < TURNS_MAX);
            busy = true;
        }
        busy |= peers_serve();
        CHECK(turns++ < TURNS_MAX);
    } while (busy);
}

/* sd-event does not know of this clock: it is told that the time has come. */
static void ring(sd_event_source *source)
{
    CHECK(loop_alarm(&world.core.loop, &source, CLOCK_MONOTONIC, 1, NULL, NULL) >= 0);
}

static void ring_alarms(void)
{
    struct host *host;
    RB_FOREACH (host, hosts_by_id, &world.hosts.by_id) {
        uint64_t when = 0;
        int on = SD_EVENT_OFF;
        if (host->next_attempt == NULL || sd_event_source_get_enabled(host->next_attempt, &on) < 0 ||
            on == SD_EVENT_OFF || sd_event_source_get_time(host->next_attempt, &when) < 0)
            continue;
        if (when <= world.clock)
            ring(host->next_attempt);
    }
}

void world_pass(uint64_t microseconds)
{
    world_turn();
    world.clock += microseconds;
    ring(world.core.loop.timer);
    ring_alarms();
    world_turn();
}

/* --- Beginning -------------------------------------------------------------------------------- */

static void load_settings(struct settings *settings)
{
    struct diagnostics diagnostics = fuzz_complaints();
    CHECK(settings_load(settings, "/dev/null", false, &diagnostics) == 0);
    settings->line_limit = WORLD_LINE_LIMIT;
    settings->buffers_limit = WORLD_BUFFERS;
    settings->connections_per_host = 3;
    settings->queue_per_host = 6;
    settings->queue_total = 8;
    settings->deferred_memory = 256;
    settings->deferred_arrivals = 4;
    settings->log_target = LOG_TARGET_STDERR;
    settings->log_level = LOG_DEBUG;
    free(settings->state_dir);
    free(settings->runtime_dir);
    settings->state_dir = settings->runtime_dir = (char *)(uintptr_t)fuzz_folder();
}

/* With none, one and two hosts, for as long as the program runs: hosts point to their entries. */
static struct hosttab tables[3];

static void load_tables(void)
{
    static const char text[] = "msul1:msu:library:msul.example.edu:127.0.0.1\n"
                               "msul2:msu:library:msul.example.edu:127.0.0.1\n";
    struct diagnostics diagnostics = fuzz_complaints();
    size_t line = (size_t)(strchr(text, '\n') + 1 - text);
    for (size_t n = 1; n < 3; n++)
        CHECK(hosttab_load(&tables[n], fuzz_file(text, n * line), &diagnostics) == 0);
}

static void configure(void)
{
    static char sockets[128];
    struct config *config = &world.config;
    snprintf(sockets, sizeof(sockets), "%s/sockets", fuzz_folder());
    CHECK(mkdir(sockets, 0700) == 0);
    world.sockets = sockets;
    load_settings(&config->settings);
    load_tables();
    config->loncapa = (struct loncapa){.host_id = (char *)(uintptr_t)WORLD_OWN,
                                       .sock_dir = sockets,
                                       .daemons = (char *)(uintptr_t)fuzz_folder(),
                                       .doc_root = (char *)(uintptr_t)fuzz_folder(),
                                       .lond_port = 5663,
                                       .allow_insecure = true};
    config->valid = true;
}

static void start(void)
{
    static struct credentials credentials;
    struct core *core = &world.core;
    CHECK(cipher_initialize() == 0);
    configure();
    credentials.directory = (char *)(uintptr_t)fuzz_folder();
    world.config.references = 1; /* it stays */
    core->config = &world.config;
    core->settings = world.config.settings;
    core->descriptors_max = 1000;
    core->memory_limit.name = core->descriptor_limit.name = "it";
    buffers_set_limit(WORLD_BUFFERS);
    log_open("fuzz", LOG_TARGET_STDERR, LOG_DEBUG, LOG_JOURNAL_SOCKET);
    CHECK(loop_open(&core->loop) == 0);
    scarcity_init(&core->scarcity, &core->loop, &core->settings.buffers_limit);
    CHECK(hosts_open(&world.hosts, core) == 0);
    world.hosts.londs.credentials = &credentials;
    world.deferred = deferred_new(&world.hosts);
    CHECK(world.deferred != NULL);
}

void world_table(size_t hosts)
{
    struct hosts_change change = {.hosts = &world.hosts, .table = &tables[hosts]};
    CHECK(hosts_prepare_some(&change, world.config.settings.resolve) == 0);
    world.config.table = tables[hosts];
    while (hosts_apply_some(&change))
        continue;
    hosts_change_end(&change);
    if (world.deferring)
        deferred_reload(world.deferred);
}

void world_begin(void)
{
    if (world.deferred == NULL)
        start();
    world.clients = clients_new(&world.hosts, world.deferred);
    CHECK(world.clients != NULL);
    /* All that lasts beyond a host. */
    stats_init(&world.core.stats, world.clock);
    world.core.settings.log_transactions = 1;
    world.core.loop.now = world.clock;
    peers_begin();
    world_table(2);
}

/* --- The end ---------------------------------------------------------------------------------- */

void world_end(void)
{
    struct core *core = &world.core;
    hosts_abandon(&world.hosts);
    world_table(0);
    world_turn();
    CHECK(RB_EMPTY(&world.hosts.by_id));
    CHECK(world.hosts.queued == 0);
    CHECK(core->descriptors == 0);
    CHECK(clients_count(world.clients) == 0);
    clients_free(world.clients); /* with what they keep for the next ones */
    CHECK(buffers_used() == world.hosts.londs.spare.size);
    peers_end();
}

int world_connect(const char *name, int *near)
{
    /* One listener for each name, for all inputs. */
    static struct {
        char path[160];
        int fd;
    } listeners[4];
    char path[160];
    size_t i = 0;
    snprintf(path, sizeof(path), "%s/%s", world.sockets, name);
    while (listeners[i].path[0] != '\0' && strcmp(listeners[i].path, path) != 0)
        i++;
    CHECK(i < 4);
    if (listeners[i].path[0] == '\0') {
        strcpy(listeners[i].path, path);
        listeners[i].fd = unix_listen(path, SOCK_STREAM);
        CHECK(listeners[i].fd >= 0);
    }
    struct sockaddr_un address;
    CHECK(unix_address(&address, path) == 0);
    *near = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(*near >= 0 && connect(*near, (struct sockaddr *)&address, sizeof(address)) == 0);
    int far = accept4(listeners[i].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(far >= 0);
    return far;
}
