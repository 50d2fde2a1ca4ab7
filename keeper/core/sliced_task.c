/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Long work in slices: an eventfd that is always readable gives it a turn in each batch.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "keeper/core/sliced_task.h"

static void on_turn(struct watch *watch, uint32_t events)
{
    struct sliced_task *task = CONTAINER_OF(watch, struct sliced_task, watch);
    (void)events;
    /* Another event of this batch may have stopped it. */
    if (task->running && !task->do_some(task))
        sliced_task_stop(task);
}

int sliced_task_open(struct sliced_task *task, struct loop *loop,
                     bool (*do_some)(struct sliced_task *task))
{
    *task = (struct sliced_task){
        .watch = {.fd = -1, .ready = on_turn}, .loop = loop, .do_some = do_some};
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int r = loop_watch(loop, &task->watch, fd, 0);
    if (r < 0)
        close(fd);
    return r;
}

void sliced_task_close(struct sliced_task *task)
{
    int fd = task->watch.fd;
    if (task->loop == NULL || fd < 0)
        return;
    loop_unwatch(task->loop, &task->watch);
    close(fd);
}

void sliced_task_start(struct sliced_task *task)
{
    if (!task->running)
        loop_change(task->loop, &task->watch, EPOLLIN);
    task->running = true;
}

void sliced_task_stop(struct sliced_task *task)
{
    if (task->running)
        loop_change(task->loop, &task->watch, 0);
    task->running = false;
}
