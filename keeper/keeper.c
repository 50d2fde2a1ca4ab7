/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keeper's life: sockets, signals, reload, stop. What happens to a request is decided below, in
 * dispatch.c and host.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "common/plural.h"
#include "common/unix.h"
#include "keeper/client/clients.h"
#include "keeper/client/intake.h"
#include "keeper/control/control.h"
#include "keeper/control/lonclog.h"
#include "keeper/control/loncstatus.h"
#include "keeper/control/notifier.h"
#include "keeper/control/reload.h"
#include "keeper/control/socketwatch.h"
#include "keeper/control/status.h"
#include "keeper/host/certificates.h"
#include "keeper/host/hosts.h"
#include "keeper/keeper.h"

struct keeper {
    struct core core;
    struct hosts hosts;
    struct deferred *deferred;
    struct clients *clients;
    struct intake *intake;
    struct control *control;
    struct notifier *notifier;
    struct socket_watch *socket_watch;
    struct certificates *certificates;
    struct reload *reload;
    struct loncstatus *loncstatus;
    struct status status;
    sd_event_source *drain_end;
    const char *config_path;
    char *bound[2]; /* paths of sockets that were bound here, and not by systemd */
};

void keeper_say_in_log(void *argument, const char *text)
{
    (void)argument;
    log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_LOAD_FAILED}, "%s", text);
}

/* --- Leaving ---------------------------------------------------------------------------------- */

static void leave_loop(void *argument)
{
    struct keeper *keeper = argument;
    loop_exit(&keeper->core.loop);
}

/* The clients have gone, and what they left may be stored; now the delivery under way ends. */
static void drain_deferred(void *argument)
{
    struct keeper *keeper = argument;
    deferred_drain(keeper->deferred, leave_loop, keeper);
}

static int on_drain_end(sd_event_source *source, uint64_t when, void *argument)
{
    struct keeper *keeper = argument;
    (void)source;
    (void)when;
    log_write(LOG_NOTICE, NULL, "time is up: what is in flight is answered con_lost");
    hosts_abandon(&keeper->hosts);
    leave_loop(keeper);
    return 0;
}

/*
 * Finishes what is in flight, answers what is queued, and leaves; at once when there is nothing.
 * Nobody new is taken: newcomers wait in the channel's backlog for the next keeper.
 */
static void drain(struct keeper *keeper)
{
    struct core *core = &keeper->core;
    if (core->stopping) { /* asked twice */
        leave_loop(keeper);
        return;
    }
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_STOPPING},
              "stopping: %zu client%s, %zu queued request%s", clients_count(keeper->clients),
              plural(clients_count(keeper->clients)), keeper->hosts.queued,
              plural(keeper->hosts.queued));
    int r = loop_alarm(&core->loop, &keeper->drain_end, CLOCK_MONOTONIC,
                       monotonic_now() + core->settings.drain_timeout, on_drain_end, keeper);
    if (r < 0) {
        leave_loop(keeper);
        return;
    }
    notifier_stopping(keeper->notifier);
    core->stopping = true;
    intake_stop(keeper->intake);
    hosts_stop(&keeper->hosts);
    clients_drain(keeper->clients, drain_deferred, keeper);
}

/* Its sandbox shows the folders as they were at the start, so only a new start helps. */
static void leave_to_return(void *argument)
{
    struct keeper *keeper = argument;
    if (keeper->core.stopping)
        return;
    log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_STOPPING},
              "a folder that was made anew is read-only in this keeper's sandbox: starting again");
    /* It may be a link that leads elsewhere, for which lonc-hosts has to write a drop-in. */
    notifier_touch_reloaded(keeper->notifier);
    drain(keeper);
}

/* --- Signals ---------------------------------------------------------------------------------- */

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *argument)
{
    struct keeper *keeper = argument;
    (void)source;
    keeper->core.loop.now = monotonic_now();
    switch ((int)info->ssi_signo) {
    case SIGHUP:
    case SIGUSR2: /* lonManage and others send it (lonc-protocol(7) section 6) */
        reload_ask(keeper->reload, NULL);
        break;
    case SIGUSR1:
        loncstatus_ask(keeper->loncstatus);
        break;
    case SIGQUIT:
        leave_loop(keeper);
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
        int r = sd_event_add_signal(keeper->core.loop.event, NULL, signals[i], on_signal, keeper);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- Sockets ---------------------------------------------------------------------------------- */

/*
 * The listener that systemd passes under this name, or -1. Others are left alone. Whoever passed
 * it, accepting from it must not wait.
 */
static int passed_socket(const char *wanted, int type)
{
    char **names = NULL;
    int result = -1, on = 1;
    int n = sd_listen_fds_with_names(false, &names);
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        bool right = strcmp(names[i], wanted) == 0;
        if (right && sd_is_socket(fd, AF_UNIX, type, 1) > 0)
            result = ioctl(fd, FIONBIO, &on) < 0 ? -1 : fd;
        else if (right)
            log_write(LOG_ERR, NULL, "the socket named %s is not of the type expected", wanted);
        free(names[i]);
    }
    free(names);
    return result;
}

/*
 * A listener that systemd passes by name, or else one bound in runtime_dir, whose path is kept in
 * *bound to be removed in the end. A descriptor, or a negative errno.
 */
static int open_listener(struct keeper *keeper, const char *name, const char *file, int type,
                         char **bound)
{
    int fd = passed_socket(name, type);
    if (fd >= 0)
        return fd;
    (void)mkdir(keeper->core.settings.runtime_dir, 0755); /* else the error is in listening */
    if (asprintf(bound, "%s/%s", keeper->core.settings.runtime_dir, file) < 0) {
        *bound = NULL;
        return -ENOMEM;
    }
    fd = unix_listen(*bound, type);
    if (fd < 0) {
        log_write(LOG_CRIT, NULL, "cannot listen at %s: %s", *bound, strerror(-fd));
        free(*bound);
        *bound = NULL;
    }
    return fd;
}

static void replace_channel(void *argument, int listener)
{
    struct keeper *keeper = argument;
    intake_listen(keeper->intake, listener);
}

static void replace_control(void *argument, int listener)
{
    struct keeper *keeper = argument;
    control_listen(keeper->control, listener);
}

/* Only a socket that was bound here can be bound again; systemd's are root's. */
static void watch_own_path(struct keeper *keeper, size_t which, int listener,
                           void (*replace)(void *argument, int listener))
{
    socket_watch_add(keeper->socket_watch, listener, keeper->bound[which] != NULL ? replace : NULL,
                     keeper);
}

static void ask_for_sockets(void *argument)
{
    struct keeper *keeper = argument;
    socket_watch_ask(keeper->socket_watch);
}

static int open_sockets(struct keeper *keeper)
{
    struct core *core = &keeper->core;
    const struct verbs verbs = {
        .core = core,
        .status = &keeper->status,
        .deferred = keeper->deferred,
        .clients = keeper->clients,
        .reload = keeper->reload,
    };
    int channel =
        open_listener(keeper, "channel", "keeper.sock", SOCK_SEQPACKET, &keeper->bound[0]);
    if (channel < 0)
        return channel;
    keeper->intake = intake_new(&keeper->hosts, keeper->clients, channel);
    if (keeper->intake == NULL)
        return -ENOMEM;
    keeper->status.intake = keeper->intake;
    watch_own_path(keeper, 0, channel, replace_channel);
    /* Requests can be carried without it; what is wrong has been logged. */
    int control = open_listener(keeper, "control", "control.sock", SOCK_STREAM, &keeper->bound[1]);
    if (control < 0)
        return 0;
    keeper->control = control_new(&verbs, control);
    if (keeper->control == NULL)
        return -ENOMEM;
    keeper->status.admission = control_admission(keeper->control);
    watch_own_path(keeper, 1, control, replace_control);
    return 0;
}

/* --- Life ------------------------------------------------------------------------------------- */

/* Makes the parts from the lowest layer up; nothing comes in yet. */
static int make_parts(struct keeper *keeper)
{
    struct core *core = &keeper->core;
    int r = hosts_open(&keeper->hosts, core);
    if (r < 0)
        return r;
    keeper->deferred = deferred_new(&keeper->hosts);
    if (keeper->deferred == NULL)
        return -ENOMEM;
    keeper->clients = clients_new(&keeper->hosts, keeper->deferred);
    if (keeper->clients == NULL)
        return -ENOMEM;
    keeper->status = (struct status){
        .core = core,
        .hosts = &keeper->hosts,
        .deferred = keeper->deferred,
        .clients = keeper->clients,
        .config_path = keeper->config_path != NULL ? keeper->config_path : CONFIG_PATH,
        .started = monotonic_now(),
    };
    keeper->notifier = notifier_new(core, &keeper->status);
    if (keeper->notifier == NULL)
        return -ENOMEM;
    keeper->certificates = certificates_new(&keeper->hosts);
    if (keeper->certificates == NULL)
        return -ENOMEM;
    keeper->socket_watch = socket_watch_new(&keeper->hosts, keeper->notifier);
    if (keeper->socket_watch == NULL)
        return -ENOMEM;
    keeper->loncstatus = loncstatus_new(&keeper->hosts);
    if (keeper->loncstatus == NULL)
        return -ENOMEM;
    const struct reload_parts parts = {
        .hosts = &keeper->hosts,
        .deferred = keeper->deferred,
        .notifier = keeper->notifier,
        .certificates = keeper->certificates,
        .socket_watch = keeper->socket_watch,
    };
    keeper->reload = reload_new(&parts, keeper->config_path);
    return keeper->reload != NULL ? 0 : -ENOMEM;
}

static int start_keeper(struct keeper *keeper, struct config *config)
{
    int r = core_start(&keeper->core, config);
    if (r < 0)
        return r;
    r = make_parts(keeper);
    if (r < 0)
        return r;
    if (getenv("NOTIFY_SOCKET") != NULL) /* whoever started it starts it again */
        deferred_on_misplaced(keeper->deferred, leave_to_return, keeper);
    clients_on_missing_socket(keeper->clients, ask_for_sockets, keeper);
    r = hear_signals(keeper);
    if (r < 0)
        return r;
    core_count_descriptors(&keeper->core);
    return open_sockets(keeper);
}

static void finish_keeper(struct keeper *keeper)
{
    for (size_t i = 0; i < sizeof(keeper->bound) / sizeof(*keeper->bound); i++) {
        if (keeper->bound[i] != NULL)
            unlink(keeper->bound[i]);
        free(keeper->bound[i]);
    }
    sd_event_source_disable_unref(keeper->drain_end);
    /* Clients that still wait are answered, and release their hosts. */
    keeper->core.stopping = true;
    hosts_stop(&keeper->hosts);
    hosts_abandon(&keeper->hosts);
    intake_free(keeper->intake);
    deferred_free(keeper->deferred);
    clients_free(keeper->clients);
    control_free(keeper->control);
    socket_watch_free(keeper->socket_watch);
    notifier_free(keeper->notifier);
    reload_free(keeper->reload);
    certificates_free(keeper->certificates);
    loncstatus_free(keeper->loncstatus);
    hosts_close(&keeper->hosts);
    lonclog_close();
    core_end(&keeper->core);
}

int keeper_run(struct config *config, const char *config_path, const char *diagnostic)
{
    static struct keeper keeper;
    keeper.config_path = config_path;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, SIG_IGN); /* a broken lease, which delayed_read.c notices by itself */
    int r = start_keeper(&keeper, config);
    if (r >= 0)
        r = reload_first(keeper.reload, config, diagnostic);
    if (r >= 0) {
        log_write(LOG_NOTICE, &(struct log_about){.event = LOG_EVENT_STARTED},
                  "lonc-keeper " LONC_VERSION " is ready");
        notifier_ready(keeper.notifier);
        /* Where systemd wants to hear from the loop, a loop that is stuck is killed. */
        sd_event_set_watchdog(keeper.core.loop.event, true);
        r = loop_run(&keeper.core.loop);
    }
    finish_keeper(&keeper);
    return r;
}
