/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking clients from shims. common/channel.c has the messages and clients.c the clients; here is
 * decided which shims are accepted, when messages are received, and in what order a channel is
 * closed so that no client is lost or answered twice.
 *
 * A shortage of descriptors has two degrees. While core_descriptors_are_short, no shim is accepted
 * and idle connections are closed. If there is not even room for one message, `paused` is set as
 * well, and no message is received from the shims that are connected.
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

/* How many shims are accepted in one turn of the loop. */
#define ACCEPTS_PER_TURN 16

/*
 * How many descriptors must be free, beyond those for a message, before a shim is accepted, so that
 * shims do not take the room for the clients they bring.
 */
#define ACCEPT_MARGIN 4

/*
 * When there are `channel_connections` shims, the one that has been quiet for longest makes room
 * for a new one, but only after so many microseconds, so that a shim that has just connected can
 * bring its client. A shim whose channel was closed connects again when it has a client.
 */
static const uint64_t quiet_time = 1000000;

/* A shim's connection. */
struct source {
    struct watch watch;
    struct intake *intake;
    int fd;
    uint64_t since; /* when it was accepted, or last sent a message */
    TAILQ_ENTRY(source) link;
};

struct intake {
    struct core *core;
    struct hosts *hosts;
    struct clients *clients;
    struct listener listener;
    bool stopped;                 /* no shim is accepted any more */
    bool paused;                  /* no message is received, for want of descriptors */
    TAILQ_HEAD(, source) sources; /* by `since` */
    size_t count;
    uint64_t messages_cut; /* see intake_messages_cut */
    struct limit limit;    /* channel_connections */
    /* Runs until the quietest shim may make room, while all places are taken. */
    struct deadline room_deadline;
    struct deadline_queue room_deadlines;
};

/* What has become of a message. */
enum taken {
    TAKEN,         /* its clients are ours; there may be another message */
    TAKEN_NOTHING, /* there is none now */
    TAKEN_LAST,    /* the channel is to be closed: it has ended, or cannot be used any more */
};

/* --- Messages --------------------------------------------------------------------------------- */

static void log_refused(const char *what, const char *reason)
{
    log_write(LOG_WARNING,
              &(struct log_about){.event = LOG_EVENT_HANDOVER_REFUSED, .reason = reason},
              "hand-over refused: %s", what);
}

/* It has sent something, and is the last that must make room. */
static void note_activity(struct source *source)
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
    note_activity(source);
    int n = channel_receive(source->fd, fds);
    if (n == -EAGAIN)
        return TAKEN_NOTHING;
    if (n == -EBADMSG)
        log_refused("a malformed message on the private channel", "malformed");
    if (n == -EMFILE) {
        intake->messages_cut++;
        log_refused("this process may have no more descriptors", "no-descriptor");
    }
    if (n <= 0)
        return TAKEN_LAST;
    /* Once the acknowledgement is sent, these clients are the keeper's alone, so the memory must be
     * there before. Otherwise they stay the shim's, which hands them over again. */
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

static bool has_room_for_message(const struct intake *intake)
{
    return core_descriptors_free(intake->core) >= CHANNEL_BATCH;
}

static bool has_room_for_source(const struct intake *intake)
{
    return core_descriptors_free(intake->core) >= CHANNEL_BATCH + ACCEPT_MARGIN;
}

static bool is_at_limit(const struct intake *intake)
{
    return intake->count >= intake->core->settings.channel_connections;
}

/* Whether another shim may be accepted, perhaps in place of one that is quiet. */
static bool has_place(const struct intake *intake)
{
    return !is_at_limit(intake) ||
           TAILQ_FIRST(&intake->sources)->since + quiet_time <= intake->core->loop.now;
}

static void update_listener(struct intake *intake)
{
    bool wanted = !intake->stopped && !core_descriptors_are_short(intake->core);
    listener_want(&intake->listener, wanted && has_place(intake));
    if (wanted && !has_place(intake) && intake->room_deadline.queue == NULL)
        deadline_start(&intake->room_deadlines, &intake->room_deadline);
}

static void on_room_deadline(struct deadline *deadline)
{
    update_listener(CONTAINER_OF(deadline, struct intake, room_deadline));
}

static void free_source(struct source *source)
{
    struct intake *intake = source->intake;
    loop_unwatch(&intake->core->loop, &source->watch);
    TAILQ_REMOVE(&intake->sources, source, link);
    intake->count--;
    core_close(intake->core, source->fd);
    free(source);
    /* Only when half of the places are free, so that a count at the limit does not fill the log. */
    if (intake->count <= intake->core->settings.channel_connections / 2)
        limit_left(intake->core, &intake->limit, NULL);
    update_listener(intake);
}

/* Reads a message without acknowledging it: its clients stay the shim's. */
static enum taken drop_message(struct source *source)
{
    int fds[CHANNEL_BATCH];
    int n = channel_receive(source->fd, fds);
    for (int i = 0; i < n; i++)
        close(fds[i]);
    return n > 0 || n == -EBADMSG || n == -EMFILE ? TAKEN : TAKEN_LAST;
}

/*
 * Closes a channel so that no client is lost or answered twice. After the shutdown the shim can
 * send no more. What it sent before is read to the end and not acknowledged, because closing a
 * socket with something unread in it gives the shim an error in place of the acknowledgements that
 * it has not read yet.
 */
static void close_source(struct source *source)
{
    shutdown(source->fd, SHUT_RD);
    while (drop_message(source) == TAKEN)
        continue;
    free_source(source);
}

/* There are no descriptors for another shim: none is accepted, and what is idle is closed. */
static void begin_shortage(struct intake *intake)
{
    struct core *core = intake->core;
    core_descriptors_run_short(core);
    update_listener(intake);
    clients_set_scarce(intake->clients, true);
    hosts_close_idle(intake->hosts);
}

/*
 * There are no descriptors for another message either. The channels are watched for their end only,
 * since each that is closed gives a descriptor back; edge-triggered, so that a channel with an
 * unread message does not keep the loop busy.
 */
static void pause_receiving(struct intake *intake)
{
    struct source *source;
    intake->paused = true;
    TAILQ_FOREACH (source, &intake->sources, link)
        loop_change(&intake->core->loop, &source->watch, EPOLLRDHUP | EPOLLET);
    begin_shortage(intake);
}

/* If there is room again: shims are accepted and messages received as before. */
static void end_shortage_if_over(struct intake *intake)
{
    struct core *core = intake->core;
    struct source *source;
    if (!core_descriptors_are_short(core) || !has_room_for_source(intake))
        return;
    core_descriptors_suffice(core);
    clients_set_scarce(intake->clients, false);
    if (!intake->paused)
        return;
    intake->paused = false;
    TAILQ_FOREACH (source, &intake->sources, link) {
        source->since = core->loop.now; /* it could not send anything meanwhile */
        loop_change(&core->loop, &source->watch, EPOLLIN);
    }
}

/*
 * When it is the kernel that is out of descriptors, freeing one of ours proves nothing; then the
 * listener's next accept shows whether the shortage is over.
 */
static void on_descriptor_freed(void *argument)
{
    struct intake *intake = argument;
    if (!listener_is_pausing(&intake->listener))
        end_shortage_if_over(intake);
    update_listener(intake);
}

static void on_source_ready(struct watch *watch, uint32_t events)
{
    struct source *source = CONTAINER_OF(watch, struct source, watch);
    if (source->intake->paused) {
        /* The shim is gone, and nobody can be acknowledged: it has answered the clients that it
         * sent, or they were lost with it. */
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            free_source(source);
        return;
    }
    /* One message a turn: a shim has rarely sent two, and to ask for one that is not there costs as
     * much as receiving it. */
    if (!has_room_for_message(source->intake))
        pause_receiving(source->intake);
    else if (take_message(source) == TAKEN_LAST)
        close_source(source);
}

/* --- Shims ------------------------------------------------------------------------------------ */

static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

/* Takes over a shim's connection. Without memory it is closed, and the shim tries again. */
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

/* If all places are taken, closes the channel of the quietest shim, which loses no client by that.
 */
static void ensure_place(struct intake *intake)
{
    if (!is_at_limit(intake))
        return;
    limit_reached(intake->core, &intake->limit, NULL);
    close_source(TAILQ_FIRST(&intake->sources));
}

static void on_listener_ready(struct listener *listener)
{
    struct intake *intake = CONTAINER_OF(listener, struct intake, listener);
    int fd = 0;
    if (!has_room_for_source(intake)) {
        begin_shortage(intake);
        return;
    }
    for (int i = 0;
         i < ACCEPTS_PER_TURN && fd >= 0 && has_room_for_source(intake) && has_place(intake); i++) {
        fd = listener_accept(listener);
        if (fd >= 0 && is_allowed(fd)) {
            ensure_place(intake);
            add_source(intake, fd);
        } else if (fd >= 0) {
            log_refused("a stranger on the private channel", "stranger");
            close(fd);
        }
    }
    if (fd == -EMFILE || fd == -ENFILE)
        pause_receiving(intake);
    else
        end_shortage_if_over(intake);
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
    deadline_queue_add(&core->loop, &intake->room_deadlines, &quiet_time, on_room_deadline);
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
    deadline_stop(&intake->room_deadline);
    deadline_queue_remove(&intake->room_deadlines);
    free(intake);
}
