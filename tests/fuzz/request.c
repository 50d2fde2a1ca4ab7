/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The prefixes of a request: its parts are the line, none is taken for another, what would travel
 * enciphered is what follows `encrypt:`, also behind other prefixes, and of that no more than a
 * word is shown.
 */
#include <stdlib.h>
#include <string.h>

#include "keeper/lond/request.h"
#include "tests/fuzz/fuzz.h"

static bool starts(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - at) >= length && memcmp(at, word, length) == 0;
}

static void check_id(const struct request *request, const char *line, const char *end)
{
    CHECK((request->id != NULL) == starts(line, end, "sethost:"));
    if (request->id == NULL) {
        CHECK(!request_is_for_other(request, "msul1"));
        CHECK(request->encrypt || request->prefix == 0);
        return;
    }
    CHECK(request->id == line + strlen("sethost:"));
    CHECK(memchr(request->id, ':', request->id_length) == NULL);
    bool alone = request->id + request->id_length == end;
    size_t own = alone ? 0 : strlen("sethost:") + request->id_length + 1;
    CHECK(request->encrypt ? request->prefix >= own : request->prefix == own);
    CHECK(alone || line[request->prefix - 1] == ':');
    bool same = request->id_length == 5 && memcmp(request->id, "msul1", 5) == 0;
    CHECK(request_is_for_other(request, "msul1") == !same);
}

static void check_shown(const struct request *request, const char *line, size_t length)
{
    struct request_shown shown = request_shown(line, length);
    CHECK(shown.length <= length);
    CHECK(shown.secret || shown.length == length);
    CHECK(shown.word_length <= REQUEST_WORD_MAX);
    for (size_t i = 0; i < shown.word_length; i++)
        CHECK(shown.word[i] >= 'a' && shown.word[i] <= 'z');
    CHECK(shown.secret || !request->encrypt);
    for (const char *at = request->command; request->encrypt && at < line + shown.length; at++)
        CHECK(*at >= 'a' && *at <= 'z');
}

static void check(const char *line, size_t length)
{
    const char *end = line + length - 1;
    struct request request = request_parse(line, length);
    CHECK(request.command + request.length == end);
    CHECK(line + request.prefix + (request.encrypt ? strlen("encrypt:") : 0) == request.command);
    CHECK(request.encrypt == starts(line + request.prefix, end, "encrypt:"));
    check_id(&request, line, end);
    check_shown(&request, line, length - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A line is whatever stands before a LF; of the very size, for the sanitizer. */
    char *line = malloc(size + 1);
    CHECK(line != NULL);
    size_t length = 0;
    while (length < size && data[length] != '\n') {
        line[length] = (char)data[length];
        length++;
    }
    line[length] = '\n';
    check(line, length + 1);
    free(line);
    return 0;
}
