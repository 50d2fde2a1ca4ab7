/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Answers that are more than a socket takes at once.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/client/answer_writer.h"

enum { SIZE = 3000000 };

static struct loop loop;
static struct answer_writer writer;
static int near, far;
static char *text;

static void begin(void)
{
    int ends[2];
    cr_assert_geq(loop_open(&loop), 0);
    buffers_set_limit(16 * 1024 * 1024);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    near = ends[0];
    far = ends[1];
    text = malloc(SIZE);
    cr_assert_not_null(text);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = (char)(i % 251);
    answer_writer_begin(&writer, &loop, near);
}

static void end(void)
{
    answer_writer_end(&writer);
    loop_close(&loop);
    close(near);
    free(text);
}

TestSuite(answer_writer, .init = begin, .fini = end, .timeout = 20);

/* Reads it all at the far end, and writes on whenever the socket is full. */
static void expect_all(int r)
{
    char *read_back = malloc(SIZE + 1);
    size_t length = 0;
    unsigned full = 0;
    cr_assert_not_null(read_back);
    while (r > 0 || r == -EAGAIN) {
        if (r == -EAGAIN) {
            ssize_t n = recv(far, read_back + length, SIZE + 1 - length, MSG_DONTWAIT);
            cr_assert_gt(n, 0);
            length += (size_t)n;
            full++;
        }
        r = answer_writer_continue(&writer);
    }
    cr_assert_eq(r, 0);
    for (ssize_t n; (n = recv(far, read_back + length, SIZE + 1 - length, MSG_DONTWAIT)) > 0;)
        length += (size_t)n;
    cr_assert_eq(length, SIZE);
    cr_assert_eq(memcmp(read_back, text, SIZE), 0);
    cr_assert_gt(full, 1);
    free(read_back);
    close(far);
}

Test(answer_writer, a_short_answer_is_sent_at_once)
{
    char bytes[8] = "";
    cr_assert_eq(answer_writer_start(&writer, "ok\n", 3, NULL), 0);
    cr_assert_eq(recv(far, bytes, sizeof(bytes), MSG_DONTWAIT), 3);
    cr_assert_str_eq(bytes, "ok\n");
    cr_assert_eq(buffers_used(), 0);
    close(far);
}

Test(answer_writer, the_rest_of_a_long_answer_is_kept)
{
    expect_all(answer_writer_start(&writer, text, SIZE, NULL));
}

Test(answer_writer, the_buffer_of_a_reply_is_taken_over_and_what_follows_the_reply_is_not_sent)
{
    struct buffer reply = {.data = NULL};
    cr_assert_eq(buffer_append(&reply, "before", 6), 0);
    cr_assert_eq(buffer_append(&reply, text, SIZE), 0);
    cr_assert_eq(buffer_append(&reply, "behind", 6), 0);
    buffer_consume(&reply, 6);
    const char *data = reply.data;
    int r = answer_writer_start(&writer, reply.data + reply.start, SIZE, &reply);
    cr_assert_eq(r, 1);
    cr_assert_eq(writer.out.data, data, "it is not copied");
    expect_all(r);
    buffer_free(&reply);
}

Test(answer_writer, a_client_that_has_gone_is_lost)
{
    close(far);
    cr_assert_eq(answer_writer_start(&writer, "ok\n", 3, NULL), -EPIPE);
}

Test(answer_writer, a_client_that_goes_while_it_is_written_to_is_lost)
{
    int r = answer_writer_start(&writer, text, SIZE, NULL);
    while (r > 0)
        r = answer_writer_continue(&writer);
    cr_assert_eq(r, -EAGAIN);
    close(far);
    cr_assert_eq(answer_writer_continue(&writer), -EPIPE);
}

Test(answer_writer, without_memory_for_the_rest_the_client_is_lost)
{
    buffers_set_limit(16 * 1024);
    cr_assert_eq(answer_writer_start(&writer, text, SIZE, NULL), -ENOBUFS);
    close(far);
}
