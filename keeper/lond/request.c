/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The prefixes of a request line. Two readers with opposite duties: request_parse is strict, since
 * lond has to understand the same; request_shown is lenient, since what merely looks like a secret
 * must not be shown.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/plural.h"
#include "keeper/lond/request.h"

/* Whether the text at `at` starts with the word. */
static bool starts(const char *at, const char *end, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(end - at) >= length && memcmp(at, word, length) == 0;
}

/* Moves past the word, if it comes next. */
static bool skip(const char **at, const char *end, const char *word)
{
    if (!starts(*at, end, word))
        return false;
    *at += strlen(word);
    return true;
}

/* Moves past one `sethost:<lonHostID>:`. Without the second colon it is a command of its own. */
static bool skip_sethost(const char **at, const char *end)
{
    const char *id = *at;
    if (!skip(&id, end, "sethost:"))
        return false;
    const char *colon = memchr(id, ':', (size_t)(end - id));
    if (colon == NULL)
        return false;
    *at = colon + 1;
    return true;
}

/* Notes a `sethost:` behind the first, or inside what is enciphered. If a third follows, its id is
 * left empty, which is nobody's. */
static void find_stray(struct request *request, const char *at, const char *end)
{
    if (!skip(&at, end, "sethost:"))
        return;
    const char *colon = memchr(at, ':', (size_t)(end - at));
    bool only = request->stray_id == NULL && (colon == NULL || !starts(colon + 1, end, "sethost:"));
    request->stray_id = at;
    request->stray_length = only ? (size_t)((colon != NULL ? colon : end) - at) : 0;
}

struct request request_parse(const char *line, size_t length)
{
    const char *at = line, *end = line + length - 1;
    struct request request = {.id = NULL};
    if (starts(line, end, "sethost:")) {
        bool inline_one = skip_sethost(&at, end);
        request.id = line + strlen("sethost:");
        request.id_length = (size_t)((inline_one ? at - 1 : end) - request.id);
        if (inline_one)
            find_stray(&request, at, end);
    }
    const char *secret = at;
    while (skip_sethost(&secret, end) || skip(&secret, end, "lonc_defer:"))
        continue;
    if (starts(secret, end, "encrypt:"))
        at = secret;
    request.prefix = (size_t)(at - line);
    request.encrypt = skip(&at, end, "encrypt:");
    if (request.encrypt)
        find_stray(&request, at, end);
    request.command = at;
    request.length = (size_t)(end - at);
    return request;
}

static bool is_other(const char *text, size_t length, const char *id)
{
    return text != NULL && (strlen(id) != length || memcmp(id, text, length) != 0);
}

bool request_is_for_other(const struct request *request, const char *id)
{
    return is_other(request->id, request->id_length, id);
}

bool request_leaves_other(const struct request *request, const char *id)
{
    return request_is_for_other(request, id) ||
           is_other(request->stray_id, request->stray_length, id);
}

/* --- What may be shown ------------------------------------------------------------------------ */

/* Moves past the word, in any case, and past blanks before it. */
static bool pass(const char **at, const char *end, const char *word)
{
    const char *start = *at;
    size_t length = strlen(word);
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    if ((size_t)(end - start) < length || strncasecmp(start, word, length) != 0)
        return false;
    *at = start + length;
    return true;
}

/* Moves past a mark that the rest is enciphered, or is to be. */
static bool pass_secret_mark(const char **at, const char *end)
{
    return pass(at, end, "encrypt:") || pass(at, end, "enc:");
}

/* Moves past one prefix and its id, but not past a mark that stands where the id should. */
static bool pass_prefix(const char **at, const char *end)
{
    const char *id = *at;
    if (pass(at, end, "lonc_defer:"))
        return true;
    if (!pass(&id, end, "sethost:"))
        return false;
    const char *colon = memchr(id, ':', (size_t)(end - id)), *mark = id;
    if (colon == NULL)
        return false;
    *at = pass_secret_mark(&mark, end) ? id : colon + 1;
    return true;
}

/* Whether there is a mark behind any colon: the id of a prefix may itself contain colons. */
static bool has_secret_mark(const char *at, const char *end)
{
    for (; (at = memchr(at, ':', (size_t)(end - at))) != NULL; at++) {
        const char *mark = at + 1;
        if (pass_secret_mark(&mark, end))
            return true;
    }
    return false;
}

/* The length of the word at `at`. lond's commands are written in small letters. */
static size_t word_length(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= 'a' && *at <= 'z')
        at++;
    return (size_t)(at - start);
}

static size_t limit_word(size_t length)
{
    return length < REQUEST_WORD_MAX ? length : REQUEST_WORD_MAX;
}

static struct request_shown secret_behind(size_t length)
{
    static const char word[] = "encrypt";
    return (struct request_shown){
        .length = length, .secret = true, .word = word, .word_length = sizeof(word) - 1};
}

struct request_shown request_shown(const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    while (pass_prefix(&at, end))
        continue;
    const char *command = at;
    bool marked = pass_secret_mark(&command, end);
    size_t word = word_length(command, end);
    if (marked) {
        /* A word that does not end with a colon may be the beginning of the secret itself. */
        bool whole = command + word == end || command[word] == ':';
        return secret_behind((size_t)(command - text) + (whole ? limit_word(word) : 0));
    }
    if (at > text && has_secret_mark(at, end))
        return secret_behind((size_t)(at - text));
    return (struct request_shown){.length = length, .word = at, .word_length = limit_word(word)};
}

void request_summary(const char *line, size_t length, char text[REQUEST_SUMMARY_SIZE])
{
    size_t looked_at = length - 1 < REQUEST_LOOKED_AT ? length - 1 : REQUEST_LOOKED_AT;
    struct request_shown shown = request_shown(line, looked_at);
    snprintf(text, REQUEST_SUMMARY_SIZE, "%.*s (%zu byte%s)", (int)shown.word_length, shown.word,
             length, plural(length));
}
