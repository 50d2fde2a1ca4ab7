/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine: what is waited for, and when clients are accepted.
 *
 * While the keeper acknowledges, one batch is under way at a time and all other clients wait at
 * their own listeners. So one host's crowd does not hold up another host's client, and few clients
 * are lost with a shim that is killed. When the keeper does not acknowledge, every client is
 * accepted, since its time-out counts from then on.
 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/monotonic.h"
#include "shim/con_lost.h"
#include "shim/epoll.h"
#include "shim/handover.h"
#include "shim/idle_clients.h"
#include "shim/listeners.h"
#include "shim/server.h"

/*
 * A keeper that has acknowledged nothing for so long is stuck; in microseconds. A turn of its loop
 * takes milliseconds, so a busy one is not taken for stuck. Clients in the listeners' backlogs get
 * their con_lost this much later.
 */
#define STUCK_TIME 100000

/*
 * How long clients are accepted after SIGTERM, in microseconds; short, because all clients feel the
 * pause between two shims. A tenth of it is enough for a full ring of clients. A listener that
 * never runs out of clients still belongs to systemd, which starts the next shim for it.
 */
#define DRAIN_TIME 50000

enum phase {
    PHASE_CLOSED,   /* there are no listeners, or no more clients are accepted */
    PHASE_SERVING,  /* clients are accepted as they come */
    PHASE_DRAINING, /* SIGTERM has come: the listeners' backlogs are emptied once */
};

struct server {
    struct shim_options options;
    int epoll; /* watches all but the listeners; or a negative errno */
    struct handover handover;
    struct idle_clients idle;

    enum phase phase;
    struct listeners listeners;
    int term; /* readable when SIGTERM has come */
    bool terminating;
    uint64_t drain_until;
    uint64_t shortage_at; /* when there was last no descriptor for a client */
    uint64_t last_client;
};

static bool has_clients(const struct server *server)
{
    return !handover_is_empty(&server->handover) || !idle_clients_is_empty(&server->idle);
}

/* --- Accepting -------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the listeners are looked at; UINT64_MAX: not before something is acknowledged. */
static uint64_t accept_time(const struct server *server)
{
    const struct handover *handover = &server->handover;
    if (server->phase == PHASE_CLOSED || !handover_has_room(handover))
        return UINT64_MAX;
    bool busy = !handover_is_empty(handover) && server->phase != PHASE_DRAINING;
    bool is_short = server->shortage_at > handover->acknowledged_at;
    uint64_t when = busy ? handover->progress_at + STUCK_TIME : 0;
    uint64_t retry_at = is_short ? server->shortage_at + HANDOVER_RETRY : 0;
    return when > retry_at ? when : retry_at;
}

/* The clients at the ready listeners join the open batch. */
static void accept_batch(struct server *server)
{
    struct batch *batch = handover_open_batch(&server->handover);
    if (batch == NULL)
        return;
    int n = listeners_accept(&server->listeners, batch->fds + batch->count,
                             CHANNEL_BATCH - batch->count);
    if (n < 0)
        server->shortage_at = monotonic_now();
    if (n <= 0)
        return;
    handover_added(&server->handover, batch, (unsigned)n);
    server->last_client = monotonic_now();
}

/* A client that was idle is handed over as if it had just come. */
static void offer(struct server *server, int fd)
{
    handover_add(&server->handover, fd);
    server->last_client = monotonic_now();
}

/* --- Events ----------------------------------------------------------------------------------- */

/*
 * A shim that is to end may be the only process that still has some listener, because its host was
 * removed or is served the other way. Clients that connected before must not be forgotten. The shim
 * cannot tell which listener that is, so it accepts the clients of all, until each has had none for
 * once.
 */
static void begin_draining(struct server *server)
{
    close(server->term);
    server->terminating = true;
    server->phase = PHASE_DRAINING;
    server->drain_until = monotonic_now() + DRAIN_TIME;
    listeners_drain(&server->listeners);
    handover_drain(&server->handover);
    for (int fd; (fd = idle_clients_take_any(&server->idle)) >= 0;)
        offer(server, fd);
}

/* What the channel, idle clients and SIGTERM bring. */
static void handle_events(struct server *server, int milliseconds)
{
    struct epoll_event events[CHANNEL_BATCH];
    int n = epoll_wait(server->epoll, events, CHANNEL_BATCH, milliseconds);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (events[i].data.u64 >= IDLE_CLIENTS_EVENT) {
            fd = idle_clients_take(&server->idle, events[i].data.u64);
            if (fd >= 0)
                offer(server, fd);
        } else if (handover_is_channel(&server->handover, fd)) {
            handover_channel_ready(&server->handover);
        } else if (fd == server->term && !server->terminating) {
            begin_draining(server);
        }
    }
}

static void accept_clients(struct server *server, int milliseconds)
{
    bool others = listeners_wait(&server->listeners, milliseconds);
    /* Epoll reports ready descriptors in turn: after thousands of listeners, SIGTERM comes late. */
    if (others || listeners_may_be_more(&server->listeners))
        handle_events(server, 0);
    if (server->phase == PHASE_DRAINING && server->listeners.ready_count == 0)
        server->phase = PHASE_CLOSED;
    accept_batch(server);
}

/* --- Turns ------------------------------------------------------------------------------------ */

/* Until when nothing is to be done unless something happens. */
static uint64_t next_time(struct server *server, bool accepting)
{
    uint64_t when = idle_clients_expire(&server->idle);
    when = earlier(when, handover_next_time(&server->handover));
    if (!has_clients(server))
        when = server->last_client + server->options.linger;
    if (server->phase == PHASE_DRAINING)
        when = accepting ? 0 : earlier(when, server->drain_until);
    return accepting ? when : earlier(when, accept_time(server));
}

/* Waits for something, and does it. */
static void turn(struct server *server)
{
    bool accepting = accept_time(server) <= monotonic_now();
    int wait = monotonic_milliseconds_until(next_time(server, accepting));
    if (accepting)
        accept_clients(server, wait);
    else
        handle_events(server, wait);
    if (server->phase == PHASE_DRAINING && monotonic_now() >= server->drain_until)
        server->phase = PHASE_CLOSED;

    /* To drain is quicker without waiting for each acknowledgement. */
    if (server->phase == PHASE_DRAINING)
        handover_send(&server->handover);
    else
        handover_run(&server->handover);
    handover_expire(&server->handover);
}

/* --- Serving ---------------------------------------------------------------------------------- */

/* There is one, which is large, and must cost nothing that is not used. */
static struct server *open_server(const struct shim_options *options)
{
    static struct server only;
    struct server *server = &only;
    server->options = *options;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0)
        server->epoll = -errno;
    server->idle.epoll = server->epoll;
    server->term = -1;
    handover_open(&server->handover, options->path, options->ack_timeout, server->epoll,
                  &server->idle);
    return server;
}

enum shim_exit server_serve_connection(const struct shim_options *options, int fd)
{
    struct server *server = open_server(options);
    if (server->epoll < 0) { /* the machine is short of descriptors or memory */
        con_lost_answer(&fd, 1, monotonic_now());
        return SHIM_SYSTEM;
    }
    handover_add(&server->handover, fd);
    handover_run(&server->handover);
    while (has_clients(server))
        turn(server);
    return server->handover.outcome;
}

/*
 * SIGTERM becomes an event like any other. As a signal that is let through only while waiting it
 * would not be noticed under load, since a wait that finds something ready lets none through.
 */
static void watch_sigterm(struct server *server)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &term, NULL) < 0 ||
        (server->term = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        exit_with(SHIM_SYSTEM, "signals", -errno);
    int r = epoll_add(server->epoll, server->term, (unsigned)server->term);
    if (r < 0)
        exit_with(SHIM_SYSTEM, "epoll_ctl", r);
}

static bool is_done(const struct server *server)
{
    if (has_clients(server))
        return false;
    return server->terminating ? server->phase == PHASE_CLOSED
                               : monotonic_now() >= server->last_client + server->options.linger;
}

enum shim_exit server_serve_listeners(const struct shim_options *options, int first, unsigned count)
{
    struct server *server = open_server(options);
    if (server->epoll < 0) /* no client has been accepted */
        exit_with(SHIM_SYSTEM, "epoll_create1", server->epoll);
    watch_sigterm(server); /* before the listeners, since opening thousands takes milliseconds */
    listeners_open(&server->listeners, first, count, server->epoll);
    server->phase = PHASE_SERVING;
    server->last_client = monotonic_now();
    while (!is_done(server))
        turn(server);
    /* Clients that connect from here on wait in the backlog, which systemd or inetd watches again.
     */
    return SHIM_DONE;
}
