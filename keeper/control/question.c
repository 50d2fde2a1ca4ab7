/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answering and withdrawing a question.
 */
#include <stdlib.h>
#include <string.h>

#include "keeper/control/question.h"

int question_finish(struct question *question, int result)
{
    question->result = result;
    question->later = false;
    if (!question->asking)
        question->answered(question, result);
    return result;
}

int question_succeed(struct question *question)
{
    struct json_writer writer = {.out = question->out};
    json_writer_open(&writer, NULL, '{');
    json_writer_bool(&writer, "ok", true);
    json_writer_close(&writer, '}');
    return question_finish(question, json_writer_finish(&writer));
}

int question_fail(struct question *question, const char *sentence)
{
    struct json_writer writer = {.out = question->out};
    json_writer_open(&writer, NULL, '{');
    json_writer_bool(&writer, "ok", false);
    json_writer_open(&writer, "errors", '[');
    json_writer_text(&writer, NULL, sentence);
    json_writer_close(&writer, ']');
    json_writer_close(&writer, '}');
    return question_finish(question, json_writer_finish(&writer));
}

struct host *question_hold_host(const struct question *question)
{
    return hosts_hold(question->verbs->status->hosts, question->words[0]);
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
    /* It may contain the beginning of a command (keeper/README.md rule 10). */
    explicit_bzero(question->words_text, sizeof(question->words_text));
}
