/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Growing buffers for the stand-in lond: for lines that are read, answers that are made, and
 * control replies. They have no limit, and lack of memory ends the program, as it may end a test's
 * peer.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lond/lond.h"

/* A buffer that held a large line gives its memory back: thousands of connections share it. */
#define KEPT_ROOM 65536

void buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t room = buffer->room > 0 ? buffer->room : 256;

    while (room - buffer->length < more)
        room *= 2;
    if (room == buffer->room)
        return;
    buffer->data = realloc(buffer->data, room);
    if (buffer->data == NULL)
        fail("no memory for %zu bytes", room);
    buffer->room = room;
}

void buffer_append(struct buffer *buffer, const char *data, size_t length)
{
    if (length == 0)
        return;
    buffer_reserve(buffer, length);
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    char text[1024];
    int length;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length > 0)
        buffer_append(buffer, text,
                      (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    if (buffer->room > KEPT_ROOM)
        buffer_free(buffer);
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

/* Whoever reads the file finds it complete, or the older one, or none. */
void buffer_write_file(const struct buffer *buffer, const char *path)
{
    char fresh[4096];
    FILE *file;

    snprintf(fresh, sizeof(fresh), "%s.new", path);
    file = fopen(fresh, "we");
    if (file == NULL || fwrite(buffer->data, 1, buffer->length, file) != buffer->length ||
        fclose(file) != 0 || rename(fresh, path) != 0)
        fail("%s: %s", path, strerror(errno));
}

/* A number of decimal digits and nothing else. */
bool parse_number(const char *text, size_t length, uint64_t most, uint64_t *number)
{
    uint64_t value = 0;

    if (length == 0 || length > 18)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > most)
        return false;
    *number = value;
    return true;
}
