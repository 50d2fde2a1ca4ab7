/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread, and the two queues between it and the loop: of tasks that wait for the thread, and of
 * those that it has finished with. An eventfd tells the loop when the second is no longer empty.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/net/tls_worker.h"

/* Requests in the loop have precedence: if both want the same processor, the loop gets nine tenths.
 */
#define NICENESS 10

STAILQ_HEAD(task_queue, tls_task);

struct tls_worker {
    struct core *core;
    struct watch watch; /* of the eventfd */
    pthread_t thread;
    bool started;
    /* Shared with the thread; only under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct task_queue waiting, finished;
    bool leaving;
};

/* --- In the thread ---------------------------------------------------------------------------- */

static struct tls_task *take_waiting(struct tls_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (STAILQ_EMPTY(&worker->waiting) && !worker->leaving)
        pthread_cond_wait(&worker->wanted, &worker->lock);
    struct tls_task *task = worker->leaving ? NULL : STAILQ_FIRST(&worker->waiting);
    if (task != NULL)
        STAILQ_REMOVE_HEAD(&worker->waiting, link);
    pthread_mutex_unlock(&worker->lock);
    return task;
}

static void hand_back(struct tls_worker *worker, struct tls_task *task)
{
    pthread_mutex_lock(&worker->lock);
    bool first = STAILQ_EMPTY(&worker->finished);
    STAILQ_INSERT_TAIL(&worker->finished, task, link);
    pthread_mutex_unlock(&worker->lock);
    if (first)
        eventfd_write(worker->watch.fd, 1);
}

static void *run_thread(void *argument)
{
    struct tls_worker *worker = argument;
    struct tls_task *task;
    /* On Linux each thread has its own niceness. If this is forbidden, requests are merely slower.
     */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    while ((task = take_waiting(worker)) != NULL) {
        task->progress = tls_advance(task->tls, task->digits);
        hand_back(worker, task);
    }
    return NULL;
}

/* --- In the loop ------------------------------------------------------------------------------ */

void tls_task_free(struct tls_task *task)
{
    tls_free(task->tls);
    explicit_bzero(task, sizeof(*task));
    free(task);
}

static void close_and_free(struct tls_task *task)
{
    core_close(task->worker->core, task->fd);
    tls_task_free(task);
}

void tls_task_close(struct tls_task *task)
{
    task->owner = NULL;
    if (!task->running)
        close_and_free(task);
}

static struct tls_task *take_finished(struct tls_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    struct tls_task *task = STAILQ_FIRST(&worker->finished);
    if (task != NULL)
        STAILQ_REMOVE_HEAD(&worker->finished, link);
    pthread_mutex_unlock(&worker->lock);
    return task;
}

static void on_finished(struct watch *watch, uint32_t events)
{
    struct tls_worker *worker = CONTAINER_OF(watch, struct tls_worker, watch);
    struct tls_task *task;
    eventfd_t count;
    (void)events;
    (void)eventfd_read(watch->fd, &count);
    while ((task = take_finished(worker)) != NULL) {
        task->running = false;
        if (task->owner != NULL)
            task->advanced(task);
        else
            close_and_free(task);
    }
}

struct tls_task *tls_task_new(struct tls_worker *worker, struct tls_context *context, int fd,
                              const char *name)
{
    struct tls_task *task = calloc(1, sizeof(*task));
    if (task == NULL)
        return NULL;
    *task = (struct tls_task){.tls = tls_new(context, fd, name), .fd = fd, .worker = worker};
    if (task->tls == NULL) {
        free(task);
        return NULL;
    }
    return task;
}

int tls_task_advance(struct tls_task *task)
{
    struct tls_worker *worker = task->worker;
    if (!worker->started) {
        int r = pthread_create(&worker->thread, NULL, run_thread, worker);
        if (r != 0)
            return -r;
        worker->started = true;
    }
    task->running = true;
    pthread_mutex_lock(&worker->lock);
    STAILQ_INSERT_TAIL(&worker->waiting, task, link);
    pthread_cond_signal(&worker->wanted);
    pthread_mutex_unlock(&worker->lock);
    return 0;
}

struct tls_worker *tls_worker_new(struct core *core)
{
    struct tls_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return NULL;
    worker->core = core;
    worker->watch = (struct watch){.fd = -1, .ready = on_finished};
    STAILQ_INIT(&worker->waiting);
    STAILQ_INIT(&worker->finished);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wanted, NULL);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0 || loop_watch(&core->loop, &worker->watch, fd, EPOLLIN) < 0) {
        if (fd >= 0)
            close(fd);
        worker->watch.fd = -1;
        tls_worker_free(worker);
        return NULL;
    }
    return worker;
}

void tls_worker_free(struct tls_worker *worker)
{
    struct tls_task *task;
    if (worker == NULL)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->leaving = true;
    pthread_cond_signal(&worker->wanted);
    pthread_mutex_unlock(&worker->lock);
    if (worker->started)
        pthread_join(worker->thread, NULL);
    STAILQ_CONCAT(&worker->finished, &worker->waiting);
    while ((task = take_finished(worker)) != NULL)
        close_and_free(task);
    if (worker->watch.fd >= 0) {
        int fd = worker->watch.fd;
        loop_unwatch(&worker->core->loop, &worker->watch);
        close(fd);
    }
    pthread_cond_destroy(&worker->wanted);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}
