/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing JSON.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/core/tell.h"

static void put(struct tell *tell, const char *bytes, size_t length)
{
    if (tell->error == 0)
        tell->error = buffer_append(tell->out, bytes, length);
}

/* What comes before a value: a comma behind the last one, and its key. */
static void begin(struct tell *tell, const char *key)
{
    if (tell->behind)
        put(tell, ",", 1);
    tell->behind = true;
    if (key == NULL)
        return;
    put(tell, "\"", 1);
    put(tell, key, strlen(key));
    put(tell, "\":", 2);
}

static void put_value(struct tell *tell, const char *key, const char *text)
{
    begin(tell, key);
    put(tell, text, strlen(text));
}

void tell_open(struct tell *tell, const char *key, char bracket)
{
    begin(tell, key);
    put(tell, &bracket, 1);
    tell->behind = false;
}

void tell_close(struct tell *tell, char bracket)
{
    put(tell, &bracket, 1);
    tell->behind = true;
}

void tell_bool(struct tell *tell, const char *key, bool value)
{
    put_value(tell, key, value ? "true" : "false");
}

void tell_null(struct tell *tell, const char *key)
{
    put_value(tell, key, "null");
}

/* --- Numbers: printf is ten times as slow, and a host has twenty ------------------------------ */

/* 2^64 has 20 digits. */
#define DIGITS_MOST 20

/* Writes the digits of `number` so that they end before `end`. Returns where they begin. */
static char *digits_before(char *end, uint64_t number)
{
    do
        *--end = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return end;
}

void tell_count(struct tell *tell, const char *key, uint64_t number)
{
    char text[DIGITS_MOST];
    char *first = digits_before(text + DIGITS_MOST, number);
    begin(tell, key);
    put(tell, first, (size_t)(text + DIGITS_MOST - first));
}

void tell_seconds(struct tell *tell, const char *key, uint64_t microseconds)
{
    char text[DIGITS_MOST + 1 + 6];
    char *end = text + sizeof(text), *point = end - 7;
    uint64_t fraction = microseconds % 1000000;
    memset(point, '0', 7);
    digits_before(end, fraction);
    *point = '.';
    while (end > point + 2 && end[-1] == '0')
        end--;
    char *first = digits_before(point, microseconds / 1000000);
    begin(tell, key);
    put(tell, first, (size_t)(end - first));
}

/* --- Texts ------------------------------------------------------------------------------------ */

void tell_json(struct tell *tell, const char *key, const json_t *value)
{
    char *text = value != NULL
                     ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9))
                     : NULL;
    if (text != NULL)
        put_value(tell, key, text);
    else if (tell->error == 0)
        tell->error = -ENOMEM;
    free(text);
}

json_t *tell_text_json(const char *bytes, size_t length, bool *coded)
{
    json_t *text = json_stringn(bytes, length);
    *coded = text == NULL;
    if (text != NULL)
        return text;
    char *latin = malloc(2 * length + 1);
    if (latin == NULL)
        return NULL;
    char *at = latin;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte >= 0x80)
            *at++ = (char)(0xc0 | byte >> 6);
        *at++ = (char)(byte < 0x80 ? byte : 0x80 | (byte & 0x3f));
    }
    text = json_stringn(latin, (size_t)(at - latin));
    free(latin);
    return text;
}

/* Whether the text can stand between quotation marks as it is. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            return false;
    return true;
}

void tell_text(struct tell *tell, const char *key, const char *text)
{
    bool coded;
    if (text == NULL) {
        tell_null(tell, key);
    } else if (is_plain(text)) {
        begin(tell, key);
        put(tell, "\"", 1);
        put(tell, text, strlen(text));
        put(tell, "\"", 1);
    } else {
        json_t *value = tell_text_json(text, strlen(text), &coded);
        tell_json(tell, key, value);
        json_decref(value);
    }
}
