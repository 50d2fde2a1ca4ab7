/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Texts that are written piece by piece.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "keeper/loncctl/core/ask.h"
#include "keeper/loncctl/core/textstream.h"

#define FIRST_SIZE 4096

/* It must not end the program: who ends flushes every stream, this one too. */
static ssize_t take(void *cookie, const char *bytes, size_t length)
{
    struct textstream *stream = cookie;
    size_t needed = stream->length + length + 1;
    if (needed > stream->size) {
        size_t size = needed > 2 * stream->size ? needed : 2 * stream->size;
        char *text = realloc(stream->text, size);
        stream->failed = stream->failed || text == NULL;
        if (text == NULL)
            return 0;
        stream->text = text;
        stream->size = size;
    }
    memcpy(stream->text + stream->length, bytes, length);
    stream->length += length;
    return (ssize_t)length;
}

void textstream_open(struct textstream *stream)
{
    *stream = (struct textstream){.text = must(malloc(FIRST_SIZE)), .size = FIRST_SIZE};
    stream->out = must(fopencookie(stream, "w", (cookie_io_functions_t){.write = take}));
}

char *textstream_close(struct textstream *stream)
{
    fclose(stream->out);
    stream->text[stream->length] = '\0';
    return must(stream->failed ? NULL : stream->text);
}
