/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Linux AIO: three system calls and an eventfd. glibc has no wrapper for them, and its aio_fsync
 * starts threads.
 *
 * Why this is not a thread, like the one that computes TLS (keeper/net/tls_worker.h): a thread
 * syncs one file after the other, and each sync waits for a commit of the file system's journal.
 * The kernel syncs all that are under way at the same time, and one commit serves them all. With
 * files of one request each on ext4, 64 syncs took 6 ms this way and 280 ms in a row; 200 took 16
 * ms and 800 ms. While a host is down, a server may well store that many requests at once. A pool
 * of threads would come near, but be more code, and hold descriptors open that the kernel here
 * holds itself. TLS is the opposite: it needs a processor, of which it must not take more than one.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keeper/deferred/async_fsync.h"

struct waiter {
    struct iocb request;
    void (*done)(void *argument, int result);
    void *argument;
};

struct async_fsync {
    aio_context_t context; /* 0: there is no AIO */
    int eventfd;
    sd_event_source *source;
    unsigned under_way;
};

/* Calls `done` for the syncs that are complete, and waits until at least `least` are. Whether any
 * were. */
static bool take_completed(struct async_fsync *sync, long least)
{
    struct io_event completed[16];
    struct timespec at_once = {.tv_sec = 0};
    long n;
    do
        n = syscall(SYS_io_getevents, sync->context, least, 16, completed,
                    least == 0 ? &at_once : NULL);
    while (n < 0 && errno == EINTR);
    for (long i = 0; i < n; i++) {
        struct waiter *waiter = (struct waiter *)(uintptr_t)completed[i].data;
        sync->under_way--;
        waiter->done(waiter->argument, (int)completed[i].res);
        free(waiter);
    }
    return n > 0;
}

static int on_completed(sd_event_source *source, int fd, uint32_t events, void *argument)
{
    struct async_fsync *sync = argument;
    uint64_t count;
    (void)source;
    (void)events;
    /* All are taken, since the eventfd does not report them again. */
    if (read(fd, &count, sizeof(count)) > 0)
        while (take_completed(sync, 0))
            continue;
    return 0;
}

struct async_fsync *async_fsync_new(sd_event *event)
{
    struct async_fsync *sync = calloc(1, sizeof(*sync));
    if (sync == NULL)
        return NULL;
    sync->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sync->eventfd < 0 || syscall(SYS_io_setup, SYNC_MAX, &sync->context) < 0 ||
        sd_event_add_io(event, &sync->source, sync->eventfd, EPOLLIN, on_completed, sync) < 0) {
        if (sync->context != 0)
            syscall(SYS_io_destroy, sync->context);
        sync->context = 0;
    }
    return sync;
}

void async_fsync_free(struct async_fsync *sync)
{
    if (sync == NULL)
        return;
    sd_event_source_disable_unref(sync->source);
    if (sync->context != 0) {
        while (sync->under_way > 0 && take_completed(sync, 1))
            continue;
        syscall(SYS_io_destroy, sync->context);
    }
    if (sync->eventfd >= 0)
        close(sync->eventfd);
    free(sync);
}

/* 0, or -EAGAIN if the kernel does not take it. */
static int submit(struct async_fsync *sync, int fd, struct waiter *waiter)
{
    if (waiter == NULL || sync->context == 0 || sync->under_way >= SYNC_MAX)
        return -EAGAIN;
    struct iocb *requests[] = {&waiter->request};
    waiter->request = (struct iocb){
        .aio_data = (uint64_t)(uintptr_t)waiter,
        .aio_lio_opcode = IOCB_CMD_FSYNC,
        .aio_fildes = (uint32_t)fd,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)sync->eventfd,
    };
    return syscall(SYS_io_submit, sync->context, 1, requests) == 1 ? 0 : -EAGAIN;
}

void async_fsync_start(struct async_fsync *sync, int fd, void (*done)(void *argument, int result),
                       void *argument)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter != NULL) {
        waiter->done = done;
        waiter->argument = argument;
    }
    if (submit(sync, fd, waiter) == 0) {
        sync->under_way++;
        return;
    }
    free(waiter);
    done(argument, fsync(fd) < 0 ? -errno : 0);
}
