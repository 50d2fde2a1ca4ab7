/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncstatus.txt, in the words of the old daemon.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/control/loncstatus.h"
#include "keeper/core/sliced_task.h"

/* In one turn of the loop: half a millisecond's work. */
#define HOSTS_PER_TURN 128

struct loncstatus {
    struct hosts *hosts;
    struct sliced_task task;
    FILE *file; /* NULL: it cannot be written, and hosts are forgiven all the same */
    char path[4096], temporary[4096 + 8];
    char date[64];
    struct host *next; /* held; NULL: all are written */
    bool again;
};

/* --- What is written -------------------------------------------------------------------------- */

/* What the old daemon counted: how many failures are left before the host is dead. */
static unsigned retries_remaining(const struct host *host)
{
    unsigned allowed = (unsigned)host->core->settings.failures_until_dead;
    return host->health.failures < allowed ? allowed - host->health.failures : 0;
}

static void write_host(FILE *file, const struct host *host, const char *date)
{
    char peer[ADDRESS_TEXT_SIZE];
    unsigned connections = 0, number = 0;
    for (unsigned list = 0; list < POOL_LISTS; list++)
        connections += host->pool_count[list];
    fprintf(file, "%ld\t%s\t%s: ", (long)getpid(), host->id, date);
    /* Of the old daemon's three texts for it, the one that its administrators saw. */
    if (host->health.state == HEALTH_DEAD)
        fprintf(file, "%s >>> DEAD !!!! <<<\t", host->id);
    else
        fprintf(file, "%s Connection count: %u Retries remaining: %u\t", host->id, connections,
                retries_remaining(host));
    /* In the place of the old daemon's last log line: the last thing there was to say. */
    if (host->health.state != HEALTH_HEALTHY)
        fprintf(file, "%s\n", reason_text(host->health.reason));
    else if (host_has_connected(host))
        fprintf(file, "connected to lond %s at %s, %s\n", host_lond_version(host),
                address_text(&host->peer, peer), handshake_mode_word(host->mode));
    else
        fputs("no connection yet\n", file);
    fputs("Active connection statuses: \n", file);
    for (unsigned list = 0; list < POOL_LISTS; list++) {
        const struct lond *lond;
        LIST_FOREACH (lond, &host->pool[list], place.link)
            fprintf(file, "Connection %u State: %s\n", ++number, lond_state_name(lond->state));
    }
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void say_failed(int error)
{
    log_write(LOG_WARNING, NULL, "cannot write loncstatus.txt: %s", strerror(error));
}

/* 0 or a negative errno. */
static int open_file(struct loncstatus *loncstatus)
{
    const char *root = loncstatus->hosts->core->config->loncapa.doc_root;
    if (root == NULL)
        return -ENOENT;
    int length =
        snprintf(loncstatus->path, sizeof(loncstatus->path), "%s/lon-status/loncstatus.txt", root);
    if (length < 0 || (size_t)length >= sizeof(loncstatus->path))
        return -ENAMETOOLONG;
    snprintf(loncstatus->temporary, sizeof(loncstatus->temporary), "%s.new", loncstatus->path);
    loncstatus->file = fopen(loncstatus->temporary, "we");
    return loncstatus->file != NULL ? 0 : -errno;
}

static void close_file(struct loncstatus *loncstatus)
{
    int error = ferror(loncstatus->file) ? EIO : 0;
    if (fclose(loncstatus->file) != 0)
        error = errno;
    loncstatus->file = NULL;
    if (error == 0 && rename(loncstatus->temporary, loncstatus->path) < 0)
        error = errno;
    if (error == 0)
        return;
    unlink(loncstatus->temporary);
    say_failed(error);
}

static void hold(struct loncstatus *loncstatus, struct host *host)
{
    loncstatus->next = host_hold(host);
}

static void start(struct loncstatus *loncstatus)
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(loncstatus->date, sizeof(loncstatus->date), "%a %b %e %H:%M:%S %Y", &local);
    loncstatus->again = false;
    int r = open_file(loncstatus);
    if (r < 0)
        say_failed(-r);
    else
        fprintf(loncstatus->file, "LONC status %s - parent %ld \n\n", loncstatus->date,
                (long)getpid());
    hold(loncstatus, hosts_after(loncstatus->hosts, NULL));
    sliced_task_start(&loncstatus->task);
}

static void do_one(struct loncstatus *loncstatus)
{
    struct host *host = loncstatus->next;
    if (host->listed && loncstatus->file != NULL)
        write_host(loncstatus->file, host, loncstatus->date);
    if (host->listed)
        host_retry(host);
    hold(loncstatus, hosts_next(host));
    hosts_release(host);
}

static void do_some(struct sliced_task *task)
{
    struct loncstatus *loncstatus = CONTAINER_OF(task, struct loncstatus, task);
    for (int n = 0; n < HOSTS_PER_TURN && loncstatus->next != NULL; n++)
        do_one(loncstatus);
    if (loncstatus->next != NULL)
        return;
    sliced_task_stop(task);
    if (loncstatus->file != NULL)
        close_file(loncstatus);
    if (loncstatus->again)
        start(loncstatus);
}

void loncstatus_ask(struct loncstatus *loncstatus)
{
    if (loncstatus->task.running) {
        loncstatus->again = true;
        return;
    }
    start(loncstatus);
    do_some(&loncstatus->task); /* mostly that is all */
}

struct loncstatus *loncstatus_new(struct hosts *hosts)
{
    struct loncstatus *loncstatus = calloc(1, sizeof(*loncstatus));
    if (loncstatus == NULL)
        return NULL;
    loncstatus->hosts = hosts;
    if (sliced_task_open(&loncstatus->task, &hosts->core->loop, do_some) < 0) {
        loncstatus_free(loncstatus);
        return NULL;
    }
    return loncstatus;
}

void loncstatus_free(struct loncstatus *loncstatus)
{
    if (loncstatus == NULL)
        return;
    sliced_task_close(&loncstatus->task);
    if (loncstatus->file != NULL) {
        fclose(loncstatus->file);
        unlink(loncstatus->temporary);
    }
    if (loncstatus->next != NULL)
        hosts_release(loncstatus->next);
    free(loncstatus);
}
