/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loncstatus.txt, worded as the old daemon did.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/draft.h"
#include "common/log.h"
#include "keeper/control/loncstatus.h"
#include "keeper/core/sliced_task.h"

/* Hosts reported in one turn of the loop: half a millisecond of work. */
#define HOSTS_PER_TURN 128

struct loncstatus {
    struct hosts *hosts;
    struct sliced_task task;
    struct draft draft; /* not open if the file cannot be written; hosts are retried all the same */
    char date[64];
    struct host *next; /* held; NULL: no report is being made, or all hosts are in it */
    bool again;        /* it was asked for another time meanwhile */
};

/* --- What is written -------------------------------------------------------------------------- */

/* The old daemon's count: how many more failures make the host dead. */
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
    /* The old daemon had three texts for this; its administrators saw this one. */
    if (host->health.state == HEALTH_DEAD)
        fprintf(file, "%s >>> DEAD !!!! <<<\t", host->id);
    else
        fprintf(file, "%s Connection count: %u Retries remaining: %u\t", host->id, connections,
                retries_remaining(host));
    /* Here the old daemon wrote its last log line. */
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

static void log_failure(int error)
{
    log_write(LOG_WARNING, NULL, "cannot write loncstatus.txt: %s", strerror(error));
}

/* 0 or a negative errno. */
static int open_draft(struct loncstatus *loncstatus)
{
    const char *root = loncstatus->hosts->core->config->loncapa.doc_root;
    char path[PATH_MAX];
    if (root == NULL)
        return -ENOENT;
    int length = snprintf(path, sizeof(path), "%s/lon-status/loncstatus.txt", root);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    return draft_open(&loncstatus->draft, path, 0644);
}

static void hold_next(struct loncstatus *loncstatus, struct host *host)
{
    loncstatus->next = host_hold(host);
}

static void begin_report(struct loncstatus *loncstatus)
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(loncstatus->date, sizeof(loncstatus->date), "%a %b %e %H:%M:%S %Y", &local);
    loncstatus->again = false;
    int r = open_draft(loncstatus);
    if (r < 0)
        log_failure(-r);
    else
        fprintf(loncstatus->draft.file, "LONC status %s - parent %ld \n\n", loncstatus->date,
                (long)getpid());
    hold_next(loncstatus, hosts_after(loncstatus->hosts, NULL));
    sliced_task_start(&loncstatus->task);
}

static void report_host(struct loncstatus *loncstatus)
{
    struct host *host = loncstatus->next;
    if (host->listed && loncstatus->draft.file != NULL)
        write_host(loncstatus->draft.file, host, loncstatus->date);
    if (host->listed)
        host_retry(host);
    hold_next(loncstatus, hosts_next(host));
    hosts_release(host);
}

static bool report_some(struct sliced_task *task)
{
    struct loncstatus *loncstatus = CONTAINER_OF(task, struct loncstatus, task);
    for (int n = 0; n < HOSTS_PER_TURN && loncstatus->next != NULL; n++)
        report_host(loncstatus);
    if (loncstatus->next != NULL)
        return true;
    /* Not synced: the file is a report of the moment. */
    int r = loncstatus->draft.file != NULL ? draft_install(&loncstatus->draft, false) : 0;
    if (r < 0)
        log_failure(-r);
    if (loncstatus->again)
        begin_report(loncstatus);
    return loncstatus->next != NULL;
}

void loncstatus_ask(struct loncstatus *loncstatus)
{
    if (loncstatus->task.running) {
        loncstatus->again = true;
        return;
    }
    begin_report(loncstatus);
    if (!report_some(&loncstatus->task)) /* usually that is all */
        sliced_task_stop(&loncstatus->task);
}

struct loncstatus *loncstatus_new(struct hosts *hosts)
{
    struct loncstatus *loncstatus = calloc(1, sizeof(*loncstatus));
    if (loncstatus == NULL)
        return NULL;
    loncstatus->hosts = hosts;
    if (sliced_task_open(&loncstatus->task, &hosts->core->loop, report_some) < 0) {
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
    draft_discard(&loncstatus->draft);
    if (loncstatus->next != NULL)
        hosts_release(loncstatus->next);
    free(loncstatus);
}
