/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verbs.
 */
#include <bsd/string.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/host_name.h"
#include "common/log.h"
#include "keeper/control/verbs.h"

/* Hosts told in one turn of the loop: some 100 us of work. */
#define HOSTS_PER_TURN 16

static json_t *failure(const char *sentence)
{
    return json_pack("{s:b, s:[s]}", "ok", false, "errors", sentence);
}

static json_t *success(void)
{
    return json_pack("{s:b}", "ok", true);
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* Ends an answer; 0 or what was wrong with it. */
static int end_line(const struct json_writer *writer)
{
    return writer->error < 0 ? writer->error : buffer_append(writer->out, "\n", 1);
}

/* All of it at once: it is small, and of one moment. */
static int more_status(struct question *question, struct buffer *out)
{
    struct json_writer writer = {.out = out};
    question->more = NULL;
    status_write(question->verbs->status, &writer);
    return end_line(&writer);
}

static json_t *verb_status(struct question *question)
{
    question->more = more_status;
    return NULL;
}

static json_t *verb_history(struct question *question)
{
    return status_history_json(question->verbs->status);
}

static json_t *verb_histograms(struct question *question)
{
    return status_histograms_json(question->verbs->status);
}

static json_t *verb_config(struct question *question)
{
    return status_config_json(question->verbs->status);
}

static json_t *verb_clients(struct question *question)
{
    return clients_json(question->verbs->clients);
}

static json_t *verb_events(struct question *question)
{
    question->follows = true;
    return NULL;
}

static bool matches(const struct host *host, const char *pattern)
{
    return host->listed && (pattern == NULL || fnmatch(pattern, host->id, 0) == 0 ||
                            fnmatch(pattern, host->name, FNM_CASEFOLD) == 0);
}

/* Some hosts of thousands; between two turns of this the keeper serves its clients. */
static int more_hosts(struct question *question, struct buffer *out)
{
    struct hosts *hosts = question->verbs->status->hosts;
    struct host *host = hosts_after(hosts, question->cursor);
    struct json_writer writer = {.out = out, .behind = question->told};
    char *last = NULL;
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
        return end_line(&writer);
    }
    question->told = writer.behind;
    free(question->cursor);
    question->cursor = last != NULL ? strdup(last) : NULL;
    return writer.error < 0 || question->cursor == NULL ? -ENOMEM : 0;
}

static json_t *verb_hosts(struct question *question)
{
    question->more = more_hosts;
    return NULL;
}

/* Holds the host that the first word names. NULL, with the failure in *answer, when there is none.
 */
static struct host *hold_host(const struct question *question, json_t **answer)
{
    struct host *host = hosts_hold(question->verbs->status->hosts, question->words[0]);
    if (host == NULL)
        *answer = failure("no such host in hosts.tab; expected a lonHostID or a DNS name");
    return host;
}

static json_t *verb_connections(struct question *question)
{
    json_t *answer;
    struct host *host = hold_host(question, &answer);
    if (host == NULL)
        return answer;
    answer =
        json_pack("{s:s, s:o}", "host", host->id, "connections", status_connections_json(host));
    hosts_release(host);
    return answer;
}

/* --- Changing --------------------------------------------------------------------------------- */

static void on_reloaded(struct reload_waiter *waiter, json_t *errors, json_t *warnings)
{
    struct question *question = CONTAINER_OF(waiter, struct question, reloading);
    question->answer(question, json_pack("{s:b, s:I, s:o, s:o}", "ok", json_array_size(errors) == 0,
                                         "hosts", (json_int_t)question->verbs->status->hosts->count,
                                         "errors", errors, "warnings", warnings));
}

static json_t *verb_reload(struct question *question)
{
    question->later = true;
    question->reloading.done = on_reloaded;
    reload_ask(question->verbs->reload, &question->reloading);
    return NULL;
}

static json_t *with_host(const struct question *question, void (*act)(struct host *host))
{
    json_t *answer;
    struct host *host = hold_host(question, &answer);
    if (host == NULL)
        return answer;
    act(host);
    hosts_release(host);
    return success();
}

static json_t *verb_retry(struct question *question)
{
    if (strcmp(question->words[0], "ALL") != 0)
        return with_host(question, host_retry);
    hosts_retry(question->verbs->status->hosts);
    return success();
}

static json_t *verb_pause(struct question *question)
{
    return with_host(question, host_pause);
}

static json_t *verb_resume(struct question *question)
{
    return with_host(question, host_resume);
}

static json_t *verb_reconnect(struct question *question)
{
    return with_host(question, host_close_connections);
}

static json_t *verb_flush(struct question *question)
{
    json_t *answer;
    struct host *host = hold_host(question, &answer);
    if (host == NULL)
        return answer;
    host_retry(host);
    deferred_flush(question->verbs->deferred, host);
    hosts_release(host);
    return success();
}

/* What loncctl does with the files, as whoever it runs as; here it is allowed, and logged. */
static json_t *verb_queue(struct question *question)
{
    static const char *const actions[] = {"hold", "release", "requeue", "delete"};
    const char *folder = deferred_folder(question->verbs->deferred);
    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
        if (strcmp(question->words[0], actions[i]) == 0)
            return folder != NULL ? json_pack("{s:b, s:s}", "ok", true, "folder", folder)
                                  : failure("there is no deferred folder");
    return failure("unknown action; expected hold, release, requeue or delete");
}

static json_t *verb_log(struct question *question)
{
    struct settings *settings = &question->verbs->core->settings;
    const size_t level_row = settings_find("log_level");
    const char *what = question->words[0], *value = question->words[1];
    if (strcmp(what, "transactions") == 0) {
        bool on = strcmp(value, "on") == 0;
        if (!on && strcmp(value, "off") != 0)
            return failure("expected on or off");
        settings->log_transactions = on;
        settings->lines[settings_find("log_transactions")] = SETTING_LINE_NONE;
        return success();
    }
    if (strcmp(what, "level") != 0)
        return failure("expected level LEVEL, or transactions on|off");
    const char *const *levels = settings_table[level_row].words; /* whose index is the level */
    for (unsigned level = 0; levels[level] != NULL; level++)
        if (strcmp(value, levels[level]) == 0) {
            settings->log_level = level;
            settings->lines[level_row] = SETTING_LINE_NONE;
            log_open("lonc-keeper", (enum log_target)settings->log_target, (int)level,
                     LOG_JOURNAL_SOCKET);
            return success();
        }
    return failure("expected emerg, alert, crit, err, warning, notice, info or debug");
}

/* --- Asking a host ---------------------------------------------------------------------------- */

/* A reply may be any bytes. */
static json_t *reply_json(const char *bytes, size_t length)
{
    bool coded;
    json_t *text = json_writer_bytes(bytes, length, &coded);
    json_t *answer = json_pack("{s:b, s:o}", "ok", true, "reply", text);
    if (answer != NULL && coded)
        json_object_set_new(answer, "encoding", json_string("latin-1"));
    return answer;
}

static void on_reply(struct transaction *transaction, enum reason reason, struct buffer *reply,
                     size_t length)
{
    struct question *question = CONTAINER_OF(transaction, struct question, transaction);
    char sentence[128];
    json_t *value;
    if (reason == REASON_NONE) {
        value = reply_json(reply->data + reply->start, length - 1);
    } else {
        snprintf(sentence, sizeof(sentence), "con_lost: %s", reason_text(reason));
        value = failure(sentence);
    }
    hosts_release(question->host);
    question->host = NULL;
    question->answer(question, value);
}

static json_t *verb_send(struct question *question)
{
    json_t *answer;
    question->host = hold_host(question, &answer);
    if (question->host == NULL)
        return answer;
    question->later = true;
    question->transaction = (struct transaction){
        .request = question->rest, .length = question->rest_length, .done = on_reply};
    question->verbs->core->requests++;
    host_submit(question->host, &question->transaction);
    return NULL;
}

static void on_stored(void *argument, bool stored)
{
    struct question *question = argument;
    question->storing = false;
    question->answer(question,
                     stored ? success() : failure("it could not be stored; the log says why"));
}

static json_t *verb_defer(struct question *question)
{
    json_t *answer;
    struct host *host = hold_host(question, &answer);
    if (host == NULL)
        return answer;
    question->later = question->storing = true;
    deferred_enqueue(question->verbs->deferred, host->id, question->rest, question->rest_length,
                     on_stored, question);
    hosts_release(host);
    return NULL;
}

bool question_withdraw(struct question *question)
{
    if (question->storing)
        return false;
    if (question->host != NULL) {
        if (!host_withdraw(&question->transaction))
            return false;
        hosts_release(question->host);
        question->host = NULL;
    }
    reload_withdraw(&question->reloading);
    return true;
}

void question_clear(struct question *question)
{
    free(question->cursor);
    question->cursor = NULL;
    /* The beginning of a command may stand there, too. */
    explicit_bzero(question->words_text, sizeof(question->words_text));
}

/* --- The table -------------------------------------------------------------------------------- */

static const struct verb {
    const char *name;
    const char *words; /* as usage says it */
    unsigned least, most;
    bool rest;    /* behind the words comes a command */
    bool changes; /* for root and the keeper's own user only */
    json_t *(*run)(struct question *question);
} verbs[] = {
    {"status", "", 0, 0, false, false, verb_status},
    {"hosts", "[PATTERN]", 0, 1, false, false, verb_hosts},
    {"connections", "HOST", 1, 1, false, false, verb_connections},
    {"clients", "", 0, 0, false, false, verb_clients},
    {"config", "", 0, 0, false, false, verb_config},
    {"history", "", 0, 0, false, false, verb_history},
    {"histograms", "", 0, 0, false, false, verb_histograms},
    {"events", "", 0, 0, false, false, verb_events},
    {"reload", "", 0, 0, false, true, verb_reload},
    {"retry", "HOST|ALL", 1, 1, false, true, verb_retry},
    {"pause", "HOST", 1, 1, false, true, verb_pause},
    {"resume", "HOST", 1, 1, false, true, verb_resume},
    {"reconnect", "HOST", 1, 1, false, true, verb_reconnect},
    {"flush", "HOST", 1, 1, false, true, verb_flush},
    {"queue", "hold|release|requeue|delete HOST|FILE|ALL", 2, 2, false, true, verb_queue},
    {"send", "HOST COMMAND", 1, 1, true, true, verb_send},
    {"defer", "HOST COMMAND", 1, 1, true, true, verb_defer},
    {"log", "level LEVEL|transactions on|off", 2, 2, false, true, verb_log},
};
#define VERBS (sizeof(verbs) / sizeof(*verbs))

static json_t *unknown_verb(void)
{
    char sentence[512] = "unknown verb; expected one of";
    for (size_t i = 0; i < VERBS; i++) {
        strlcat(sentence, i == 0 ? " " : ", ", sizeof(sentence));
        strlcat(sentence, verbs[i].name, sizeof(sentence));
    }
    return failure(sentence);
}

/* A host, a file, a level: what else stands in their place may be the beginning of a command. */
static const char *loggable(const char *word)
{
    return word == NULL || host_name_is_valid(word) ? word : "?";
}

static bool may(const struct question *question, const struct verb *verb)
{
    uid_t user = question->peer.uid;
    if (!verb->changes)
        return true;
    bool allowed = user == 0 || user == geteuid();
    const char *first = loggable(question->words[0]), *second = loggable(question->words[1]);
    log_write(allowed ? LOG_INFO : LOG_WARNING, NULL, "control: user %u %s %s%s%s%s%s",
              (unsigned)user, allowed ? "asks for" : "may not ask for", verb->name,
              first != NULL ? " " : "", first != NULL ? first : "", second != NULL ? " " : "",
              second != NULL ? second : "");
    return allowed;
}

/* Moves past one word of the line and the blanks behind it; NULL at its end. */
static char *next_word(char **rest)
{
    char *word;
    while ((word = strsep(rest, " ")) != NULL && *word == '\0')
        continue;
    return word;
}

/*
 * Cuts the words off the line. For a command behind them, `rest` points into the line itself, which
 * is opaque from there.
 */
static bool take_words(struct question *question, const struct verb *verb, char *text,
                       const char *line, size_t length)
{
    char *rest = text, *word;
    unsigned count = 0;
    next_word(&rest); /* the verb */
    while (count < verb->most && (word = next_word(&rest)) != NULL)
        question->words[count++] = word;
    if (count < verb->least)
        return false;
    if (!verb->rest)
        return next_word(&rest) == NULL;
    if (rest == NULL)
        return false;
    question->rest = line + (rest - text);
    question->rest_length = length - (size_t)(rest - text);
    return question->rest_length > 1;
}

static json_t *wrong_words(const struct verb *verb)
{
    char sentence[160];
    snprintf(sentence, sizeof(sentence), "expected: %s%s%s", verb->name,
             *verb->words != '\0' ? " " : "", verb->words);
    return failure(sentence);
}

/* NULL when there is no such verb. */
static const struct verb *find_verb(const char *line, size_t length)
{
    size_t name_length = 0;
    while (name_length < length && line[name_length] != ' ' && line[name_length] != '\n')
        name_length++;
    for (size_t i = 0; i < VERBS; i++)
        if (strlen(verbs[i].name) == name_length && memcmp(verbs[i].name, line, name_length) == 0)
            return &verbs[i];
    return NULL;
}

enum verb_stay verb_stay(const char *line, size_t length)
{
    const struct verb *verb = find_verb(line, length);
    if (verb == NULL)
        return VERB_ANSWERS;
    if (verb->run == verb_events)
        return VERB_FOLLOWS;
    return verb->run == verb_reload ? VERB_RELOADS : VERB_ANSWERS;
}

json_t *verb_ask(struct question *question, const char *line, size_t length)
{
    const struct verb *verb = find_verb(line, length);
    char *text = question->words_text;
    /* What does not fit is the command behind the words. */
    size_t kept = length - 1 < sizeof(question->words_text) - 1 ? length - 1
                                                                : sizeof(question->words_text) - 1;
    if (verb == NULL)
        return unknown_verb();
    memcpy(text, line, kept);
    text[kept] = '\0';
    if (!take_words(question, verb, text, line, length))
        return wrong_words(verb);
    if (!may(question, verb))
        return failure("only root and the keeper's own user may ask for this");
    return verb->run(question);
}
