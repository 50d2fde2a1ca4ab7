/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Storing a transaction for a client, in steps that each wait for the disk without holding the
 * loop: written under a temporary name, synced, named, the folder synced, and only then told.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/monotonic.h"
#include "keeper/deferred/enqueue.h"

/* A request being stored for a client. */
struct store {
    struct backlogs *all;
    int folder; /* what the path leads to now, which may not be the one that is read; or an error */
    struct delayed_file file;
    char *host, *command;
    size_t length;
    void (*done)(void *argument, bool stored);
    void *argument;
};

void enqueue_log(struct backlogs *all, enum permlog_kind kind, const char *host,
                 const char *command, size_t length)
{
    int r = all->permlog_path == NULL
                ? -ENOENT
                : permlog_append(all->permlog_path, kind, host, command, length, time(NULL));
    if (r < 0)
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = host},
                  "cannot write the %c line to lonnet.perm.log: %s", (char)kind, strerror(-r));
}

static void end_store(struct store *store, int result)
{
    if (result < 0) {
        log_write(LOG_ERR, &(struct log_about){.event = LOG_EVENT_DEFERRED, .host = store->host},
                  "cannot store a transaction: %s", strerror(-result));
        if (store->folder >= 0)
            delayed_abandon(store->folder, &store->file);
    }
    enqueue_log(store->all, result < 0 ? PERMLOG_FAILED : PERMLOG_DEFERRED, store->host,
                store->command, store->length);
    store->done(store->argument, result >= 0);
    if (store->folder >= 0)
        close(store->folder);
    free(store->host);
    permlog_drop(store->command, store->length);
    free(store);
}

/* The disk may have taken its time: what is started from here on starts now. */
static void refresh_clock(const struct store *store)
{
    store->all->core->loop.now = monotonic_now();
}

static void on_name_durable(void *argument, int result)
{
    struct store *store = argument;
    refresh_clock(store);
    /* It is whole and has its name; on a disk that cannot say so, that is not known to last. */
    if (result < 0)
        unlinkat(store->folder, store->file.name, 0);
    end_store(store, result);
}

static void on_content_durable(void *argument, int result)
{
    struct store *store = argument;
    struct backlogs *all = store->all;
    refresh_clock(store);
    if (result >= 0)
        result = delayed_publish(store->folder, &store->file);
    if (result < 0)
        end_store(store, result);
    else
        async_fsync_start(all->fsyncs, store->folder, on_name_durable, store);
}

void enqueue_start(struct backlogs *all, const char *host, const char *line, size_t length,
                   void (*done)(void *argument, bool stored), void *argument)
{
    struct store *store = calloc(1, sizeof(*store));
    char *id = strdup(host);
    char *command = permlog_keep(line, length - 1);
    if (store == NULL || id == NULL || command == NULL) {
        free(store);
        free(id);
        permlog_drop(command, length - 1);
        done(argument, false);
        return;
    }
    *store = (struct store){
        .all = all,
        .folder = all->folder_path != NULL ? delayed_open(all->folder_path) : -ENOMEM,
        .file = {.fd = -1},
        .host = id,
        .command = command,
        .length = length - 1,
        .done = done,
        .argument = argument,
    };
    int r = store->folder;
    if (r >= 0)
        r = delayed_create(store->folder, host, (uint64_t)time(NULL), line, length, &store->file);
    if (r < 0)
        end_store(store, r);
    else
        async_fsync_start(all->fsyncs, store->file.fd, on_content_durable, store);
}
