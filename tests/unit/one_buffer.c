/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The buffer that the tests of buffers use. It tests nothing itself.
 */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/one_buffer.h"

struct buffer one_buffer;
int ends[2];

void one_buffer_begin(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

unsigned release(size_t most)
{
    unsigned turns = 0;
    for (; buffers_unused() > 0; turns++)
        buffers_release(most, false);
    return turns;
}

void one_buffer_end(void)
{
    buffer_free(&one_buffer);
    release(65536);
    cr_assert_eq(buffers_used(), 0, "%zu bytes were not given back", buffers_used());
    close(NEAR);
    close(FAR);
}

void append(const char *text)
{
    cr_assert_eq(buffer_append(&one_buffer, text, strlen(text)), 0);
}

void append_bytes(struct buffer *to, char byte, size_t count)
{
    char *bytes = malloc(count);
    cr_assert_not_null(bytes);
    memset(bytes, byte, count);
    cr_assert_eq(buffer_append(to, bytes, count), 0);
    free(bytes);
}

void send_from_far(const void *bytes, size_t length)
{
    cr_assert_eq(send(FAR, bytes, length, 0), (ssize_t)length);
}

void receive(const char *text)
{
    bool more;
    send_from_far(text, strlen(text));
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), (ssize_t)strlen(text));
}

void expect_content(const struct buffer *of, const char *text)
{
    cr_assert_eq(buffer_length(of), strlen(text), "%zu bytes instead of %zu", buffer_length(of),
                 strlen(text));
    cr_assert_arr_eq(of->data + of->start, text, strlen(text));
}

void expect_no_line(void)
{
    size_t length = buffer_line(&one_buffer);
    cr_assert_eq(length, 0, "a line of %zu bytes", length);
}

/* The next line is this; it is taken. */
void expect_line(const char *line)
{
    cr_assert_eq(buffer_line(&one_buffer), strlen(line), "not %s", line);
    cr_assert_arr_eq(one_buffer.data + one_buffer.start, line, strlen(line), "not %s", line);
    buffer_consume(&one_buffer, strlen(line));
}
