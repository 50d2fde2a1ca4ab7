/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One buffer: what goes in comes out, line by line, and it takes no more memory than it needs.
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

TestSuite(buffer, .init = one_buffer_begin, .fini = one_buffer_end, .timeout = 20);

/* --- Lines ------------------------------------------------------------------------------------ */

Test(buffer, a_new_buffer_is_empty_and_costs_nothing)
{
    cr_assert_eq(buffer_length(&one_buffer), 0);
    cr_assert_eq(buffers_used(), 0);
    expect_no_line();
    buffer_consume(&one_buffer, 0);
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
    cr_assert_eq(buffer_line(&one_buffer), 5);
    cr_assert_eq(buffer_line(&one_buffer), 5);
    receive("more\n");
    expect_line("ping\n");
    expect_line("pong\n");
    expect_line("more\n");
}

Test(buffer, the_rest_of_a_line_taken_in_part_is_a_line)
{
    receive("enc:12:abcdef\nnext\n");
    cr_assert_eq(buffer_line(&one_buffer), 14);
    buffer_consume(&one_buffer, 4);
    expect_line("12:abcdef\n");
    expect_line("next\n");
}

Test(buffer, bytes_taken_before_they_were_searched_hide_no_line)
{
    receive("abcdef");
    buffer_consume(&one_buffer, 3);
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
    cr_assert_eq(buffer_receive(&one_buffer, NEAR, SIZE_MAX, &more), 257);
    cr_assert_eq(buffer_line(&one_buffer), 257);
    cr_assert_arr_eq(one_buffer.data + one_buffer.start, bytes, 256);
}

/* An LF smuggled in among bytes that were searched already is not seen: they are not read again. */
Test(buffer, only_new_bytes_are_searched)
{
    receive("abcdef");
    expect_no_line();
    one_buffer.data[one_buffer.start + 2] = '\n';
    expect_no_line();
    receive("ghi");
    expect_no_line();
    receive("jkl\n");
    cr_assert_eq(buffer_line(&one_buffer), 13);
}

/* The same where the bytes move to the front, or elsewhere as the buffer grows. */
Test(buffer, what_was_searched_stays_searched_when_the_bytes_move)
{
    append_bytes(&one_buffer, 'x', 1000);
    append("abcdef");
    buffer_consume(&one_buffer, 1000);
    expect_no_line();
    one_buffer.data[one_buffer.start + 2] = '\n';
    append_bytes(&one_buffer, 'y', 900);
    cr_assert_eq(one_buffer.start, 0, "the bytes did not move");
    expect_no_line();
    append_bytes(&one_buffer, 'z', 9000);
    expect_no_line();
    append("\n");
    cr_assert_eq(buffer_line(&one_buffer), 6 + 900 + 9000 + 1);
}

/* --- Memory ----------------------------------------------------------------------------------- */

Test(buffer, a_small_request_costs_one_small_allocation)
{
    append("ping\n");
    cr_assert_eq(one_buffer.size, BUFFER_KEPT);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    append_bytes(&one_buffer, 'x', BUFFER_KEPT - 5);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer, taken_bytes_make_room_without_growth)
{
    append_bytes(&one_buffer, 'x', BUFFER_KEPT - 4);
    append("kept");
    buffer_consume(&one_buffer, BUFFER_KEPT - 4);
    append_bytes(&one_buffer, 'y', BUFFER_KEPT - 4);

    cr_assert_eq(one_buffer.size, BUFFER_KEPT);
    cr_assert_eq(buffer_length(&one_buffer), BUFFER_KEPT);
    cr_assert_arr_eq(one_buffer.data + one_buffer.start, "kepty", 5);
    cr_assert_eq(one_buffer.data[one_buffer.end - 1], 'y');
}

Test(buffer, it_grows_as_needed_and_keeps_what_it_has)
{
    append("first:");
    append_bytes(&one_buffer, 'x', 100000);
    append(":last");
    cr_assert_eq(buffer_length(&one_buffer), 100011);
    cr_assert_geq(one_buffer.size, 100011);
    cr_assert_eq(buffers_used(), one_buffer.size);
    cr_assert_arr_eq(one_buffer.data + one_buffer.start, "first:x", 7);
    cr_assert_arr_eq(one_buffer.data + one_buffer.end - 6, "x:last", 6);
}

Test(buffer, room_that_was_reserved_costs_nothing_when_it_is_used)
{
    cr_assert_eq(buffer_reserve(&one_buffer, 5000), 0);
    size_t used = buffers_used();
    cr_assert_geq(one_buffer.size - one_buffer.end, 5000);
    append_bytes(&one_buffer, 'x', 5000);
    cr_assert_eq(buffers_used(), used);
}

Test(buffer, an_emptied_buffer_gives_back_all_but_a_little)
{
    append_bytes(&one_buffer, 'x', 100000);
    buffer_consume(&one_buffer, 99999);
    cr_assert_geq(buffers_used(), 100000, "it gives nothing back while there is something in it");
    buffer_consume(&one_buffer, 1);
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
    cr_assert_eq(one_buffer.size, BUFFER_KEPT);
    append("ping\n");
    expect_line("ping\n");
    cr_assert_eq(buffers_used(), BUFFER_KEPT);
}

Test(buffer, a_freed_buffer_may_be_used_again)
{
    append("ping\n");
    buffer_free(&one_buffer);
    cr_assert_eq(buffers_used(), 0);
    cr_assert_eq(buffer_length(&one_buffer), 0);
    buffer_free(&one_buffer);
    append("pong\n");
    expect_line("pong\n");
}

Test(buffer, appending_nothing_to_nothing_is_nothing)
{
    cr_assert_eq(buffer_append(&one_buffer, "", 0), 0);
    cr_assert_eq(buffer_length(&one_buffer), 0);
    expect_no_line();
}

Test(buffer, more_room_than_there_are_addresses_is_refused)
{
    cr_assert_eq(buffer_reserve(&one_buffer, SIZE_MAX - 10), -ENOMEM);
    cr_assert_eq(buffers_used(), 0);
}

Test(buffer, swapped_buffers_have_each_others_bytes_and_lines)
{
    struct buffer other = {.data = NULL};
    append("mine\nand");
    cr_assert_eq(buffer_line(&one_buffer), 5);
    append_bytes(&other, 'x', 100000);
    size_t used = buffers_used();

    buffer_swap(&one_buffer, &other);
    cr_assert_eq(buffers_used(), used);
    cr_assert_eq(buffer_length(&one_buffer), 100000);
    expect_content(&other, "mine\nand");
    cr_assert_eq(buffer_line(&other), 5);
    buffer_free(&other);
    cr_assert_eq(buffers_used(), one_buffer.size);
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
    buffer_consume(&one_buffer, length);
}

static void model_append(unsigned *seed)
{
    char bytes[3000];
    size_t length = (size_t)rand_r(seed) % (rand_r(seed) % 8 == 0 ? sizeof(bytes) : 60);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(rand_r(seed) % 40 == 0 ? '\n' : rand_r(seed) % 256);
    if (model.length + length > sizeof(model.bytes))
        return;
    int r = buffer_append(&one_buffer, bytes, length);
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
    cr_assert_eq(buffer_line(&one_buffer), expected);
    model_consume(expected);
}

static void expect_as_model(void)
{
    cr_assert_eq(buffer_length(&one_buffer), model.length);
    if (model.length > 0)
        cr_assert_arr_eq(one_buffer.data + one_buffer.start, model.bytes, model.length);
    cr_assert_leq(one_buffer.start, one_buffer.scanned);
    cr_assert_leq(one_buffer.scanned, one_buffer.end);
    cr_assert_leq(one_buffer.end, one_buffer.size);
    cr_assert_eq(buffers_used(), one_buffer.size);
    cr_assert(model.length > 0 || one_buffer.size <= BUFFER_KEPT);
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
