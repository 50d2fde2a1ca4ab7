/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stream with a write function of our own (fopencookie(3)).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "keeper/loncctl/core/failure.h"
#include "keeper/loncctl/core/textstream.h"

#define FIRST_SIZE 4096

/* Must not fail() for lack of memory: exit() flushes all streams, this one included, and would come
 * here again. */
static ssize_t append_to_text(void *cookie, const char *bytes, size_t length)
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
    stream->out = must(fopencookie(stream, "w", (cookie_io_functions_t){.write = append_to_text}));
}

char *textstream_close(struct textstream *stream)
{
    fclose(stream->out);
    stream->text[stream->length] = '\0';
    return must(stream->failed ? NULL : stream->text);
}
