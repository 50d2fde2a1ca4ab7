/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's life: sockets, signals, reload, stop. What happens to a request is decided below, in
 * client.c and host.c.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"
#include "common/unix.h"
#include "keeper/client.h"
#include "keeper/hosts.h"
#include "keeper/intake.h"
#include "keeper/keeper.h"

struct keeper {
    struct service service;
    struct hosts hosts;
    struct deferred *deferred;
    struct clients *clients;
    struct intake *intake;
    sd_event_source *drain_end;
    const char *config_path;
    char *bound_path; /* of the channel, when it was bound here and not by systemd */
};

static void say(void *argument, const char *text)
{
    (void)argument;
    log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_LOAD_FAILED}, "%s", text);
}

/* --- Configuration ---------------------------------------------------------------------------- */

static void put_into_force(struct keeper *keeper, struct config *config)
{
    struct service *service = &keeper->service;
    struct config *old = service->config;
    service->config = config;
    service->settings = config->settings;
    buffers_set_limit(config->settings.buffers_limit);
    log_open("lonc-keeper", (enum log_target)config->settings.log_target,
             (int)config->settings.log_level, LOG_JOURNAL_SOCKET);
    if (config->valid && hosts_apply(&keeper->hosts) < 0)
        log_write(LOG_CRIT, NULL, "no memory for all hosts of the table");
    if (config->valid)
        deferred_reload(keeper->deferred);
    config_free(old); /* hosts no longer point into it */
    if (config->valid)
        log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_LOADED},
                  "%zu hosts in force, as %s", keeper->hosts.count, config->loncapa.host_id);
    else
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_LOAD_FAILED},
                  "no valid configuration: every request is answered con_lost until a reload");
}

/* All or nothing: what is wrong leaves the old configuration in force (DESIGN.md rule 9). */
static void reload(struct keeper *keeper)
{
    struct complaints complaints = {.say = say};
    struct config *config = config_load(keeper->config_path, &complaints);
    if (config != NULL && config->valid) {
        put_into_force(keeper, config);
        hosts_forgive(&keeper->hosts);
        return;
    }
    config_free(config);
    log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_LOAD_FAILED},
              "reload failed with %u complaints; the old configuration stays in force",
              complaints.count);
}

/* --- Leaving ---------------------------------------------------------------------------------- */

static void leave(void *argument)
{
    struct keeper *keeper = argument;
    sd_event_exit(keeper->service.loop.event, 0);
}

/* Clients first, since what they leave may be stored; then what is being delivered. */
static void drain_deferred(void *argument)
{
    struct keeper *keeper = argument;
    deferred_drain(keeper->deferred, leave, keeper);
}

static int on_drain_end(sd_event_source *source, uint64_t when, void *argument)
{
    struct keeper *keeper = argument;
    (void)source;
    (void)when;
    log_write(LOG_NOTICE, NULL, "time is up: what is in flight is answered con_lost");
    hosts_abandon(&keeper->hosts);
    leave(keeper);
    return 0;
}

/*
 * Finishes what is in flight, answers what is queued, and leaves; at once when there is nothing.
 * Nobody new is taken: newcomers wait in the channel's backlog for the next keeper.
 */
static void drain(struct keeper *keeper)
{
    struct service *service = &keeper->service;
    if (service->stopping) { /* asked twice */
        leave(keeper);
        return;
    }
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_STOPPING},
              "stopping: %zu clients, %zu requests queued", clients_count(keeper->clients),
              service->queued);
    int r = sd_event_add_time_relative(service->loop.event, &keeper->drain_end, CLOCK_MONOTONIC,
                                       service->settings.drain_timeout, LOOP_TIMER_ACCURACY,
                                       on_drain_end, keeper);
    if (r < 0) {
        leave(keeper);
        return;
    }
    service->stopping = true;
    intake_stop(keeper->intake);
    hosts_stop(&keeper->hosts);
    clients_drain(keeper->clients, drain_deferred, keeper);
}

/* --- Signals ---------------------------------------------------------------------------------- */

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *argument)
{
    struct keeper *keeper = argument;
    (void)source;
    keeper->service.loop.now = loop_clock();
    switch ((int)info->ssi_signo) {
    case SIGHUP:
    case SIGUSR2: /* lonManage and others send it (PROTOCOL.md section 6) */
        reload(keeper);
        break;
    case SIGUSR1:
        hosts_forgive(&keeper->hosts);
        break;
    case SIGQUIT:
        leave(keeper);
        break;
    default:
        drain(keeper);
        break;
    }
    return 0;
}

static int hear_signals(struct keeper *keeper)
{
    static const int signals[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGQUIT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        int r =
            sd_event_add_signal(keeper->service.loop.event, NULL, signals[i], on_signal, keeper);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- Sockets ---------------------------------------------------------------------------------- */

/* The listener that systemd passes under this name, or -1. Others are left alone. */
static int passed_socket(const char *wanted, int type)
{
    char **names = NULL;
    int result = -1;
    int n = sd_listen_fds_with_names(false, &names);
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        bool right = strcmp(names[i], wanted) == 0;
        if (right && sd_is_socket(fd, AF_UNIX, type, 1) > 0)
            result = fd;
        else if (right)
            log_write(LOG_ERR, NULL, "the socket named %s is not of the type expected", wanted);
        free(names[i]);
    }
    free(names);
    return result;
}

/* Under systemd the channel is passed; else it is bound here. A descriptor, or a negative errno. */
static int open_channel(struct keeper *keeper)
{
    int fd = passed_socket("channel", SOCK_SEQPACKET);
    if (fd >= 0)
        return fd;
    const char *directory = keeper->service.settings.runtime_dir;
    if (asprintf(&keeper->bound_path, "%s/keeper.sock", directory) < 0) {
        keeper->bound_path = NULL;
        return -ENOMEM;
    }
    fd = unix_listen(keeper->bound_path, SOCK_SEQPACKET);
    if (fd < 0) {
        log_write(LOG_CRIT, NULL, "cannot listen at %s: %s", keeper->bound_path, strerror(-fd));
        free(keeper->bound_path);
        keeper->bound_path = NULL;
    }
    return fd;
}

/* As many as allowed; and how many are in use already, those of libraries included. */
static void count_descriptors(struct service *service)
{
    struct rlimit limit = {.rlim_cur = 1024};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        rlim_t soft = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = soft;
    }
    service->descriptors_max = (size_t)limit.rlim_cur;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL)
        service->descriptors++;
    if (directory != NULL)
        closedir(directory);
}

/* --- Life ------------------------------------------------------------------------------------- */

static int start(struct keeper *keeper, struct config *config)
{
    struct service *service = &keeper->service;
    service->hosts = &keeper->hosts;
    service->queue_limit.name = "requests queued for all hosts";
    service->memory_limit.name = "memory of all buffers";
    service->descriptor_limit.name = "open descriptors";
    /* Deadlines point at the settings, so these come first. */
    service->config = config;
    service->settings = config->settings;
    int r = loop_open(&service->loop);
    if (r < 0)
        return r;
    lond_setup(service);
    host_setup(service);
    hosts_setup(&keeper->hosts, service);
    keeper->deferred = deferred_new(service);
    if (keeper->deferred == NULL)
        return -ENOMEM;
    keeper->clients = clients_new(service, keeper->deferred);
    if (keeper->clients == NULL)
        return -ENOMEM;
    r = hear_signals(keeper);
    if (r < 0)
        return r;
    int channel = open_channel(keeper);
    if (channel < 0)
        return channel;
    count_descriptors(service);
    keeper->intake = intake_new(service, keeper->clients, channel);
    return keeper->intake != NULL ? 0 : -ENOMEM;
}

static void finish(struct keeper *keeper)
{
    if (keeper->bound_path != NULL)
        unlink(keeper->bound_path);
    free(keeper->bound_path);
    sd_event_source_disable_unref(keeper->drain_end);
    /* Whoever still waits is answered, and lets go of its host. */
    keeper->service.stopping = true;
    hosts_stop(&keeper->hosts);
    hosts_abandon(&keeper->hosts);
    intake_free(keeper->intake);
    deferred_free(keeper->deferred);
    clients_free(keeper->clients);
    hosts_free(&keeper->hosts);
    buffer_free(&keeper->service.reply);
    loop_close(&keeper->service.loop);
    config_free(keeper->service.config);
}

int keeper_run(struct config *config, const char *config_path)
{
    static struct keeper keeper;
    keeper.config_path = config_path;
    signal(SIGPIPE, SIG_IGN);
    int r = start(&keeper, config);
    if (r >= 0) {
        keeper.service.config = NULL; /* put_into_force frees the one before */
        put_into_force(&keeper, config);
        log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_STARTED},
                  "lonc-keeper " LONC_VERSION " is ready");
        r = sd_event_loop(keeper.service.loop.event);
    }
    finish(&keeper);
    return r;
}
