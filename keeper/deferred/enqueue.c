/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Storing a transaction in steps, none of which makes the loop wait for the disk: the file is
 * written under a temporary name and synced, gets its name, the folder is synced, and only then is
 * the client told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/deferred/delayed_create.h"
#include "keeper/deferred/enqueue.h"

/* A transaction that is being stored. */
struct enqueue {
    struct folder *folder;
    int fd; /* what the folder's path leads to now, perhaps not the open one; or a negative errno */
    struct delayed_file file;
    char *host, *command;
    size_t length; /* of the command, without LF */
    void (*done)(void *argument, bool stored);
    void *argument;
};

void enqueue_record(const struct folder *folder, enum permlog_kind kind, const char *host,
                    const char *command, size_t length)
{
    int r = folder->permlog_path == NULL
                ? -ENOMEM
                : permlog_append(folder->permlog_path, kind, host, command, length, time(NULL));
    if (r < 0)
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = host},
                  "cannot write the %c line to lonnet.perm.log: %s", (char)kind, strerror(-r));
}

static void end_enqueue(struct enqueue *enqueue, int result)
{
    if (result < 0) {
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = enqueue->host},
                  "cannot store a transaction: %s", strerror(-result));
        if (enqueue->fd >= 0)
            delayed_abandon(enqueue->fd, &enqueue->file);
    }
    enqueue_record(enqueue->folder, result < 0 ? PERMLOG_FAILED : PERMLOG_DEFERRED, enqueue->host,
                   enqueue->command, enqueue->length);
    enqueue->done(enqueue->argument, result >= 0);
    if (enqueue->fd >= 0)
        close(enqueue->fd);
    free(enqueue->host);
    permlog_drop(enqueue->command, enqueue->length);
    free(enqueue);
}

/* The disk may have taken its time: deadlines that are started from here on start now. */
static void refresh_clock(const struct enqueue *enqueue)
{
    enqueue->folder->core->loop.now = monotonic_now();
}

static void on_name_durable(void *argument, int result)
{
    struct enqueue *enqueue = argument;
    refresh_clock(enqueue);
    /* The file is complete and has its name, but the disk does not promise that this lasts. */
    if (result < 0)
        (void)unlinkat(enqueue->fd, enqueue->file.name, 0);
    end_enqueue(enqueue, result);
}

static void on_content_durable(void *argument, int result)
{
    struct enqueue *enqueue = argument;
    refresh_clock(enqueue);
    if (result >= 0)
        result = delayed_publish(enqueue->fd, &enqueue->file);
    if (result < 0)
        end_enqueue(enqueue, result);
    else
        async_fsync_start(enqueue->folder->fsyncs, enqueue->fd, on_name_durable, enqueue);
}

void enqueue_start(struct folder *folder, const char *host, const char *line, size_t length,
                   void (*done)(void *argument, bool stored), void *argument)
{
    struct enqueue *enqueue = calloc(1, sizeof(*enqueue));
    char *id = strdup(host);
    char *command = permlog_keep(line, length - 1);
    if (enqueue == NULL || id == NULL || command == NULL) {
        free(enqueue);
        free(id);
        permlog_drop(command, length - 1);
        done(argument, false);
        return;
    }
    *enqueue = (struct enqueue){
        .folder = folder,
        .fd = folder->path != NULL ? delayed_open(folder->path) : -ENOMEM,
        .file = {.fd = -1},
        .host = id,
        .command = command,
        .length = length - 1,
        .done = done,
        .argument = argument,
    };
    int r = enqueue->fd;
    if (r >= 0)
        r = delayed_create(enqueue->fd, host, (uint64_t)time(NULL), line, length, &enqueue->file);
    if (r < 0)
        end_enqueue(enqueue, r);
    else
        async_fsync_start(folder->fsyncs, enqueue->file.fd, on_content_durable, enqueue);
}
