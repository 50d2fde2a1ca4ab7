/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON that is written without a tree: jansson reads back what was told.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "keeper/core/tell.h"

static struct buffer out;
static struct tell tell = {.out = &out};

static void end(void)
{
    buffer_free(&out);
}

TestSuite(tell, .fini = end);

static void expect(const char *text)
{
    json_error_t error;
    cr_assert_eq(tell.error, 0);
    cr_assert_eq(buffer_length(&out), strlen(text), "told: %.*s", (int)buffer_length(&out),
                 out.data + out.start);
    cr_expect_arr_eq(out.data + out.start, text, strlen(text), "told: %.*s",
                     (int)buffer_length(&out), out.data + out.start);
    json_t *value = json_loadb(text, strlen(text), JSON_DECODE_ANY, &error);
    cr_expect_not_null(value, "%s: %s", text, error.text);
    json_decref(value);
}

Test(tell, members_and_values_have_their_commas)
{
    tell_open(&tell, NULL, '{');
    tell_open(&tell, "none", '[');
    tell_close(&tell, ']');
    tell_open(&tell, "some", '[');
    tell_count(&tell, NULL, 0);
    tell_count(&tell, NULL, UINT64_MAX);
    tell_open(&tell, NULL, '{');
    tell_close(&tell, '}');
    tell_null(&tell, NULL);
    tell_close(&tell, ']');
    tell_bool(&tell, "yes", true);
    tell_bool(&tell, "no", false);
    tell_close(&tell, '}');
    cr_expect_eq(tell.error, 0);
    const char *told = "{\"none\":[],\"some\":[0,18446744073709551615,{},null],\"yes\":true,"
                       "\"no\":false}";
    cr_expect_eq(buffer_length(&out), strlen(told));
    cr_expect_arr_eq(out.data + out.start, told, strlen(told));
}

Test(tell, a_time_is_seconds_with_a_point)
{
    const uint64_t times[] = {0, 1, 10, 999999, 1000000, 1500000, 60000001, UINT64_MAX};
    tell_open(&tell, NULL, '[');
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
        tell_seconds(&tell, NULL, times[i]);
    tell_close(&tell, ']');
    expect("[0.0,0.000001,0.00001,0.999999,1.0,1.5,60.000001,18446744073709.551615]");
}

Test(tell, a_text_is_one_whatever_is_in_it)
{
    tell_open(&tell, NULL, '{');
    tell_text(&tell, "plain", "msul1.example.edu");
    tell_text(&tell, "quoted", "a \"b\" \\c\n\x01\x7f");
    tell_text(&tell, "utf8", "Z\u00fcrich");
    tell_text(&tell, "latin", "Z\xfcrich");
    tell_text(&tell, "empty", "");
    tell_text(&tell, "nothing", NULL);
    tell_close(&tell, '}');
    expect("{\"plain\":\"msul1.example.edu\",\"quoted\":\"a \\\"b\\\" \\\\c\\n\\u0001\x7f\","
           "\"utf8\":\"Z\u00fcrich\",\"latin\":\"Z\u00fcrich\",\"empty\":\"\",\"nothing\":null}");
}

Test(tell, a_value_of_janssons_stands_among_the_others)
{
    json_t *value = json_pack("{s:f, s:[i]}", "a", 0.5, "b", 1);
    tell_open(&tell, NULL, '[');
    tell_count(&tell, NULL, 7);
    tell_json(&tell, NULL, value);
    tell_close(&tell, ']');
    json_decref(value);
    expect("[7,{\"a\":0.5,\"b\":[1]}]");
}

Test(tell, the_first_failure_is_kept_and_nothing_more_is_told)
{
    tell_open(&tell, NULL, '[');
    tell_json(&tell, NULL, NULL);
    cr_assert_eq(tell.error, -ENOMEM);
    size_t length = buffer_length(&out);
    tell_text(&tell, NULL, "more");
    tell_count(&tell, NULL, 1);
    tell_close(&tell, ']');
    cr_expect_eq(buffer_length(&out), length);
    cr_expect_eq(tell.error, -ENOMEM);
}

Test(tell, past_the_budget_of_all_buffers_it_fails)
{
    buffers_set_limit(buffers_used() + 4096);
    tell_open(&tell, NULL, '[');
    for (int i = 0; i < 4096; i++)
        tell_count(&tell, NULL, 1);
    cr_expect_eq(tell.error, -ENOBUFS);
}
