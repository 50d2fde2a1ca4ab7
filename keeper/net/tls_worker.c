/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread, and the two queues between it and the loop.
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

/* The loop's requests go first: where both want a processor, it has nine tenths of it. */
#define NICENESS 10

STAILQ_HEAD(work_queue, tls_task);

struct tls_worker {
    struct core *core;
    struct watch watch; /* the thread has done something */
    pthread_t thread;
    bool started;
    /* What follows is for both, under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct work_queue waiting, finished;
    bool leaving;
};

/* --- In the thread ---------------------------------------------------------------------------- */

static struct tls_task *take_work(struct tls_worker *works)
{
    pthread_mutex_lock(&works->lock);
    while (STAILQ_EMPTY(&works->waiting) && !works->leaving)
        pthread_cond_wait(&works->wanted, &works->lock);
    struct tls_task *work = works->leaving ? NULL : STAILQ_FIRST(&works->waiting);
    if (work != NULL)
        STAILQ_REMOVE_HEAD(&works->waiting, link);
    pthread_mutex_unlock(&works->lock);
    return work;
}

static void give_back(struct tls_worker *works, struct tls_task *work)
{
    pthread_mutex_lock(&works->lock);
    bool first = STAILQ_EMPTY(&works->finished);
    STAILQ_INSERT_TAIL(&works->finished, work, link);
    pthread_mutex_unlock(&works->lock);
    if (first)
        eventfd_write(works->watch.fd, 1);
}

static void *work_on(void *argument)
{
    struct tls_worker *works = argument;
    struct tls_task *work;
    /* Linux knows a niceness for each thread. Where it is forbidden, all is the same but slower. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS);
    while ((work = take_work(works)) != NULL) {
        work->progress = tls_advance(work->tls, work->digits);
        give_back(works, work);
    }
    return NULL;
}

/* --- In the loop ------------------------------------------------------------------------------ */

void tls_task_free(struct tls_task *work)
{
    tls_free(work->tls);
    explicit_bzero(work, sizeof(*work));
    free(work);
}

static void close_and_free(struct tls_task *work)
{
    core_close(work->works->core, work->fd);
    tls_task_free(work);
}

void tls_task_close(struct tls_task *work)
{
    work->owner = NULL;
    if (!work->running)
        close_and_free(work);
}

static struct tls_task *take_finished(struct tls_worker *works)
{
    pthread_mutex_lock(&works->lock);
    struct tls_task *work = STAILQ_FIRST(&works->finished);
    if (work != NULL)
        STAILQ_REMOVE_HEAD(&works->finished, link);
    pthread_mutex_unlock(&works->lock);
    return work;
}

static void on_finished(struct watch *watch, uint32_t events)
{
    struct tls_worker *works = CONTAINER_OF(watch, struct tls_worker, watch);
    struct tls_task *work;
    eventfd_t count;
    (void)events;
    (void)eventfd_read(watch->fd, &count);
    while ((work = take_finished(works)) != NULL) {
        work->running = false;
        if (work->owner != NULL)
            work->advanced(work);
        else
            close_and_free(work);
    }
}

struct tls_task *tls_task_new(struct tls_worker *works, struct tls_context *context, int fd,
                              const char *name)
{
    struct tls_task *work = calloc(1, sizeof(*work));
    if (work == NULL)
        return NULL;
    *work = (struct tls_task){.tls = tls_new(context, fd, name), .fd = fd, .works = works};
    if (work->tls == NULL) {
        free(work);
        return NULL;
    }
    return work;
}

int tls_task_advance(struct tls_task *work)
{
    struct tls_worker *works = work->works;
    if (!works->started) {
        int r = pthread_create(&works->thread, NULL, work_on, works);
        if (r != 0)
            return -r;
        works->started = true;
    }
    work->running = true;
    pthread_mutex_lock(&works->lock);
    STAILQ_INSERT_TAIL(&works->waiting, work, link);
    pthread_cond_signal(&works->wanted);
    pthread_mutex_unlock(&works->lock);
    return 0;
}

struct tls_worker *tls_worker_new(struct core *core)
{
    struct tls_worker *works = calloc(1, sizeof(*works));
    if (works == NULL)
        return NULL;
    works->core = core;
    works->watch = (struct watch){.fd = -1, .ready = on_finished};
    STAILQ_INIT(&works->waiting);
    STAILQ_INIT(&works->finished);
    pthread_mutex_init(&works->lock, NULL);
    pthread_cond_init(&works->wanted, NULL);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0 || loop_watch(&core->loop, &works->watch, fd, EPOLLIN) < 0) {
        if (fd >= 0)
            close(fd);
        works->watch.fd = -1;
        tls_worker_free(works);
        return NULL;
    }
    return works;
}

void tls_worker_free(struct tls_worker *works)
{
    struct tls_task *work;
    if (works == NULL)
        return;
    pthread_mutex_lock(&works->lock);
    works->leaving = true;
    pthread_cond_signal(&works->wanted);
    pthread_mutex_unlock(&works->lock);
    if (works->started)
        pthread_join(works->thread, NULL);
    STAILQ_CONCAT(&works->finished, &works->waiting);
    while ((work = take_finished(works)) != NULL)
        close_and_free(work);
    if (works->watch.fd >= 0) {
        int fd = works->watch.fd;
        loop_unwatch(&works->core->loop, &works->watch);
        close(fd);
    }
    pthread_cond_destroy(&works->wanted);
    pthread_mutex_destroy(&works->lock);
    free(works);
}
