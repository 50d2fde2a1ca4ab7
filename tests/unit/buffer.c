/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Line buffers: what goes in comes out, line by line; and all of them together stay within the
 * budget, a failure leaving everything as it was.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buffer.h"

#define MIB (1024 * 1024)

/* The longest line there is (keeper/README.md rule 4). */
#define LINE_LIMIT ((size_t)64 * MIB)

/* A buffer, and the two ends of the socket that it is at. */
static struct buffer buffer;
static int ends[2];
#define NEAR ends[0]
#define FAR  ends[1]

static void begin(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

/* As the loop does, a piece a turn. How many there were. */
static unsigned release(size_t most)
{
    unsigned turns = 0;
    for (; buffers_unused() > 0; turns++)
        buffers_release(most, false);
    return turns;
}

static void end(void)
{
    buffer_free(&buffer);
    release(65536);
    cr_assert_eq(buffers_used(), 0, "%zu bytes were not given back", buffers_used());
    close(NEAR);
    close(FAR);
}

TestSuite(buffer, .init = begin, .fini = end, .timeout = 20);

/* --- Helpers ---------------------------------------------------------------------------------- */

static void append(const char *text)
{
    cr_assert_eq(buffer_append(&buffer, text, strlen(text)), 0);
}

static void append_bytes(struct buffer *to, char byte, size_t count)
{
    char *bytes = malloc(count);
    cr_assert_not_null(bytes);
    memset(bytes, byte, count);
    cr_assert_eq(buffer_append(to, bytes, count), 0);
    free(bytes);
}

static void send_from_far(const void *bytes, size_t length)
{
    cr_assert_eq(send(FAR, bytes, length, 0), (ssize_t)length);
}

static void receive(const char *text)
{
    bool more;
    send_from_far(text, strlen(text));
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), (ssize_t)strlen(text));
}

static void expect_content(const struct buffer *of, const char *text)
{
    cr_assert_eq(buffer_length(of), strlen(text), "%zu bytes instead of %zu", buffer_length(of),
                 strlen(text));
    cr_assert_arr_eq(of->data + of->start, text, strlen(text));
}

static void expect_no_line(void)
{
    size_t length = buffer_line(&buffer);
    cr_assert_eq(length, 0, "a line of %zu bytes", length);
}

/* The next line is this; it is taken. */
static void expect_line(const char *line)
{
    cr_assert_eq(buffer_line(&buffer), strlen(line), "not %s", line);
    cr_assert_arr_eq(buffer.data + buffer.start, line, strlen(line), "not %s", line);
    buffer_consume(&buffer, strlen(line));
}

/* --- Lines ------------------------------------------------------------------------------------ */

Test(buffer, a_new_buffer_is_empty_and_costs_nothing)
{
    cr_assert_eq(buffer_length(&buffer), 0);
    cr_assert_eq(buffers_used(), 0);
    expect_no_line();
    buffer_consume(&buffer, 0);
    cr_assert_eq(buffers_used(), 0);
}

Test(buffer, a_line_is_found_across_several_receives)
{
    receive("currentversion:");
    expect_no_line();
    receive("/res/msu/");
    expect_no_line();
    receive("ab");
    expect_no_line();
    receive("c\n");
    expect_line("currentversion:/res/msu/abc\n");
    expect_no_line();
}

Test(buffer, several_lines_of_one_receive_are_found_in_order)
{
    receive("ping\npong:1\n\n\nuserload");
    expect_line("ping\n");
    expect_line("pong:1\n");
    expect_line("\n");
    expect_line("\n");
    expect_no_line();
    receive("\n");
    expect_line("userload\n");
}

Test(buffer, a_line_is_found_again_until_it_is_taken)
{
    receive("ping\npong\n");
    cr_assert_eq(buffer_line(&buffer), 5);
    cr_assert_eq(buffer_line(&buffer), 5);
    receive("more\n");
    expect_line("ping\n");
    expect_line("pong\n");
    expect_line("more\n");
}

Test(buffer, the_rest_of_a_line_taken_in_part_is_a_line)
{
    receive("enc:12:abcdef\nnext\n");
    cr_assert_eq(buffer_line(&buffer), 14);
    buffer_consume(&buffer, 4);
    expect_line("12:abcdef\n");
    expect_line("next\n");
}

Test(buffer, bytes_taken_before_they_were_searched_hide_no_line)
{
    receive("abcdef");
    buffer_consume(&buffer, 3);
    expect_no_line();
    receive("\n");
    expect_line("def\n");
}

Test(buffer, every_byte_but_lf_is_an_ordinary_one)
{
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)(i == '\n' ? 255 : i);
    send_from_far(bytes, sizeof(bytes));
    send_from_far("\n", 1);
    bool more;
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), 257);
    cr_assert_eq(buffer_line(&buffer), 257);
    cr_assert_arr_eq(buffer.data + buffer.start, bytes, 256);
}

/* An LF smuggled in among bytes that were searched already is not seen: they are not read again. */
Test(buffer, only_new_bytes_are_searched)
{
    receive("abcdef");
    expect_no_line();
    buffer.data[buffer.start + 2] = '\n';
    expect_no_line();
    receive("ghi");
    expect_no_line();
    receive("jkl\n");
    cr_assert_eq(buffer_line(&buffer), 13);
}

/* The same where the bytes move to the front, or elsewhere as the buffer grows. */
Test(buffer, what_was_searched_stays_searched_when_the_bytes_move)
{
    append_bytes(&buffer, 'x', 1000);
    append("abcdef");
    buffer_consume(&buffer, 1000);
    expect_no_line();
    buffer.data[buffer.start + 2] = '\n';
    append_bytes(&buffer, 'y', 900);
    cr_assert_eq(buffer.start, 0, "the bytes did not move");
    expect_no_line();
    append_bytes(&buffer, 'z', 9000);
    expect_no_line();
    append("\n");
    cr_assert_eq(buffer_line(&buffer), 6 + 900 + 9000 + 1);
}

/* --- Memory ----------------------------------------------------------------------------------- */

Test(buffer, a_small_request_costs_one_small_allocation)
{
    append("ping\n");
    cr_assert_eq(buffer.size, BUFFER_KEPT);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    append_bytes(&buffer, 'x', BUFFER_KEPT - 5);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer, taken_bytes_make_room_without_growth)
{
    append_bytes(&buffer, 'x', BUFFER_KEPT - 4);
    append("kept");
    buffer_consume(&buffer, BUFFER_KEPT - 4);
    append_bytes(&buffer, 'y', BUFFER_KEPT - 4);

    cr_assert_eq(buffer.size, BUFFER_KEPT);
    cr_assert_eq(buffer_length(&buffer), BUFFER_KEPT);
    cr_assert_arr_eq(buffer.data + buffer.start, "kepty", 5);
    cr_assert_eq(buffer.data[buffer.end - 1], 'y');
}

Test(buffer, it_grows_as_needed_and_keeps_what_it_has)
{
    append("first:");
    append_bytes(&buffer, 'x', 100000);
    append(":last");
    cr_assert_eq(buffer_length(&buffer), 100011);
    cr_assert_geq(buffer.size, 100011);
    cr_assert_eq(buffers_used(), buffer.size);
    cr_assert_arr_eq(buffer.data + buffer.start, "first:x", 7);
    cr_assert_arr_eq(buffer.data + buffer.end - 6, "x:last", 6);
}

Test(buffer, room_that_was_reserved_costs_nothing_when_it_is_used)
{
    cr_assert_eq(buffer_reserve(&buffer, 5000), 0);
    size_t used = buffers_used();
    cr_assert_geq(buffer.size - buffer.end, 5000);
    append_bytes(&buffer, 'x', 5000);
    cr_assert_eq(buffers_used(), used);
}

Test(buffer, an_emptied_buffer_gives_back_all_but_a_little)
{
    append_bytes(&buffer, 'x', 100000);
    buffer_consume(&buffer, 99999);
    cr_assert_geq(buffers_used(), 100000, "it gives nothing back while there is something in it");
    buffer_consume(&buffer, 1);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    cr_assert_eq(buffer.size, BUFFER_KEPT);
    append("ping\n");
    expect_line("ping\n");
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer, a_freed_buffer_may_be_used_again)
{
    append("ping\n");
    buffer_free(&buffer);
    cr_assert_eq(buffers_used(), 0);
    cr_assert_eq(buffer_length(&buffer), 0);
    buffer_free(&buffer);
    append("pong\n");
    expect_line("pong\n");
}

Test(buffer, appending_nothing_to_nothing_is_nothing)
{
    cr_assert_eq(buffer_append(&buffer, "", 0), 0);
    cr_assert_eq(buffer_length(&buffer), 0);
    expect_no_line();
}

Test(buffer, more_room_than_there_are_addresses_is_refused)
{
    cr_assert_eq(buffer_reserve(&buffer, SIZE_MAX - 10), -ENOMEM);
    cr_assert_eq(buffers_used(), 0);
}

Test(buffer, swapped_buffers_have_each_others_bytes_and_lines)
{
    struct buffer other = {.data = NULL};
    append("mine\nand");
    cr_assert_eq(buffer_line(&buffer), 5);
    append_bytes(&other, 'x', 100000);
    size_t used = buffers_used();

    buffer_swap(&buffer, &other);
    cr_assert_eq(buffers_used(), used);
    cr_assert_eq(buffer_length(&buffer), 100000);
    expect_content(&other, "mine\nand");
    cr_assert_eq(buffer_line(&other), 5);
    buffer_free(&other);
    cr_assert_eq(buffers_used(), buffer.size);
}

/* --- The budget ------------------------------------------------------------------------------- */

Test(buffer, the_budget_is_of_all_buffers_together)
{
    struct buffer other = {.data = NULL};
    append_bytes(&buffer, 'x', 1);
    append_bytes(&other, 'x', 50000);
    cr_assert_eq(buffers_used(), BUFFER_KEPT + other.size);
    buffer_free(&other);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer, past_the_budget_a_buffer_stays_as_it_was)
{
    buffers_set_limit((size_t)2 * BUFFER_KEPT);
    append("line\nand more");
    cr_assert_eq(buffer_line(&buffer), 5);
    static const char large[2 * BUFFER_KEPT];

    cr_assert_eq(buffer_append(&buffer, large, sizeof(large)), -ENOBUFS);
    cr_assert_eq(buffer_reserve(&buffer, sizeof(large)), -ENOBUFS);
    expect_content(&buffer, "line\nand more");
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    expect_line("line\n");
    expect_no_line();
    append("\n");
    expect_line("and more\n");
}

Test(buffer, a_new_buffer_past_the_budget_stays_empty)
{
    struct buffer other = {.data = NULL};
    append("x");
    buffers_set_limit(BUFFER_KEPT);
    cr_assert_eq(buffer_append(&other, "x", 1), -ENOBUFS);
    cr_assert_eq(buffer_length(&other), 0);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    buffer_free(&other);
}

Test(buffer, a_reserved_buffer_may_go_past_a_used_up_budget_by_the_reserve_and_no_further)
{
    struct buffer ask = {.reserved = true}, tell = {.reserved = true};
    buffers_set_limit(BUFFER_KEPT);
    append_bytes(&buffer, 'x', BUFFER_KEPT);

    append_bytes(&tell, 't', BUFFER_KEPT);
    append_bytes(&ask, 'a', BUFFERS_RESERVE - BUFFER_KEPT);
    cr_assert_eq(buffers_used(), BUFFER_KEPT, "the reserve is counted in the budget");
    cr_assert_eq(buffer_append(&tell, "!", 1), -ENOBUFS);
    cr_assert_eq(buffer_append(&buffer, "!", 1), -ENOBUFS, "the reserve is for others, too");

    buffer_free(&ask);
    cr_assert_eq(buffer_append(&buffer, "!", 1), -ENOBUFS);
    append_bytes(&ask, 'a', BUFFERS_RESERVE - BUFFER_KEPT);
    cr_assert_eq(buffer_append(&ask, "!", 1), -ENOBUFS, "a freed buffer is still of the reserve");
    buffer_free(&ask);
    buffer_free(&tell);
}

Test(buffer, what_reserved_buffers_take_beyond_the_reserve_is_of_the_budget)
{
    struct buffer ask = {.reserved = true};
    buffers_set_limit(10000);
    append_bytes(&buffer, 'x', 1);
    append_bytes(&ask, 'a', BUFFERS_RESERVE + 8000);
    cr_assert_eq(buffers_used(), BUFFER_KEPT + ask.size - BUFFERS_RESERVE);
    cr_assert_eq(buffer_append(&ask, buffer.data, 1), 0);
    cr_assert_eq(buffer_reserve(&ask, 2000), -ENOBUFS);
    cr_assert_eq(buffer_reserve(&buffer, 9000), -ENOBUFS);
    buffer_free(&ask);
    cr_assert_eq(buffer_reserve(&buffer, 9000), 0);
}

Test(buffer, what_one_buffer_gives_back_another_may_take)
{
    struct buffer other = {.data = NULL};
    buffers_set_limit(70000);
    append_bytes(&other, 'x', 60000);
    cr_assert_eq(buffer_reserve(&buffer, 60000), -ENOBUFS);
    buffer_consume(&other, 60000);
    cr_assert_eq(buffer_reserve(&buffer, 60000), 0);
    buffer_free(&other);
}

Test(buffer, near_the_budgets_edge_what_was_asked_for_is_given_if_it_fits)
{
    buffers_set_limit(BUFFER_KEPT + 500);
    append_bytes(&buffer, 'x', BUFFER_KEPT);
    append_bytes(&buffer, 'y', 499);
    cr_assert_leq(buffers_used(), BUFFER_KEPT + 500);
    append("z");
    cr_assert_eq(buffers_used(), BUFFER_KEPT + 500);
    cr_assert_eq(buffer_append(&buffer, "!", 1), -ENOBUFS);
    cr_assert_eq(buffer_length(&buffer), BUFFER_KEPT + 500);
    cr_assert_eq(buffer.data[buffer.end - 1], 'z');
}

Test(buffer, even_a_first_allocation_may_be_smaller_at_the_edge)
{
    buffers_set_limit(100);
    append("ping\n");
    cr_assert_leq(buffers_used(), 100);
    expect_line("ping\n");
    cr_assert_eq(buffer_reserve(&buffer, 101), -ENOBUFS);
}

Test(buffer, lowering_the_budget_below_what_is_used_frees_nothing_and_stops_growth)
{
    append_bytes(&buffer, 'x', 30000);
    size_t used = buffers_used(), room = buffer.size - buffer.end;
    buffers_set_limit(2000);

    cr_assert_eq(buffers_used(), used);
    cr_assert_eq(buffer_length(&buffer), 30000);
    append_bytes(&buffer, 'y', room);
    cr_assert_eq(buffer_append(&buffer, "z", 1), -ENOBUFS);
    /* Bytes taken still make room, and an empty buffer still shrinks. */
    buffer_consume(&buffer, 1);
    append("z");
    cr_assert_eq(buffers_used(), used);
    buffer_consume(&buffer, buffer_length(&buffer));
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    append_bytes(&buffer, 'x', 1500);
    cr_assert_leq(buffers_used(), 2000);
}

/* --- Sockets ---------------------------------------------------------------------------------- */

Test(buffer, the_end_of_the_stream_is_told_and_leaves_what_came_before)
{
    bool more;
    receive("half a li");
    close(FAR);
    FAR = -1;
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), 0);
    cr_assert_not(more);
    expect_content(&buffer, "half a li");
    expect_no_line();
}

Test(buffer, nothing_there_is_told_without_waiting)
{
    bool more = true;
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), -EAGAIN);
    cr_assert_not(more);
    cr_assert_eq(buffer_length(&buffer), 0);
}

Test(buffer, what_cannot_be_received_from_is_an_error)
{
    int pipe_ends[2];
    bool more;
    cr_assert_eq(pipe(pipe_ends), 0);
    cr_assert_eq(buffer_receive(&buffer, pipe_ends[0], SIZE_MAX, &more), -ENOTSOCK);
    cr_assert_eq(buffer_receive(&buffer, -1, SIZE_MAX, &more), -EBADF);
    append("x");
    cr_assert_eq(buffer_send(&buffer, -1, SIZE_MAX), -EBADF);
    expect_content(&buffer, "x");
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

Test(buffer, without_room_nothing_is_read)
{
    bool more = true;
    append_bytes(&buffer, 'x', BUFFER_KEPT);
    buffers_set_limit(BUFFER_KEPT);
    send_from_far("ping\n", 5);
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), -ENOBUFS);
    cr_assert_not(more);
    cr_assert_eq(buffer_length(&buffer), BUFFER_KEPT);

    buffer_consume(&buffer, BUFFER_KEPT);
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), 5);
    expect_line("ping\n");
}

Test(buffer, more_may_wait_exactly_when_the_room_was_filled)
{
    char bytes[BUFFER_KEPT + 1] = {0};
    bool more;
    send_from_far(bytes, BUFFER_KEPT - 1);
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), BUFFER_KEPT - 1);
    cr_assert_not(more);
    buffer_consume(&buffer, BUFFER_KEPT - 1);

    send_from_far(bytes, BUFFER_KEPT);
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), BUFFER_KEPT);
    cr_assert(more);
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), -EAGAIN);
    cr_assert_not(more);
    buffer_consume(&buffer, BUFFER_KEPT);

    send_from_far(bytes, BUFFER_KEPT + 1);
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), BUFFER_KEPT);
    cr_assert(more);
    cr_assert_eq(buffer_receive(&buffer, NEAR, SIZE_MAX, &more), 1);
    cr_assert_not(more);
}

Test(buffer, what_is_sent_is_taken_away)
{
    char bytes[16];
    append("ping\n");
    cr_assert_eq(buffer_send(&buffer, NEAR, SIZE_MAX), 5);
    cr_assert_eq(buffer_length(&buffer), 0);
    cr_assert_eq(recv(FAR, bytes, sizeof(bytes), MSG_DONTWAIT), 5);
    cr_assert_arr_eq(bytes, "ping\n", 5);
    cr_assert_eq(buffer_send(&buffer, NEAR, SIZE_MAX), 0);
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

Test(buffer, a_send_takes_away_only_what_the_kernel_took)
{
    size_t total = (size_t)2 * MIB, got = 0, partial = 0;
    cr_assert_eq(buffer_reserve(&buffer, total), 0);
    for (size_t i = 0; i < total; i++)
        buffer.data[buffer.end++] = (char)(i % 251);

    while (buffer_length(&buffer) > 0) {
        size_t before = buffer_length(&buffer);
        ssize_t n = buffer_send(&buffer, NEAR, SIZE_MAX);
        if (n < 0) {
            cr_assert_eq(n, -EAGAIN);
            cr_assert_eq(buffer_length(&buffer), before);
            got = drain_pattern(got);
            continue;
        }
        cr_assert_eq(buffer_length(&buffer), before - (size_t)n);
        partial += (size_t)n < before;
    }
    cr_assert_eq(drain_pattern(got), total);
    cr_assert_gt(partial, 0, "the kernel took all at once");
    release(65536);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer, a_peer_that_went_away_is_an_error_and_no_signal)
{
    append("ping\n");
    close(FAR);
    FAR = -1;
    cr_assert_eq(buffer_send(&buffer, NEAR, SIZE_MAX), -EPIPE);
    expect_content(&buffer, "ping\n");
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
    size_t sent = 0, line = 0, size = buffer.size;
    bool more;
    while ((line = buffer_line(&buffer)) == 0) {
        sent = send_long_line(sent, length);
        ssize_t n = buffer_receive(&buffer, NEAR, SIZE_MAX, &more);
        cr_assert(n > 0 || n == -EAGAIN, "%zd", n);
        *grew += buffer.size != size;
        size = buffer.size;
    }
    cr_assert_eq(sent, length + 6);
    return line;
}

Test(buffer, a_line_of_64_mib_arrives_whole_and_leaves_nothing_behind)
{
    unsigned grew = 0;
    bool more;
    buffers_set_limit((size_t)256 * MIB);

    cr_assert_eq(receive_long_line(LINE_LIMIT, &grew), LINE_LIMIT + 1);
    cr_assert_leq(grew, 16, "%u allocations", grew);
    cr_assert_leq(buffer.size, 2 * LINE_LIMIT);
    cr_assert_eq(buffer.data[buffer.start], 'x');
    cr_assert_eq(buffer.data[buffer.start + LINE_LIMIT - 1], 'x');
    cr_assert_eq(buffer.data[buffer.start + LINE_LIMIT], '\n');

    buffer_consume(&buffer, LINE_LIMIT + 1);
    (void)!buffer_receive(&buffer, NEAR, SIZE_MAX, &more); /* it may have come already */
    expect_line("next\n");
    cr_assert_geq(release(65536), LINE_LIMIT / 65536 - 1, "too much at once");
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

/* --- Large buffers ---------------------------------------------------------------------------- */

Test(buffer, a_receive_and_a_send_move_no_more_than_they_may)
{
    bool more;
    char bytes[16];
    send_from_far("0123456789", 10);
    cr_assert_eq(buffer_receive(&buffer, NEAR, 4, &more), 4);
    cr_assert(more);
    cr_assert_eq(buffer_receive(&buffer, NEAR, 7, &more), 6);
    cr_assert_not(more);
    cr_assert_eq(buffer_send(&buffer, NEAR, 3), 3);
    expect_content(&buffer, "3456789");
    cr_assert_eq(recv(FAR, bytes, sizeof(bytes), MSG_DONTWAIT), 3);
}

Test(buffer, what_stands_behind_a_large_line_moves_to_a_small_buffer)
{
    append_bytes(&buffer, 'x', MIB);
    append("\nnext\nand");
    cr_assert_eq(buffer_line(&buffer), MIB + 1);
    buffer_consume(&buffer, MIB + 1);
    cr_assert_eq(buffer.size, BUFFER_KEPT);
    cr_assert_geq(buffers_unused(), MIB);
    expect_line("next\n");
    expect_content(&buffer, "and");
    release(65536);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

/* Whether the kernel has taken back the page in the middle: it is there, and holds nothing. */
Test(buffer, memory_of_a_large_buffer_goes_back_a_piece_at_a_time_and_with_what_it_holds)
{
    append_bytes(&buffer, 'x', MIB);
    const char *middle = buffer.data + MIB / 2, *last = buffer.data + MIB - 10;
    size_t size = buffer.size;
    buffer_free(&buffer);
    cr_assert_eq(buffers_unused(), size);
    cr_assert_eq(*middle, 'x');
    while (*middle == 'x')
        buffers_release(65536, false);
    cr_assert_eq(*middle, 0);
    cr_assert_eq(*last, 'x', "more than was asked for");
    cr_assert_geq(buffers_unused(), size / 2 - 65536, "what is there is counted");
    cr_assert_leq(buffers_unused(), size / 2, "what has gone is not");
    release(65536);
    cr_assert_eq(buffers_used(), 0);
}

Test(buffer, where_the_budget_is_short_as_much_of_what_is_dropped_goes_back_as_is_needed)
{
    struct buffer other = {.data = NULL};
    buffers_set_limit((size_t)3 * MIB);
    append_bytes(&buffer, 'x', (size_t)2 * MIB);
    buffer_free(&buffer);
    cr_assert_eq(buffers_unused(), 2 * MIB);
    append_bytes(&other, 'y', (size_t)2 * MIB);
    cr_assert_eq(buffers_used(), 2 * MIB);
    cr_assert_leq(buffers_unused(), MIB);
    cr_assert_geq(buffers_unused(), MIB - 65536);
    append_bytes(&other, 'z', MIB / 2);
    cr_assert_geq(buffers_used(), 5 * MIB / 2);
    cr_assert_leq(buffers_used() + buffers_unused(), 3 * MIB);
    buffer_free(&other);
}

/* The next long line has it at once, whole, and without what it held. */
Test(buffer, what_is_kept_is_wiped_and_serves_the_next)
{
    struct buffer other = {.data = NULL};
    buffers_set_limit((size_t)64 * MIB);
    append_bytes(&buffer, 'x', (size_t)3 * MIB);
    const char *before = buffer.data;
    size_t size = buffer.size;
    buffer_free(&buffer);
    for (unsigned turns = 0; turns < 3 * MIB / 65536 + 1; turns++)
        buffers_release(65536, true);
    cr_assert_eq(buffers_unused(), size);
    cr_assert_eq(buffers_used(), 0);

    append_bytes(&other, 'y', 100000);
    cr_assert_neq(other.data, before, "it is not that long");
    append_bytes(&other, 'z', 200000);
    cr_assert_eq(other.data, before);
    cr_assert_eq(other.size, size);
    cr_assert_arr_eq(other.data, "yyyy", 4);
    for (size_t i = other.end; i < size; i++)
        cr_assert_eq(other.data[i], 0, "byte %zu", i);
    cr_assert_eq(buffers_unused(), 0);
    cr_assert_eq(buffers_used(), size);
    buffer_free(&other);
}

Test(buffer, no_more_than_a_share_of_the_budget_is_kept)
{
    struct buffer others[5] = {{.data = NULL}};
    buffers_set_limit((size_t)16 * MIB);
    for (size_t i = 0; i < 5; i++)
        append_bytes(&others[i], 'x', 1000000);
    for (size_t i = 0; i < 5; i++)
        buffer_free(&others[i]);
    for (unsigned turns = 0; turns < 200; turns++)
        buffers_release(65536, true);
    cr_assert_eq(buffers_unused(), 2 * MIB);
}

Test(buffer, several_dropped_buffers_all_go_back)
{
    struct buffer others[5] = {{.data = NULL}};
    for (size_t i = 0; i < 5; i++)
        append_bytes(&others[i], 'x', (i + 1) * 300000);
    for (size_t i = 0; i < 5; i++)
        buffer_free(&others[i]);
    cr_assert_gt(buffers_unused(), 0);
    release(SIZE_MAX);
    cr_assert_eq(buffers_used(), 0);
}

/* --- At random -------------------------------------------------------------------------------- */

/* What the buffer should hold: plain bytes without any cleverness. */
static struct {
    char bytes[65536];
    size_t length;
} model;

static void model_consume(size_t length)
{
    memmove(model.bytes, model.bytes + length, model.length - length);
    model.length -= length;
    buffer_consume(&buffer, length);
}

static void model_append(unsigned *seed)
{
    char bytes[3000];
    size_t length = (size_t)rand_r(seed) % (rand_r(seed) % 8 == 0 ? sizeof(bytes) : 60);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(rand_r(seed) % 40 == 0 ? '\n' : rand_r(seed) % 256);
    if (model.length + length > sizeof(model.bytes))
        return;
    int r = buffer_append(&buffer, bytes, length);
    if (r == -ENOBUFS)
        return;
    cr_assert_eq(r, 0);
    memcpy(model.bytes + model.length, bytes, length);
    model.length += length;
}

static void model_take_line(void)
{
    const char *lf = memchr(model.bytes, '\n', model.length);
    size_t expected = lf == NULL ? 0 : (size_t)(lf - model.bytes) + 1;
    cr_assert_eq(buffer_line(&buffer), expected);
    model_consume(expected);
}

static void expect_as_model(void)
{
    cr_assert_eq(buffer_length(&buffer), model.length);
    if (model.length > 0)
        cr_assert_arr_eq(buffer.data + buffer.start, model.bytes, model.length);
    cr_assert_leq(buffer.start, buffer.scanned);
    cr_assert_leq(buffer.scanned, buffer.end);
    cr_assert_leq(buffer.end, buffer.size);
    cr_assert_eq(buffers_used(), buffer.size);
    cr_assert(model.length > 0 || buffer.size <= BUFFER_KEPT);
}

Test(buffer, any_mixture_of_appending_and_taking_gives_what_plain_bytes_give)
{
    unsigned seed = 20240607;
    for (int step = 0; step < 30000; step++) {
        switch (rand_r(&seed) % 8) {
        case 0:
            buffers_set_limit((size_t)rand_r(&seed) % 60000);
            break;
        case 1:
            model_consume((size_t)rand_r(&seed) % (model.length + 1));
            break;
        case 2:
        case 3:
        case 4:
            model_take_line();
            break;
        default:
            model_append(&seed);
            break;
        }
        expect_as_model();
    }
}
