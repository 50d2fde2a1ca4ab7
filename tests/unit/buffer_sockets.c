/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Buffers that are filled from a socket and emptied into one.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/one_buffer.h"

/* The longest line there is (keeper/README.md rule 4). */
#define LINE_LIMIT ((size_t)64 * MIB)

TestSuite(buffer_sockets, .init = one_buffer_begin, .fini = one_buffer_end, .timeout = 20);

Test(buffer_sockets, the_end_of_the_stream_is_told_and_leaves_what_came_before)
{
    bool more;
    receive("half a li");
    close(FAR);
    FAR = -1;
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), 0);
    cr_assert_not(more);
    expect_content(&one_buffer, "half a li");
    expect_no_line();
}

Test(buffer_sockets, nothing_there_is_told_without_waiting)
{
    bool more = true;
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), -EAGAIN);
    cr_assert_not(more);
    cr_assert_eq(buffer_length(&one_buffer), 0);
}

Test(buffer_sockets, what_cannot_be_received_from_is_an_error)
{
    int pipe_ends[2];
    bool more;
    cr_assert_eq(pipe(pipe_ends), 0);
    cr_assert_eq(buffer_receive(&one_buffer, pipe_ends[0], SIZE_MAX, &more), -ENOTSOCK);
    cr_assert_eq(buffer_receive(&one_buffer, -1, SIZE_MAX, &more), -EBADF);
    append("x");
    cr_assert_eq(buffer_send(&one_buffer, -1, SIZE_MAX), -EBADF);
    expect_content(&one_buffer, "x");
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

Test(buffer_sockets, without_room_nothing_is_read)
{
    bool more = true;
    append_bytes(&one_buffer, 'x', BUFFER_KEPT);
    buffers_set_limit(BUFFER_KEPT);
    send_from_far("ping\n", 5);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), -ENOBUFS);
    cr_assert_not(more);
    cr_assert_eq(buffer_length(&one_buffer), BUFFER_KEPT);

    buffer_consume(&one_buffer, BUFFER_KEPT);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), 5);
    expect_line("ping\n");
}

Test(buffer_sockets, more_may_wait_exactly_when_the_room_was_filled)
{
    char bytes[BUFFER_KEPT + 1] = {0};
    bool more;
    send_from_far(bytes, BUFFER_KEPT - 1);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), BUFFER_KEPT - 1);
    cr_assert_not(more);
    buffer_consume(&one_buffer, BUFFER_KEPT - 1);

    send_from_far(bytes, BUFFER_KEPT);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), BUFFER_KEPT);
    cr_assert(more);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), -EAGAIN);
    cr_assert_not(more);
    buffer_consume(&one_buffer, BUFFER_KEPT);

    send_from_far(bytes, BUFFER_KEPT + 1);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), BUFFER_KEPT);
    cr_assert(more);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), 1);
    cr_assert_not(more);
}

Test(buffer_sockets, what_is_sent_is_taken_away)
{
    char bytes[16];
    append("ping\n");
    cr_assert_eq(buffer_send(&one_buffer, NEAR, SIZE_MAX), 5);
    cr_assert_eq(buffer_length(&one_buffer), 0);
    cr_assert_eq(recv(FAR, bytes, sizeof(bytes), MSG_DONTWAIT), 5);
    cr_assert_arr_eq(bytes, "ping\n", 5);
    cr_assert_eq(buffer_send(&one_buffer, NEAR, SIZE_MAX), 0);
}

/* Reads all there is at the far end and compares it with the pattern from `at` on. */
static size_t drain_pattern(size_t at)
{
    static unsigned char bytes[65536];
    ssize_t n;
    while ((n = recv(FAR, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        for (ssize_t i = 0; i < n; i++, at++)
            cr_assert_eq(bytes[i], at % 251, "byte %zu", at);
    return at;
}

Test(buffer_sockets, a_send_takes_away_only_what_the_kernel_took)
{
    size_t total = (size_t)2 * MIB, got = 0, partial = 0;
    cr_assert_eq(buffer_reserve(&one_buffer, total), 0);
    for (size_t i = 0; i < total; i++)
        one_buffer.data[one_buffer.end++] = (char)(i % 251);

    while (buffer_length(&one_buffer) > 0) {
        size_t before = buffer_length(&one_buffer);
        ssize_t n = buffer_send(&one_buffer, NEAR, SIZE_MAX);
        if (n < 0) {
            cr_assert_eq(n, -EAGAIN);
            cr_assert_eq(buffer_length(&one_buffer), before);
            got = drain_pattern(got);
            continue;
        }
        cr_assert_eq(buffer_length(&one_buffer), before - (size_t)n);
        partial += (size_t)n < before;
    }
    cr_assert_eq(drain_pattern(got), total);
    cr_assert_gt(partial, 0, "the kernel took all at once");
    release(65536);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer_sockets, a_peer_that_went_away_is_an_error_and_no_signal)
{
    append("ping\n");
    close(FAR);
    FAR = -1;
    cr_assert_eq(buffer_send(&one_buffer, NEAR, SIZE_MAX), -EPIPE);
    expect_content(&one_buffer, "ping\n");
}

/* Sends what the kernel takes now of a line of `length` bytes, its LF, and one line more. */
static size_t send_long_line(size_t sent, size_t length)
{
    static char chunk[65536];
    static const char rest[] = "\nnext\n";
    memset(chunk, 'x', sizeof(chunk));
    const char *from = sent < length ? chunk : rest + (sent - length);
    size_t left = sent < length ? length - sent : strlen(from);
    ssize_t n = send(FAR, from, left < sizeof(chunk) ? left : sizeof(chunk), MSG_DONTWAIT);
    return n > 0 ? sent + (size_t)n : sent;
}

/* Receives until there is a line; returns its length. Counts how often the buffer grew. */
static size_t receive_long_line(size_t length, unsigned *grew)
{
    size_t sent = 0, line = 0, size = one_buffer.size;
    bool more;
    while ((line = buffer_line(&one_buffer)) == 0) {
        sent = send_long_line(sent, length);
        ssize_t n = buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more);
        cr_assert(n > 0 || n == -EAGAIN, "%zd", n);
        *grew += one_buffer.size != size;
        size = one_buffer.size;
    }
    cr_assert_eq(sent, length + 6);
    return line;
}

Test(buffer_sockets, a_line_of_64_mib_arrives_whole_and_leaves_nothing_behind)
{
    unsigned grew = 0;
    bool more;
    buffers_set_limit((size_t)256 * MIB);

    cr_assert_eq(receive_long_line(LINE_LIMIT, &grew), LINE_LIMIT + 1);
    cr_assert_leq(grew, 16, "%u allocations", grew);
    cr_assert_leq(one_buffer.size, 2 * LINE_LIMIT);
    cr_assert_eq(one_buffer.data[one_buffer.start], 'x');
    cr_assert_eq(one_buffer.data[one_buffer.start + LINE_LIMIT - 1], 'x');
    cr_assert_eq(one_buffer.data[one_buffer.start + LINE_LIMIT], '\n');

    buffer_consume(&one_buffer, LINE_LIMIT + 1);
    (void)!buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more); /* it may have come already */
    expect_line("next\n");
    cr_assert_geq(release(65536), LINE_LIMIT / 65536 - 1, "too much at once");
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer_sockets, a_receive_and_a_send_move_no_more_than_they_may)
{
    bool more;
    char bytes[16];
    send_from_far("0123456789", 10);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, 4, &more), 4);
    cr_assert(more);
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, 7, &more), 6);
    cr_assert_not(more);
    cr_assert_eq(buffer_send(&one_buffer, NEAR, 3), 3);
    expect_content(&one_buffer, "3456789");
    cr_assert_eq(recv(FAR, bytes, sizeof(bytes), MSG_DONTWAIT), 3);
}
