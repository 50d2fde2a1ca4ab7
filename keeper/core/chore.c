/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Slices of long work.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "keeper/core/chore.h"

static void on_turn(struct watch *watch, uint32_t events)
{
    struct chore *chore = CONTAINER_OF(watch, struct chore, watch);
    (void)events;
    /* It may have been stopped by what came before it in the batch. */
    if (chore->running)
        chore->slice(chore);
}

int chore_open(struct chore *chore, struct loop *loop, void (*slice)(struct chore *chore))
{
    *chore = (struct chore){.watch = {.fd = -1, .ready = on_turn}, .loop = loop, .slice = slice};
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int r = loop_watch(loop, &chore->watch, fd, 0);
    if (r < 0)
        close(fd);
    return r;
}

void chore_close(struct chore *chore)
{
    int fd = chore->watch.fd;
    if (chore->loop == NULL || fd < 0)
        return;
    loop_unwatch(chore->loop, &chore->watch);
    close(fd);
}

void chore_start(struct chore *chore)
{
    if (!chore->running)
        loop_change(chore->loop, &chore->watch, EPOLLIN);
    chore->running = true;
}

void chore_stop(struct chore *chore)
{
    if (chore->running)
        loop_change(chore->loop, &chore->watch, 0);
    chore->running = false;
}
