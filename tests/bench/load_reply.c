/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checks replies of lonnet-load. They are compared as they are read, so a reply of any size takes
 * no memory.
 */
#include <stdio.h>
#include <string.h>

#include "tests/bench/load.h"

static struct pattern expected; /* empty if any reply will do */

void reply_init(void)
{
    text_make(&expected, options.expect != NULL ? options.expect : "");
}

void reply_begin(struct reply *reply)
{
    reply->got = 0;
    reply->differs = false;
}

void reply_expect(struct reply *reply, unsigned client, uint64_t serial)
{
    reply->head_length = text_head(&expected, client, serial, reply->head);
}

static void keep_beginning(struct reply *reply, const char *data, size_t length)
{
    for (size_t i = 0; i < length && reply->got + i < REPLY_SHOWN; i++)
        reply->shown[reply->got + i] = data[i];
}

void reply_take(struct reply *reply, const char *data, size_t length)
{
    size_t at = reply->got;

    keep_beginning(reply, data, length);
    reply->got += length;
    if (options.expect == NULL || reply->differs)
        return;
    if (at < reply->head_length) {
        size_t size = reply->head_length - at < length ? reply->head_length - at : length;
        reply->differs = memcmp(reply->head + at, data, size) != 0;
        data += size;
        at += size;
        length -= size;
    }
    if (length == 0)
        return;
    at -= reply->head_length;
    reply->differs = reply->differs || at + length > expected.length ||
                     memcmp(expected.rest + at, data, length) != 0;
}

bool reply_is_right(const struct reply *reply)
{
    return options.expect == NULL ||
           (!reply->differs && reply->got == reply->head_length + expected.length);
}

bool reply_is_con_lost(const struct reply *reply)
{
    return reply->got == strlen("con_lost\n") &&
           memcmp(reply->shown, "con_lost\n", strlen("con_lost\n")) == 0;
}

void reply_show(const struct reply *reply)
{
    size_t length = reply->got < REPLY_SHOWN ? reply->got : REPLY_SHOWN;

    fprintf(stderr, "lonnet-load: wrong reply: wanted %.*s.., got %zu bytes: ",
            (int)(reply->head_length < 80 ? reply->head_length : 80), reply->head, reply->got);
    for (size_t i = 0; i < length; i++)
        fputc(reply->shown[i] >= ' ' && reply->shown[i] <= '~' ? reply->shown[i] : '?', stderr);
    fputc('\n', stderr);
}
