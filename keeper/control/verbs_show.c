/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is shown comes from status.c and clients.c; here it becomes an answer.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/control/verbs_show.h"
#include "keeper/host/hosts.h"

/* Hosts written in one turn of the loop: some 100 us of work. */
#define HOSTS_PER_TURN 16

static int answer_from_status(struct question *question, void (*write)(const struct status *status,
                                                                       struct json_writer *writer))
{
    struct json_writer writer = {.out = question->out};
    write(question->verbs->status, &writer);
    return question_finish(question, json_writer_finish(&writer));
}

int verb_status(struct question *question)
{
    return answer_from_status(question, status_write);
}

int verb_history(struct question *question)
{
    return answer_from_status(question, status_write_history);
}

int verb_histograms(struct question *question)
{
    return answer_from_status(question, status_write_histograms);
}

int verb_config(struct question *question)
{
    return answer_from_status(question, status_write_config);
}

int verb_clients(struct question *question)
{
    struct json_writer writer = {.out = question->out};
    clients_write(question->verbs->clients, &writer);
    return question_finish(question, json_writer_finish(&writer));
}

int verb_events(struct question *question)
{
    question->follows = true;
    return 0;
}

int verb_connections(struct question *question)
{
    struct json_writer writer = {.out = question->out};
    struct host *host = question_hold_host(question);
    if (host == NULL)
        return question_fail(question, NO_SUCH_HOST);
    status_write_connections(host, &writer);
    hosts_release(host);
    return question_finish(question, json_writer_finish(&writer));
}

/* --- Hosts ------------------------------------------------------------------------------------ */

static bool matches(const struct host *host, const char *pattern)
{
    return host->listed && (pattern == NULL || fnmatch(pattern, host->id, 0) == 0 ||
                            fnmatch(pattern, host->name, FNM_CASEFOLD) == 0);
}

/*
 * Writes a few hosts of what may be thousands; clients are served between two calls. The position
 * is kept as an id, since hosts may come and go meanwhile.
 */
static int write_some_hosts(struct question *question)
{
    struct host *host = hosts_after(question->verbs->status->hosts, question->cursor);
    struct json_writer writer = {.out = question->out, .follows = question->listed};
    const char *last = NULL;
    if (question->cursor == NULL) {
        json_writer_open(&writer, NULL, '{');
        json_writer_open(&writer, "hosts", '[');
    }
    for (int n = 0; host != NULL && n < HOSTS_PER_TURN; n++, host = hosts_next(host)) {
        last = host->id;
        if (matches(host, question->words[0]))
            status_write_host(question->verbs->status, host, &writer);
    }
    if (host == NULL) {
        question->more = NULL;
        json_writer_close(&writer, ']');
        json_writer_close(&writer, '}');
        return json_writer_finish(&writer);
    }
    question->listed = writer.follows;
    free(question->cursor);
    question->cursor = last != NULL ? strdup(last) : NULL;
    return question->cursor != NULL ? writer.error : -ENOMEM;
}

int verb_hosts(struct question *question)
{
    question->more = write_some_hosts;
    return 0;
}
