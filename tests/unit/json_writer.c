/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON that is written without a tree: jansson reads back what was told.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "keeper/core/json_writer.h"

static struct buffer out;
static struct json_writer writer = {.out = &out};

static void end(void)
{
    buffer_free(&out);
}

TestSuite(json_writer, .fini = end);

static void expect(const char *text)
{
    json_error_t error;
    cr_assert_eq(writer.error, 0);
    cr_assert_eq(buffer_length(&out), strlen(text), "told: %.*s", (int)buffer_length(&out),
                 out.data + out.start);
    cr_expect_arr_eq(out.data + out.start, text, strlen(text), "told: %.*s",
                     (int)buffer_length(&out), out.data + out.start);
    json_t *value = json_loadb(text, strlen(text), JSON_DECODE_ANY, &error);
    cr_expect_not_null(value, "%s: %s", text, error.text);
    json_decref(value);
}

Test(json_writer, members_and_values_have_their_commas)
{
    json_writer_open(&writer, NULL, '{');
    json_writer_open(&writer, "none", '[');
    json_writer_close(&writer, ']');
    json_writer_open(&writer, "some", '[');
    json_writer_count(&writer, NULL, 0);
    json_writer_count(&writer, NULL, UINT64_MAX);
    json_writer_open(&writer, NULL, '{');
    json_writer_close(&writer, '}');
    json_writer_null(&writer, NULL);
    json_writer_close(&writer, ']');
    json_writer_bool(&writer, "yes", true);
    json_writer_bool(&writer, "no", false);
    json_writer_close(&writer, '}');
    cr_expect_eq(writer.error, 0);
    const char *told = "{\"none\":[],\"some\":[0,18446744073709551615,{},null],\"yes\":true,"
                       "\"no\":false}";
    cr_expect_eq(buffer_length(&out), strlen(told));
    cr_expect_arr_eq(out.data + out.start, told, strlen(told));
}

Test(json_writer, a_time_is_seconds_with_a_point)
{
    const uint64_t times[] = {0, 1, 10, 999999, 1000000, 1500000, 60000001, UINT64_MAX};
    json_writer_open(&writer, NULL, '[');
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
        json_writer_seconds(&writer, NULL, times[i]);
    json_writer_close(&writer, ']');
    expect("[0.0,0.000001,0.00001,0.999999,1.0,1.5,60.000001,18446744073709.551615]");
}

Test(json_writer, a_text_is_one_whatever_is_in_it)
{
    json_writer_open(&writer, NULL, '{');
    json_writer_text(&writer, "plain", "msul1.example.edu");
    json_writer_text(&writer, "quoted", "a \"b\" \\c\n\x01\x7f");
    json_writer_text(&writer, "utf8", "Z\u00fcrich");
    json_writer_text(&writer, "latin", "Z\xfcrich");
    json_writer_text(&writer, "empty", "");
    json_writer_text(&writer, "nothing", NULL);
    json_writer_close(&writer, '}');
    expect("{\"plain\":\"msul1.example.edu\",\"quoted\":\"a \\\"b\\\" \\\\c\\n\\u0001\x7f\","
           "\"utf8\":\"Z\u00fcrich\",\"latin\":\"Z\u00fcrich\",\"empty\":\"\",\"nothing\":null}");
}

Test(json_writer, a_real_number_has_nine_digits)
{
    json_writer_open(&writer, NULL, '[');
    json_writer_real(&writer, NULL, 0);
    json_writer_real(&writer, NULL, 0.5);
    json_writer_real(&writer, NULL, 1234567.891);
    json_writer_real(&writer, NULL, 1e12);
    json_writer_close(&writer, ']');
    expect("[0,0.5,1234567.89,1e+12]");
}

Test(json_writer, bytes_that_are_no_utf8_are_told_apart_from_a_text)
{
    json_writer_open(&writer, NULL, '[');
    cr_expect(json_writer_bytes(&writer, NULL, "plain", 5));
    cr_expect(json_writer_bytes(&writer, NULL, "a\0b\n", 4));
    cr_expect(json_writer_bytes(&writer, NULL, "Z\u00fcrich", 7));
    cr_expect_not(json_writer_bytes(&writer, NULL, "Z\xfcrich", 6));
    json_writer_close(&writer, ']');
    cr_expect_eq(writer.error, 0);
    const char *told = "[\"plain\",\"a\\u0000b\\n\",\"Z\u00fcrich\",\"Z\u00fcrich\"]";
    cr_expect_eq(buffer_length(&out), strlen(told));
    cr_expect_arr_eq(out.data + out.start, told, strlen(told));
}

Test(json_writer, a_line_ends_once)
{
    json_writer_open(&writer, NULL, '{');
    json_writer_close(&writer, '}');
    cr_expect_eq(json_writer_finish(&writer), 0);
    cr_expect_eq(buffer_length(&out), 3);
    cr_expect_arr_eq(out.data + out.start, "{}\n", 3);
}

Test(json_writer, the_first_failure_is_kept_and_nothing_more_is_told)
{
    json_writer_open(&writer, NULL, '[');
    writer.error = -ENOMEM;
    size_t length = buffer_length(&out);
    json_writer_text(&writer, NULL, "more");
    json_writer_text(&writer, NULL, "Z\xfcrich");
    json_writer_count(&writer, NULL, 1);
    json_writer_close(&writer, ']');
    cr_expect_eq(buffer_length(&out), length);
    cr_expect_eq(json_writer_finish(&writer), -ENOMEM);
}

Test(json_writer, past_the_budget_of_all_buffers_it_fails)
{
    buffers_set_limit(buffers_used() + 4096);
    json_writer_open(&writer, NULL, '[');
    for (int i = 0; i < 4096; i++)
        json_writer_count(&writer, NULL, 1);
    cr_expect_eq(writer.error, -ENOBUFS);
}
