/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Watching a listening socket while its owner has room, and pausing after errors.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/net/listener.h"

/* Microseconds: short enough for a person not to notice, and only ten attempts a second. */
static const uint64_t pause_span = 100000;

static void start_pause(struct listener *listener, int error)
{
    if (!listener->failing)
        log_write(LOG_CRIT, NULL, "cannot accept connections at %s: %s; trying again",
                  listener->name, strerror(-error));
    listener->failing = true;
    loop_unwatch(listener->loop, &listener->watch);
    deadline_start(&listener->pausing, &listener->pause);
}

static void update(struct listener *listener)
{
    bool watched = listener->watch.fd >= 0;
    if (listener_is_pausing(listener) || listener->wanted == watched)
        return;
    if (watched) {
        loop_unwatch(listener->loop, &listener->watch);
        return;
    }
    int r = loop_watch(listener->loop, &listener->watch, listener->fd, EPOLLIN);
    if (r < 0)
        start_pause(listener, r);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct listener *listener = CONTAINER_OF(watch, struct listener, watch);
    (void)events;
    listener->ready(listener);
}

/* The owner is called even if nobody has connected: it may hold back other work during a pause. */
static void on_pause_over(struct deadline *deadline)
{
    struct listener *listener = CONTAINER_OF(deadline, struct listener, pause);
    update(listener);
    if (listener->watch.fd >= 0)
        listener->ready(listener);
}

void listener_open(struct listener *listener, struct loop *loop, int fd, const char *name,
                   void (*ready)(struct listener *))
{
    *listener = (struct listener){
        .fd = fd,
        .name = name,
        .ready = ready,
        .watch = {.fd = -1, .ready = on_ready},
        .loop = loop,
    };
    deadline_queue_add(loop, &listener->pausing, &pause_span, on_pause_over);
}

void listener_close(struct listener *listener)
{
    loop_unwatch(listener->loop, &listener->watch);
    deadline_queue_remove(&listener->pausing);
    close(listener->fd);
}

void listener_replace(struct listener *listener, int fd)
{
    loop_unwatch(listener->loop, &listener->watch);
    close(listener->fd);
    listener->fd = fd;
    update(listener);
}

void listener_want(struct listener *listener, bool wanted)
{
    listener->wanted = wanted;
    update(listener);
}

bool listener_is_pausing(const struct listener *listener)
{
    return listener->pause.queue != NULL;
}

int listener_accept(struct listener *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int error = fd < 0 ? -errno : 0;
    if (error == -EINTR || error == -ECONNABORTED)
        error = -EAGAIN;
    if (error == 0 || error == -EAGAIN)
        listener->failing = false;
    else
        start_pause(listener, error);
    return error == 0 ? fd : error;
}
