/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON, written straight into a buffer.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/core/json_writer.h"

static void put(struct json_writer *writer, const char *bytes, size_t length)
{
    if (writer->error == 0)
        writer->error = buffer_append(writer->out, bytes, length);
}

/* Puts what comes before a value: a comma after the one before, and the key. */
static void begin_value(struct json_writer *writer, const char *key)
{
    if (writer->follows)
        put(writer, ",", 1);
    writer->follows = true;
    if (key == NULL)
        return;
    put(writer, "\"", 1);
    put(writer, key, strlen(key));
    put(writer, "\":", 2);
}

static void put_value(struct json_writer *writer, const char *key, const char *text)
{
    begin_value(writer, key);
    put(writer, text, strlen(text));
}

void json_writer_open(struct json_writer *writer, const char *key, char bracket)
{
    begin_value(writer, key);
    put(writer, &bracket, 1);
    writer->follows = false;
}

void json_writer_close(struct json_writer *writer, char bracket)
{
    put(writer, &bracket, 1);
    writer->follows = true;
}

void json_writer_bool(struct json_writer *writer, const char *key, bool value)
{
    put_value(writer, key, value ? "true" : "false");
}

void json_writer_null(struct json_writer *writer, const char *key)
{
    put_value(writer, key, "null");
}

/* --- Numbers: printf takes ten times as long, and a host has twenty of them ------------------- */

/* 2^64 has 20 digits. */
#define DIGITS_MOST 20

/* Writes the digits of `number` so that the last one is before `end`; returns the first one. */
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
    begin_value(writer, key);
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
    begin_value(writer, key);
    put(writer, first, (size_t)(end - first));
}

void json_writer_real(struct json_writer *writer, const char *key, double number)
{
    char text[32];
    snprintf(text, sizeof(text), "%.9g", number);
    put_value(writer, key, text);
}

/* --- Texts ------------------------------------------------------------------------------------ */

/* Whether the bytes can stand between quotation marks as they are. */
static bool is_plain(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] < ' ' || bytes[i] > '~' || bytes[i] == '"' || bytes[i] == '\\')
            return false;
    return true;
}

/* Each byte becomes the character of that number. NULL without memory. */
static json_t *decode_latin1(const char *bytes, size_t length)
{
    char *utf8 = malloc(2 * length + 1);
    if (utf8 == NULL)
        return NULL;
    char *at = utf8;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte >= 0x80)
            *at++ = (char)(0xc0 | byte >> 6);
        *at++ = (char)(byte < 0x80 ? byte : 0x80 | (byte & 0x3f));
    }
    json_t *text = json_stringn(utf8, (size_t)(at - utf8));
    free(utf8);
    return text;
}

/* Validating and escaping are jansson's: such texts are rare. */
static void put_escaped(struct json_writer *writer, const char *key, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (text != NULL)
        put_value(writer, key, text);
    else if (writer->error == 0)
        writer->error = -ENOMEM;
    free(text);
}

bool json_writer_bytes(struct json_writer *writer, const char *key, const char *bytes,
                       size_t length)
{
    if (is_plain(bytes, length)) {
        begin_value(writer, key);
        put(writer, "\"", 1);
        put(writer, bytes, length);
        put(writer, "\"", 1);
        return true;
    }
    json_t *text = json_stringn(bytes, length);
    bool is_utf8 = text != NULL;
    put_escaped(writer, key, is_utf8 ? text : decode_latin1(bytes, length));
    return is_utf8;
}

void json_writer_text(struct json_writer *writer, const char *key, const char *text)
{
    if (text == NULL)
        json_writer_null(writer, key);
    else
        (void)json_writer_bytes(writer, key, text, strlen(text));
}

int json_writer_finish(struct json_writer *writer)
{
    put(writer, "\n", 1);
    return writer->error;
}
