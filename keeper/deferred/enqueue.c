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
struct enqueueing {
    struct folder *folder;
    int fd; /* the folder that its path leads to now, not always the open one; or a negative errno
             */
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

static void end_enqueueing(struct enqueueing *stored, int result)
{
    if (result < 0) {
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = stored->host},
                  "cannot store a transaction: %s", strerror(-result));
        if (stored->fd >= 0)
            delayed_abandon(stored->fd, &stored->file);
    }
    enqueue_record(stored->folder, result < 0 ? PERMLOG_FAILED : PERMLOG_DEFERRED, stored->host,
                   stored->command, stored->length);
    stored->done(stored->argument, result >= 0);
    if (stored->fd >= 0)
        close(stored->fd);
    free(stored->host);
    permlog_drop(stored->command, stored->length);
    free(stored);
}

/* The disk may have taken its time: deadlines that are started from here on start now. */
static void refresh_clock(const struct enqueueing *stored)
{
    stored->folder->core->loop.now = monotonic_now();
}

static void on_name_durable(void *argument, int result)
{
    struct enqueueing *stored = argument;
    refresh_clock(stored);
    /* The file is complete and has its name, but the disk does not promise that this lasts. */
    if (result < 0)
        (void)unlinkat(stored->fd, stored->file.name, 0);
    end_enqueueing(stored, result);
}

static void on_content_durable(void *argument, int result)
{
    struct enqueueing *stored = argument;
    refresh_clock(stored);
    if (result >= 0)
        result = delayed_publish(stored->fd, &stored->file);
    if (result < 0)
        end_enqueueing(stored, result);
    else
        async_fsync_start(stored->folder->fsyncs, stored->fd, on_name_durable, stored);
}

void enqueue_start(struct folder *folder, const char *host, const char *line, size_t length,
                   void (*done)(void *argument, bool stored), void *argument)
{
    struct enqueueing *stored = calloc(1, sizeof(*stored));
    char *id = strdup(host);
    char *command = permlog_keep(line, length - 1);
    if (stored == NULL || id == NULL || command == NULL) {
        free(stored);
        free(id);
        permlog_drop(command, length - 1);
        done(argument, false);
        return;
    }
    *stored = (struct enqueueing){
        .folder = folder,
        .fd = folder->path != NULL ? delayed_open(folder->path) : -ENOMEM,
        .file = {.fd = -1},
        .host = id,
        .command = command,
        .length = length - 1,
        .done = done,
        .argument = argument,
    };
    int r = stored->fd;
    if (r >= 0)
        r = delayed_create(stored->fd, host, (uint64_t)time(NULL), line, length, &stored->file);
    if (r < 0)
        end_enqueueing(stored, r);
    else
        async_fsync_start(folder->fsyncs, stored->file.fd, on_content_durable, stored);
}
