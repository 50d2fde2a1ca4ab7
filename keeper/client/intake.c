/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking clients from shims. The messages are common/channel.c's, the clients client.c's; this is
 * who may speak, how much is taken at once, and the order in which a channel is closed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/log.h"
#include "keeper/client/intake.h"
#include "keeper/host/hosts.h"
#include "keeper/net/listener.h"

/* Accepts in one turn of the loop. */
#define ACCEPTS_PER_TURN 16

/*
 * Descriptors that must be free beyond those for a message before another shim is accepted: so that
 * shims do not take the room for what they bring.
 */
#define ACCEPT_MARGIN 4

/*
 * Once there are channel_connections, one that has brought nobody for so long makes room for the
 * next: an idle shim connects again when it has somebody. One that has just come has its chance.
 */
static const uint64_t grace = 1000000;

/* A shim's connection. */
struct source {
    struct watch watch;
    struct intake *intake;
    int fd;
    uint64_t since; /* when it came, or last brought somebody */
    TAILQ_ENTRY(source) link;
};

struct intake {
    struct core *core;
    struct hosts *hosts;
    struct clients *clients;
    struct listener listener;
    bool stopped; /* nobody is accepted any more */
    bool deaf; /* there is no room for a message either; only while the core is descriptors_short */
    TAILQ_HEAD(, source) sources; /* by `since` */
    size_t count;
    uint64_t messages_cut;   /* those whose descriptors the kernel dropped */
    struct limit limit;      /* channel_connections */
    struct deadline crowded; /* runs while nobody of them may be asked to leave yet */
    struct deadline_queue crowds;
};

enum taken {
    TAKEN,         /* one message, and there may be more */
    TAKEN_NOTHING, /* none is there now */
    TAKEN_LAST,    /* none will come, or none that could be trusted */
};

/* --- Messages --------------------------------------------------------------------------------- */

static void say_refused(const char *what, const char *reason)
{
    log_write(LOG_WARNING,
              &(struct log_about){.event = LOG_EVENT_HANDOVER_REFUSED, .reason = reason},
              "hand-over refused: %s", what);
}

/* It has shown that it is there. */
static void touch(struct source *source)
{
    struct intake *intake = source->intake;
    source->since = intake->core->loop.now;
    if (TAILQ_NEXT(source, link) == NULL)
        return;
    TAILQ_REMOVE(&intake->sources, source, link);
    TAILQ_INSERT_TAIL(&intake->sources, source, link);
}

static enum taken take_message(struct source *source)
{
    struct intake *intake = source->intake;
    int fds[CHANNEL_BATCH];
    touch(source);
    int n = channel_receive(source->fd, fds);
    if (n == -EAGAIN)
        return TAKEN_NOTHING;
    if (n == -EBADMSG)
        say_refused("a malformed message on the private channel", "malformed");
    if (n == -EMFILE) {
        intake->messages_cut++;
        say_refused("this process may have no more descriptors", "no-descriptor");
    }
    if (n <= 0)
        return TAKEN_LAST;
    /* Acknowledged first: from here on these clients are ours alone, or not at all. Those for whom
     * there is no memory stay the shim's, which hands them over again. */
    bool ours =
        clients_reserve(intake->clients, (size_t)n) == 0 && channel_acknowledge(source->fd) == 0;
    for (int i = 0; i < n; i++) {
        if (ours)
            clients_start(intake->clients, fds[i]);
        else
            close(fds[i]);
    }
    return ours ? TAKEN : TAKEN_LAST;
}

/* --- What is watched -------------------------------------------------------------------------- */

static bool has_room(const struct intake *intake)
{
    return core_descriptors_free(intake->core) >= CHANNEL_BATCH;
}

static bool has_descriptors_for_source(const struct intake *intake)
{
    return core_descriptors_free(intake->core) >= CHANNEL_BATCH + ACCEPT_MARGIN;
}

static bool is_full(const struct intake *intake)
{
    return intake->count >= intake->core->settings.channel_connections;
}

/* Whether there is a place for another shim, or one that can be had. */
static bool has_place(const struct intake *intake)
{
    return !is_full(intake) ||
           TAILQ_FIRST(&intake->sources)->since + grace <= intake->core->loop.now;
}

static void update_listener(struct intake *intake)
{
    bool wanted = !intake->stopped && !core_descriptors_are_short(intake->core);
    listener_want(&intake->listener, wanted && has_place(intake));
    if (wanted && !has_place(intake) && intake->crowded.queue == NULL)
        deadline_start(&intake->crowds, &intake->crowded);
}

static void on_crowd_older(struct deadline *deadline)
{
    update_listener(CONTAINER_OF(deadline, struct intake, crowded));
}

static void free_source(struct source *source)
{
    struct intake *intake = source->intake;
    loop_unwatch(&intake->core->loop, &source->watch);
    TAILQ_REMOVE(&intake->sources, source, link);
    intake->count--;
    core_close(intake->core, source->fd);
    free(source);
    /* Not before half of the places are free, so that a limit at its edge does not fill the log. */
    if (intake->count <= intake->core->settings.channel_connections / 2)
        limit_left(intake->core, &intake->limit, NULL);
    update_listener(intake);
}

/* Reads a message and leaves its clients to the shim, which hands them to the next keeper. */
static enum taken drop_message(struct source *source)
{
    int fds[CHANNEL_BATCH];
    int n = channel_receive(source->fd, fds);
    for (int i = 0; i < n; i++)
        close(fds[i]);
    return n > 0 || n == -EBADMSG || n == -EMFILE ? TAKEN : TAKEN_LAST;
}

/*
 * Ends a channel so that no client is lost, and none is answered twice: what is sent from here on
 * fails at the shim, and what was sent before is read to the end, unacknowledged. For a socket
 * closed with something unread gives the shim an error in place of the acknowledgements that lie in
 * it.
 */
static void close_source(struct source *source)
{
    shutdown(source->fd, SHUT_RD);
    while (drop_message(source) == TAKEN)
        continue;
    free_source(source);
}

/* Somebody finds no descriptor: nobody is accepted before some come free, and what is idle is given
 * up for it. */
static void run_short(struct intake *intake)
{
    struct core *core = intake->core;
    core_descriptors_run_short(core);
    update_listener(intake);
    clients_set_scarce(intake->clients, true);
    hosts_close_idle(intake->hosts);
}

/*
 * No message is taken either, and no end of a channel is told again and again; but a shim that
 * leaves is seen, since it gives one back.
 */
static void starve(struct intake *intake)
{
    struct source *source;
    intake->deaf = true;
    TAILQ_FOREACH (source, &intake->sources, link)
        loop_change(&intake->core->loop, &source->watch, EPOLLRDHUP | EPOLLET);
    run_short(intake);
}

/* Shims are accepted and messages taken again. */
static void feed(struct intake *intake)
{
    struct core *core = intake->core;
    struct source *source;
    if (!core_descriptors_are_short(core) || !has_descriptors_for_source(intake))
        return;
    core_descriptors_suffice(core);
    clients_set_scarce(intake->clients, false);
    if (!intake->deaf)
        return;
    intake->deaf = false;
    TAILQ_FOREACH (source, &intake->sources, link) {
        source->since = core->loop.now; /* nobody was heard meanwhile */
        loop_change(&core->loop, &source->watch, EPOLLIN);
    }
}

/* Where it is the kernel that has none, one more of ours says nothing: the next accept does. */
static void on_descriptor_freed(void *argument)
{
    struct intake *intake = argument;
    if (!listener_is_pausing(&intake->listener))
        feed(intake);
    update_listener(intake);
}

static void on_source_ready(struct watch *watch, uint32_t events)
{
    struct source *source = CONTAINER_OF(watch, struct source, watch);
    if (source->intake->deaf) {
        /* Nobody is there to be acknowledged: what it sent is its own to answer, or lost with it.
         */
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            free_source(source);
        return;
    }
    /* One message a turn: a shim has rarely sent two, and asking for one that is not there costs as
     * much as taking it. */
    if (!has_room(source->intake))
        starve(source->intake);
    else if (take_message(source) == TAKEN_LAST)
        close_source(source);
}

/* --- Shims ------------------------------------------------------------------------------------ */

static bool is_welcome(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

/* Watches a shim's connection, which is closed when that fails. */
static void add_source(struct intake *intake, int fd)
{
    struct source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        close(fd);
        return;
    }
    *source = (struct source){
        .watch = {.fd = -1, .ready = on_source_ready},
        .intake = intake,
        .fd = fd,
        .since = intake->core->loop.now,
    };
    if (loop_watch(&intake->core->loop, &source->watch, fd, EPOLLIN) < 0) {
        close(fd);
        free(source);
        return;
    }
    TAILQ_INSERT_TAIL(&intake->sources, source, link);
    intake->count++;
    core_descriptor_opened(intake->core);
}

/* A shim finds its channel closed, and loses nobody by it. */
static void make_room(struct intake *intake)
{
    if (!is_full(intake))
        return;
    limit_reached(intake->core, &intake->limit, NULL);
    close_source(TAILQ_FIRST(&intake->sources));
}

static void on_listener_ready(struct listener *listener)
{
    struct intake *intake = CONTAINER_OF(listener, struct intake, listener);
    int fd = 0;
    if (!has_descriptors_for_source(intake)) {
        run_short(intake);
        return;
    }
    for (int i = 0;
         i < ACCEPTS_PER_TURN && fd >= 0 && has_descriptors_for_source(intake) && has_place(intake);
         i++) {
        fd = listener_accept(listener);
        if (fd >= 0 && is_welcome(fd)) {
            make_room(intake);
            add_source(intake, fd);
        } else if (fd >= 0) {
            say_refused("a stranger on the private channel", "stranger");
            close(fd);
        }
    }
    if (fd == -EMFILE || fd == -ENFILE)
        starve(intake);
    else
        feed(intake);
    update_listener(intake);
}

void intake_listen(struct intake *intake, int listener)
{
    listener_replace(&intake->listener, listener);
}

struct intake *intake_new(struct hosts *hosts, struct clients *clients, int listener)
{
    struct intake *intake = calloc(1, sizeof(*intake));
    if (intake == NULL) {
        close(listener);
        return NULL;
    }
    struct core *core = hosts->core;
    *intake = (struct intake){
        .core = core,
        .hosts = hosts,
        .clients = clients,
    };
    TAILQ_INIT(&intake->sources);
    intake->limit =
        (struct limit){.name = "connections of shims", .trouble = TROUBLE_CHANNEL_LIMIT};
    deadline_queue_add(&core->loop, &intake->crowds, &grace, on_crowd_older);
    core_on_descriptor_freed(core, on_descriptor_freed, intake);
    listener_open(&intake->listener, &core->loop, listener, "the private channel",
                  on_listener_ready);
    update_listener(intake);
    return intake;
}

uint64_t intake_messages_cut(const struct intake *intake)
{
    return intake != NULL ? intake->messages_cut : 0;
}

void intake_stop(struct intake *intake)
{
    struct source *source, *next;
    intake->stopped = true;
    update_listener(intake);
    TAILQ_FOREACH_SAFE (source, &intake->sources, link, next)
        close_source(source);
}

void intake_free(struct intake *intake)
{
    if (intake == NULL)
        return;
    intake_stop(intake);
    core_on_descriptor_freed(intake->core, NULL, NULL);
    listener_close(&intake->listener);
    deadline_stop(&intake->crowded);
    deadline_queue_remove(&intake->crowds);
    free(intake);
}
