/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The prefixes of a request line.
 */
#include <string.h>

#include "keeper/request.h"

/* Moves past the word, if it stands there. */
static bool skip(const char **at, const char *end, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(end - *at) < length || memcmp(*at, word, length) != 0)
        return false;
    *at += length;
    return true;
}

struct request request_parse(const char *line, size_t length)
{
    const char *at = line, *end = line + length - 1;
    struct request request = {.id = NULL};
    if (skip(&at, end, "sethost:")) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        request.id = at;
        request.id_length = (size_t)((colon != NULL ? colon : end) - at);
        /* Alone, it is a command like any other. */
        at = colon != NULL ? colon + 1 : line;
    }
    request.prefix = (size_t)(at - line);
    request.encrypt = skip(&at, end, "encrypt:");
    request.command = at;
    request.length = (size_t)(end - at);
    return request;
}

bool request_is_for_other(const struct request *request, const char *id)
{
    return request->id != NULL &&
           (strlen(id) != request->id_length || memcmp(id, request->id, request->id_length) != 0);
}
