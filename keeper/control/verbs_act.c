/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hosts, deferred files, the log, and requests that an administrator sends.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "keeper/control/verbs_act.h"
#include "keeper/host/hosts.h"

/* --- Reload ----------------------------------------------------------------------------------- */

static void write_texts(struct json_writer *writer, const char *key, const struct buffer *texts)
{
    const char *text = texts->data + texts->start, *end = texts->data + texts->end;
    json_writer_open(writer, key, '[');
    for (; text < end; text += strlen(text) + 1)
        json_writer_text(writer, NULL, text);
    json_writer_close(writer, ']');
}

static void on_reloaded(struct reload_waiter *waiter, const struct reload_outcome *outcome)
{
    struct question *question = CONTAINER_OF(waiter, struct question, reloading);
    struct json_writer writer = {.out = question->out};
    json_writer_open(&writer, NULL, '{');
    json_writer_bool(&writer, "ok", !outcome->failed);
    json_writer_count(&writer, "hosts", question->verbs->status->hosts->count);
    write_texts(&writer, "errors", &outcome->errors);
    write_texts(&writer, "warnings", &outcome->warnings);
    json_writer_close(&writer, '}');
    (void)question_finish(question, json_writer_finish(&writer));
}

int verb_reload(struct question *question)
{
    question->later = true;
    question->reloading.done = on_reloaded;
    reload_ask(question->verbs->reload, &question->reloading);
    return 0;
}

/* --- Hosts ------------------------------------------------------------------------------------ */

static int act_on_host(struct question *question, void (*act)(struct host *host))
{
    struct host *host = question_hold_host(question);
    if (host == NULL)
        return question_fail(question, NO_SUCH_HOST);
    act(host);
    hosts_release(host);
    return question_succeed(question);
}

int verb_retry(struct question *question)
{
    if (strcmp(question->words[0], "ALL") != 0)
        return act_on_host(question, host_retry);
    hosts_retry(question->verbs->status->hosts);
    return question_succeed(question);
}

int verb_pause(struct question *question)
{
    return act_on_host(question, host_pause);
}

int verb_resume(struct question *question)
{
    return act_on_host(question, host_resume);
}

int verb_reconnect(struct question *question)
{
    return act_on_host(question, host_close_connections);
}

/* --- Deferred files --------------------------------------------------------------------------- */

int verb_flush(struct question *question)
{
    struct host *host = question_hold_host(question);
    if (host == NULL)
        return question_fail(question, NO_SUCH_HOST);
    host_retry(host);
    deferred_flush(question->verbs->deferred, host);
    hosts_release(host);
    return question_succeed(question);
}

/* loncctl changes the files itself, with the rights of its user. The keeper only permits that, and
 * logs it. */
int verb_queue(struct question *question)
{
    static const char *const actions[] = {"hold", "release", "requeue", "delete"};
    const char *folder = deferred_folder(question->verbs->deferred);
    struct json_writer writer = {.out = question->out};
    size_t i = 0;
    while (i < sizeof(actions) / sizeof(*actions) && strcmp(question->words[0], actions[i]) != 0)
        i++;
    if (i == sizeof(actions) / sizeof(*actions))
        return question_fail(question, "unknown action; expected hold, release, requeue or delete");
    if (folder == NULL)
        return question_fail(question, "there is no deferred folder");
    json_writer_open(&writer, NULL, '{');
    json_writer_bool(&writer, "ok", true);
    json_writer_text(&writer, "folder", folder);
    json_writer_close(&writer, '}');
    return question_finish(question, json_writer_finish(&writer));
}

static void on_stored(void *argument, bool stored)
{
    struct question *question = argument;
    question->storing = false;
    if (stored)
        (void)question_succeed(question);
    else
        (void)question_fail(question, "it could not be stored; the log says why");
}

int verb_defer(struct question *question)
{
    struct host *host = question_hold_host(question);
    if (host == NULL)
        return question_fail(question, NO_SUCH_HOST);
    question->later = question->storing = true;
    deferred_enqueue(question->verbs->deferred, host->id, question->rest, question->rest_length,
                     on_stored, question);
    hosts_release(host);
    return 0;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* A reply may contain any bytes. */
static int answer_reply(struct question *question, const char *bytes, size_t length)
{
    struct json_writer writer = {.out = question->out};
    json_writer_open(&writer, NULL, '{');
    json_writer_bool(&writer, "ok", true);
    if (!json_writer_bytes(&writer, "reply", bytes, length))
        json_writer_text(&writer, "encoding", "latin-1");
    json_writer_close(&writer, '}');
    return question_finish(question, json_writer_finish(&writer));
}

static void on_reply(struct transaction *transaction, enum reason reason, struct buffer *reply,
                     size_t length)
{
    struct question *question = CONTAINER_OF(transaction, struct question, transaction);
    struct host *host = question->host;
    char sentence[128];
    question->host = NULL;
    if (reason == REASON_NONE) {
        (void)answer_reply(question, reply->data + reply->start, length - 1);
    } else {
        snprintf(sentence, sizeof(sentence), "con_lost: %s", reason_text(reason));
        (void)question_fail(question, sentence);
    }
    hosts_release(host); /* not earlier, since the reply may go with it */
}

int verb_send(struct question *question)
{
    question->host = question_hold_host(question);
    if (question->host == NULL)
        return question_fail(question, NO_SUCH_HOST);
    question->later = true;
    question->transaction = (struct transaction){
        .request = question->rest, .length = question->rest_length, .done = on_reply};
    question->verbs->core->requests++;
    host_submit(question->host, &question->transaction);
    return 0;
}

/* --- The log ---------------------------------------------------------------------------------- */

static int log_transactions(struct question *question, const char *value)
{
    struct settings *settings = &question->verbs->core->settings;
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0)
        return question_fail(question, "expected on or off");
    settings->log_transactions = on;
    settings->lines[settings_find("log_transactions")] = SETTING_LINE_NONE;
    return question_succeed(question);
}

static int log_level(struct question *question, const char *value)
{
    struct settings *settings = &question->verbs->core->settings;
    const size_t row = settings_find("log_level");
    const char *const *levels = settings_table[row].words; /* whose index is the level */
    unsigned level = 0;
    while (levels[level] != NULL && strcmp(value, levels[level]) != 0)
        level++;
    if (levels[level] == NULL)
        return question_fail(question,
                             "expected emerg, alert, crit, err, warning, notice, info or debug");
    settings->log_level = level;
    settings->lines[row] = SETTING_LINE_NONE;
    log_open("lonc-keeper", (enum log_target)settings->log_target, (int)level, LOG_JOURNAL_SOCKET);
    return question_succeed(question);
}

/* Until the next reload. */
int verb_log(struct question *question)
{
    const char *what = question->words[0], *value = question->words[1];
    if (strcmp(what, "transactions") == 0)
        return log_transactions(question, value);
    if (strcmp(what, "level") == 0)
        return log_level(question, value);
    return question_fail(question, "expected level LEVEL, or transactions on|off");
}
