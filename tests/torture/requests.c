/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The requests of world-clients. Each has a unique number in its text, so that no reply can be
 * taken for another's and each executed text identifies its request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/torture/clients.h"

#define TEXT_MOST (768 * 1024)

enum reply { REPLY_TEXT, REPLY_OK };

/* What a line is made of: `%s` is the host, `%u` a few milliseconds; the text follows. */
static const struct kind {
    const char *name, *before;
    unsigned weight;
    enum reply reply;
    bool large, stored;
} kinds[] = {
    {"echo", "echo:", 500, REPLY_TEXT, false, false},
    {"enciphered", "encrypt:echo:", 100, REPLY_TEXT, false, false},
    {"sleep", "sleep:%u:", 120, REPLY_TEXT, false, false},
    {"drip", "drip:1:", 10, REPLY_TEXT, false, false},
    {"large", "echo:", 10, REPLY_TEXT, true, false},
    {"large-enciphered", "encrypt:echo:", 2, REPLY_TEXT, true, false},
    {"sethost", "sethost:%s:echo:", 60, REPLY_TEXT, false, false},
    {"elsewhere", "sethost:another:echo:", 10, REPLY_TEXT, false, false},
    {"two", "two:", 5, REPLY_TEXT, false, false},
    {"last", "last:", 10, REPLY_TEXT, false, false},
    {"half", "half:", 10, REPLY_TEXT, false, false}, /* whole only where another fault strikes */
    {"stall", "stall:", 1, REPLY_TEXT, false, false},
    {"count", "count:", 60, REPLY_OK, false, false},
    {"defer", "lonc_defer:count:", 40, REPLY_OK, false, true},
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static const struct kind *any_kind(void)
{
    uint64_t total = 0, chosen;
    size_t i = 0;
    for (size_t j = 0; j < KINDS; j++)
        total += kinds[j].weight;
    chosen = clients_random(total);
    while (chosen >= kinds[i].weight)
        chosen -= kinds[i++].weight;
    return &kinds[i];
}

/* `<id>-` and padding that depends on the id, so that no two texts have a common end. */
static size_t make_text(char *text, uint64_t id, size_t padding)
{
    size_t length = (size_t)sprintf(text, "%lu-", id);
    for (size_t i = 0; i < padding; i++)
        text[length + i] = (char)('a' + (id * 7 + i * (1 + id % 5)) % 26);
    return length + padding;
}

void request_make(struct request *request, const char *host)
{
    static uint64_t ids;
    const struct kind *kind = any_kind();
    size_t padding = clients_random(kind->large ? TEXT_MOST : 100);
    char *line = malloc(300 + padding);
    if (line == NULL)
        abort();
    *request = (struct request){.id = ++ids, .kind = kind->name, .line = line};
    request->stored_too = kind->stored;

    size_t before;
    if (strstr(kind->before, "%s") != NULL)
        before = (size_t)sprintf(line, "sethost:%s:echo:", host);
    else if (strstr(kind->before, "%u") != NULL)
        before = (size_t)sprintf(line, "sleep:%u:", (unsigned)clients_random(30));
    else
        before = (size_t)sprintf(line, "%s", kind->before);
    request->length = before + make_text(line + before, request->id, padding);
    line[request->length++] = '\n';

    if (kind->reply == REPLY_TEXT) {
        request->wanted = line + before;
        request->wanted_length = request->length - before;
    } else {
        request->wanted = "ok\n";
        request->wanted_length = 3;
    }
}

void request_free(struct request *request)
{
    free(request->line);
    request->line = NULL;
}

static bool is(const char *reply, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(reply, text, length) == 0;
}

const char *request_judge(const struct request *request, const char *reply, size_t length)
{
    if (length == request->wanted_length && memcmp(reply, request->wanted, length) == 0)
        return "ok";
    if (is(reply, length, "con_lost\n"))
        return "con_lost";
    if (request->stored_too && is(reply, length, "con_delayed\n"))
        return "delayed";
    if (request->stored_too && is(reply, length, "con_failed\n"))
        return "failed";
    return "wrong";
}
