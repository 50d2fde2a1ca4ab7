/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All buffers together: they stay within the budget, a failure leaves everything as it was, and the
 * memory of large ones is returned piece by piece.
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

TestSuite(buffer_budget, .init = one_buffer_begin, .fini = one_buffer_end, .timeout = 20);

/* --- The budget ------------------------------------------------------------------------------- */

Test(buffer_budget, the_budget_is_of_all_buffers_together)
{
    struct buffer other = {.data = NULL};
    append_bytes(&one_buffer, 'x', 1);
    append_bytes(&other, 'x', 50000);
    cr_assert_eq(buffers_used(), BUFFER_KEPT + other.size);
    buffer_free(&other);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer_budget, past_the_budget_a_buffer_stays_as_it_was)
{
    buffers_set_limit((size_t)2 * BUFFER_KEPT);
    append("line\nand more");
    cr_assert_eq(buffer_line(&one_buffer), 5);
    static const char large[2 * BUFFER_KEPT];

    cr_assert_eq(buffer_append(&one_buffer, large, sizeof(large)), -ENOBUFS);
    cr_assert_eq(buffer_reserve(&one_buffer, sizeof(large)), -ENOBUFS);
    expect_content(&one_buffer, "line\nand more");
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    expect_line("line\n");
    expect_no_line();
    append("\n");
    expect_line("and more\n");
}

Test(buffer_budget, a_new_buffer_past_the_budget_stays_empty)
{
    struct buffer other = {.data = NULL};
    append("x");
    buffers_set_limit(BUFFER_KEPT);
    cr_assert_eq(buffer_append(&other, "x", 1), -ENOBUFS);
    cr_assert_eq(buffer_length(&other), 0);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    buffer_free(&other);
}

Test(buffer_budget, a_reserved_buffer_may_go_past_a_used_up_budget_by_the_reserve_and_no_further)
{
    struct buffer ask = {.reserved = true}, tell = {.reserved = true};
    buffers_set_limit(BUFFER_KEPT);
    append_bytes(&one_buffer, 'x', BUFFER_KEPT);

    append_bytes(&tell, 't', BUFFER_KEPT);
    append_bytes(&ask, 'a', BUFFERS_RESERVE - BUFFER_KEPT);
    cr_assert_eq(buffers_used(), BUFFER_KEPT, "the reserve is counted in the budget");
    cr_assert_eq(buffer_append(&tell, "!", 1), -ENOBUFS);
    cr_assert_eq(buffer_append(&one_buffer, "!", 1), -ENOBUFS, "the reserve is for others, too");

    buffer_free(&ask);
    cr_assert_eq(buffer_append(&one_buffer, "!", 1), -ENOBUFS);
    append_bytes(&ask, 'a', BUFFERS_RESERVE - BUFFER_KEPT);
    cr_assert_eq(buffer_append(&ask, "!", 1), -ENOBUFS, "a freed buffer is still of the reserve");
    buffer_free(&ask);
    buffer_free(&tell);
}

Test(buffer_budget, what_reserved_buffers_take_beyond_the_reserve_is_of_the_budget)
{
    struct buffer ask = {.reserved = true};
    buffers_set_limit(10000);
    append_bytes(&one_buffer, 'x', 1);
    append_bytes(&ask, 'a', BUFFERS_RESERVE + 8000);
    cr_assert_eq(buffers_used(), BUFFER_KEPT + ask.size - BUFFERS_RESERVE);
    cr_assert_eq(buffer_append(&ask, one_buffer.data, 1), 0);
    cr_assert_eq(buffer_reserve(&ask, 2000), -ENOBUFS);
    cr_assert_eq(buffer_reserve(&one_buffer, 9000), -ENOBUFS);
    buffer_free(&ask);
    cr_assert_eq(buffer_reserve(&one_buffer, 9000), 0);
}

Test(buffer_budget, what_one_buffer_gives_back_another_may_take)
{
    struct buffer other = {.data = NULL};
    buffers_set_limit(70000);
    append_bytes(&other, 'x', 60000);
    cr_assert_eq(buffer_reserve(&one_buffer, 60000), -ENOBUFS);
    buffer_consume(&other, 60000);
    cr_assert_eq(buffer_reserve(&one_buffer, 60000), 0);
    buffer_free(&other);
}

Test(buffer_budget, near_the_budgets_edge_what_was_asked_for_is_given_if_it_fits)
{
    buffers_set_limit(BUFFER_KEPT + 500);
    append_bytes(&one_buffer, 'x', BUFFER_KEPT);
    append_bytes(&one_buffer, 'y', 499);
    cr_assert_leq(buffers_used(), BUFFER_KEPT + 500);
    append("z");
    cr_assert_eq(buffers_used(), BUFFER_KEPT + 500);
    cr_assert_eq(buffer_append(&one_buffer, "!", 1), -ENOBUFS);
    cr_assert_eq(buffer_length(&one_buffer), BUFFER_KEPT + 500);
    cr_assert_eq(one_buffer.data[one_buffer.end - 1], 'z');
}

Test(buffer_budget, even_a_first_allocation_may_be_smaller_at_the_edge)
{
    buffers_set_limit(100);
    append("ping\n");
    cr_assert_leq(buffers_used(), 100);
    expect_line("ping\n");
    cr_assert_eq(buffer_reserve(&one_buffer, 101), -ENOBUFS);
}

Test(buffer_budget, lowering_the_budget_below_what_is_used_frees_nothing_and_stops_growth)
{
    append_bytes(&one_buffer, 'x', 30000);
    size_t used = buffers_used(), room = one_buffer.size - one_buffer.end;
    buffers_set_limit(2000);

    cr_assert_eq(buffers_used(), used);
    cr_assert_eq(buffer_length(&one_buffer), 30000);
    append_bytes(&one_buffer, 'y', room);
    cr_assert_eq(buffer_append(&one_buffer, "z", 1), -ENOBUFS);
    /* Bytes taken still make room, and an empty buffer still shrinks. */
    buffer_consume(&one_buffer, 1);
    append("z");
    cr_assert_eq(buffers_used(), used);
    buffer_consume(&one_buffer, buffer_length(&one_buffer));
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    append_bytes(&one_buffer, 'x', 1500);
    cr_assert_leq(buffers_used(), 2000);
}

/* --- Large buffers ---------------------------------------------------------------------------- */

Test(buffer_budget, what_stands_behind_a_large_line_moves_to_a_small_buffer)
{
    append_bytes(&one_buffer, 'x', MIB);
    append("\nnext\nand");
    cr_assert_eq(buffer_line(&one_buffer), MIB + 1);
    buffer_consume(&one_buffer, MIB + 1);
    cr_assert_eq(one_buffer.size, BUFFER_KEPT);
    cr_assert_geq(buffers_unused(), MIB);
    expect_line("next\n");
    expect_content(&one_buffer, "and");
    release(65536);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

/* Whether the kernel has taken back the page in the middle: it is there, and holds nothing. */
Test(buffer_budget, memory_of_a_large_buffer_goes_back_a_piece_at_a_time_and_with_what_it_holds)
{
    append_bytes(&one_buffer, 'x', MIB);
    const char *middle = one_buffer.data + MIB / 2, *last = one_buffer.data + MIB - 10;
    size_t size = one_buffer.size;
    buffer_free(&one_buffer);
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

Test(buffer_budget, where_the_budget_is_short_as_much_of_what_is_dropped_goes_back_as_is_needed)
{
    struct buffer other = {.data = NULL};
    buffers_set_limit((size_t)3 * MIB);
    append_bytes(&one_buffer, 'x', (size_t)2 * MIB);
    buffer_free(&one_buffer);
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
Test(buffer_budget, what_is_kept_is_wiped_and_serves_the_next)
{
    struct buffer other = {.data = NULL};
    buffers_set_limit((size_t)64 * MIB);
    append_bytes(&one_buffer, 'x', (size_t)3 * MIB);
    const char *before = one_buffer.data;
    size_t size = one_buffer.size;
    buffer_free(&one_buffer);
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

Test(buffer_budget, no_more_than_a_share_of_the_budget_is_kept)
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

Test(buffer_budget, several_dropped_buffers_all_go_back)
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
