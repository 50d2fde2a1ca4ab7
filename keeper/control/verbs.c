/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of verbs, and how a request line becomes a question for one of them.
 */
#include <bsd/string.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/host_name.h"
#include "common/log.h"
#include "keeper/control/verbs.h"
#include "keeper/control/verbs_act.h"
#include "keeper/control/verbs_show.h"

/* --- The table -------------------------------------------------------------------------------- */

static const struct verb {
    const char *name;
    const char *words; /* as usage says it */
    unsigned least, most;
    bool rest;    /* a command follows the words */
    bool changes; /* for root and the keeper's own user only */
    int (*run)(struct question *question);
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

static int fail_unknown_verb(struct question *question)
{
    char sentence[512] = "unknown verb; expected one of";
    for (size_t i = 0; i < VERBS; i++) {
        strlcat(sentence, i == 0 ? " " : ", ", sizeof(sentence));
        strlcat(sentence, verbs[i].name, sizeof(sentence));
    }
    return question_fail(question, sentence);
}

/* --- Permission ------------------------------------------------------------------------------- */

/* Hosts, files and levels may be logged. Anything else in their place may be the beginning of a
 * command (keeper/README.md rule 10). */
static const char *loggable(const char *word)
{
    return word == NULL || host_name_is_valid(word) ? word : "?";
}

/* Logs each request to change something, permitted or not. */
static bool is_permitted(const struct question *question, const struct verb *verb)
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

/* --- The request line ------------------------------------------------------------------------- */

/* Takes the next word off the line. NULL at its end. */
static char *next_word(char **rest)
{
    char *word;
    while ((word = strsep(rest, " ")) != NULL && *word == '\0')
        continue;
    return word;
}

/*
 * Takes the words off `text`, a copy of the line. `rest` points at the command that follows them in
 * the line itself, which is opaque from there on. False if they are not what the verb expects.
 */
static bool parse_words(struct question *question, const struct verb *verb, char *text,
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

static int fail_wrong_words(struct question *question, const struct verb *verb)
{
    char sentence[160];
    snprintf(sentence, sizeof(sentence), "expected: %s%s%s", verb->name,
             *verb->words != '\0' ? " " : "", verb->words);
    return question_fail(question, sentence);
}

/* NULL if there is no such verb. */
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

static int dispatch_question(struct question *question, const char *line, size_t length)
{
    const struct verb *verb = find_verb(line, length);
    char *text = question->words_text;
    /* What does not fit is part of the command, not of the words. */
    size_t kept = length - 1 < sizeof(question->words_text) - 1 ? length - 1
                                                                : sizeof(question->words_text) - 1;
    if (verb == NULL)
        return fail_unknown_verb(question);
    memcpy(text, line, kept);
    text[kept] = '\0';
    if (!parse_words(question, verb, text, line, length))
        return fail_wrong_words(question, verb);
    if (!is_permitted(question, verb))
        return question_fail(question, "only root and the keeper's own user may ask for this");
    return verb->run(question);
}

int verb_ask(struct question *question, const char *line, size_t length)
{
    question->asking = true;
    question->result = 0;
    int r = dispatch_question(question, line, length);
    question->asking = false;
    return r < 0 ? r : question->result; /* an answer that was to come later may be there already */
}
