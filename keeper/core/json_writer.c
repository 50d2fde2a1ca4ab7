/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing JSON.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/core/json_writer.h"

static void put(struct json_writer *writer, const char *bytes, size_t length)
{
    if (writer->error == 0)
        writer->error = buffer_append(writer->out, bytes, length);
}

/* What comes before a value: a comma behind the last one, and its key. */
static void begin(struct json_writer *writer, const char *key)
{
    if (writer->behind)
        put(writer, ",", 1);
    writer->behind = true;
    if (key == NULL)
        return;
    put(writer, "\"", 1);
    put(writer, key, strlen(key));
    put(writer, "\":", 2);
}

static void put_value(struct json_writer *writer, const char *key, const char *text)
{
    begin(writer, key);
    put(writer, text, strlen(text));
}

void json_writer_open(struct json_writer *writer, const char *key, char bracket)
{
    begin(writer, key);
    put(writer, &bracket, 1);
    writer->behind = false;
}

void json_writer_close(struct json_writer *writer, char bracket)
{
    put(writer, &bracket, 1);
    writer->behind = true;
}

void json_writer_bool(struct json_writer *writer, const char *key, bool value)
{
    put_value(writer, key, value ? "true" : "false");
}

void json_writer_null(struct json_writer *writer, const char *key)
{
    put_value(writer, key, "null");
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

void json_writer_count(struct json_writer *writer, const char *key, uint64_t number)
{
    char text[DIGITS_MOST];
    char *first = digits_before(text + DIGITS_MOST, number);
    begin(writer, key);
    put(writer, first, (size_t)(text + DIGITS_MOST - first));
}

void json_writer_seconds(struct json_writer *writer, const char *key, uint64_t microseconds)
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
    begin(writer, key);
    put(writer, first, (size_t)(end - first));
}

/* --- Texts ------------------------------------------------------------------------------------ */

void json_writer_json(struct json_writer *writer, const char *key, const json_t *value)
{
    char *text = value != NULL
                     ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9))
                     : NULL;
    if (text != NULL)
        put_value(writer, key, text);
    else if (writer->error == 0)
        writer->error = -ENOMEM;
    free(text);
}

json_t *json_writer_bytes(const char *bytes, size_t length, bool *coded)
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

void json_writer_text(struct json_writer *writer, const char *key, const char *text)
{
    bool coded;
    if (text == NULL) {
        json_writer_null(writer, key);
    } else if (is_plain(text)) {
        begin(writer, key);
        put(writer, "\"", 1);
        put(writer, text, strlen(text));
        put(writer, "\"", 1);
    } else {
        json_t *value = json_writer_bytes(text, strlen(text), &coded);
        json_writer_json(writer, key, value);
        json_decref(value);
    }
}
