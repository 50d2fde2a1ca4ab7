/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Queries that are waited for.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/interrupt.h"
#include "keeper/loncctl/core/query.h"

/* Seconds to wait for the next byte. A reload of ten thousand hosts takes one at most. */
#define PATIENCE 30

_Noreturn static void fail_unreachable(const char *path, const char *why)
{
    char what[256];
    snprintf(what, sizeof(what), "no keeper answers at %s", path);
    fail(LONCCTL_UNREACHABLE, what, why);
}

static struct query start_or_fail(const char *path, const char *line)
{
    struct query query;
    int r = query_start(&query, path, line, PATIENCE);
    if (r == -ENAMETOOLONG || r == -EINVAL)
        fail(LONCCTL_USAGE, path, "a socket cannot have this path");
    if (r < 0)
        fail_unreachable(path, strerror(-r));
    return query;
}

/* Waits for the answer and ends the query. Returns the value, or NULL and why in words. */
static json_t *await_value(struct query *query, const char **why)
{
    struct pollfd wait = {.fd = query->fd, .events = POLLIN};
    int r = 0;
    while (r == 0) {
        if (poll(&wait, 1, PATIENCE * 1000) == 0)
            r = -ETIMEDOUT;
        else
            r = query_receive(query);
    }
    json_t *value = r > 0 ? query_value(query) : NULL;
    if (value == NULL)
        *why = r < 0 ? strerror(-r) : query->length == 0 ? "it hung up" : "its answer is not JSON";
    query_end(query);
    return value;
}

json_t *ask(const char *path, const char *line)
{
    const char *why;
    struct query query = start_or_fail(path, line);
    json_t *value = await_value(&query, &why);
    if (value == NULL)
        fail_unreachable(path, why);
    return value;
}

json_t *ask_or_why(const char *path, const char *line, const char **why)
{
    struct query query;
    int r = query_start(&query, path, line, PATIENCE);
    if (r < 0) {
        *why = strerror(-r);
        return NULL;
    }
    json_t *value = await_value(&query, why);
    const char *busy = ask_busy_sentence(value);
    if (busy == NULL)
        return value;
    *why = busy;
    json_decref(value);
    return NULL;
}

/* --- What an answer says ---------------------------------------------------------------------- */

bool ask_is_refusal(const json_t *answer)
{
    return json_is_false(json_object_get(answer, "ok"));
}

const char *ask_busy_sentence(const json_t *answer)
{
    static char sentence[256];
    const char *text = json_string_value(json_array_get(json_object_get(answer, "errors"), 0));
    if (!json_is_true(json_object_get(answer, "busy")))
        return NULL;
    snprintf(sentence, sizeof(sentence), "%s", text != NULL ? text : "it has no place left");
    return sentence;
}

/* --- A stream --------------------------------------------------------------------------------- */

/* Passes complete lines on and keeps the rest. Returns false if `each` wants no more. */
static bool pass_lines_on(struct query *query, bool (*each)(void *argument, const char *line),
                          void *argument)
{
    char *start = query->bytes, *end = query->bytes + query->length, *feed;
    bool more = true;
    while (more && (feed = memchr(start, '\n', (size_t)(end - start))) != NULL) {
        *feed = '\0';
        more = each(argument, start);
        start = feed + 1;
    }
    query->length = (size_t)(end - start);
    memmove(query->bytes, start, query->length);
    return more;
}

void ask_for_stream(const char *path, const char *line,
                    bool (*each)(void *argument, const char *line), void *argument)
{
    sigset_t before = interrupt_catch();
    struct query query = start_or_fail(path, line);
    struct pollfd wait[] = {
        {.fd = query.fd, .events = POLLIN},
        {.fd = STDOUT_FILENO}, /* an error is reported when its reader has gone, even if there is
                                  nothing to write */
    };
    int r = 0;
    bool more = true;
    while (more && r == 0 && !interrupt_came()) {
        if (ppoll(wait, 2, NULL, &before) < 0)
            continue;
        r = query_receive(&query);
        more = pass_lines_on(&query, each, argument) && wait[1].revents == 0;
    }
    query_end(&query);
    if (more && !interrupt_came())
        fail_unreachable(path, r > 0 ? "it hung up" : strerror(-r));
}
