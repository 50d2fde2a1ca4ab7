/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of the keeper's own troubles: what begins, stays, changes and ends.
 */
#include <criterion/criterion.h>
#include <jansson.h>

#include "keeper/core/core.h"

static struct core core;
static json_t *written; /* the list as it was last asked for */

static json_t *told(void)
{
    json_decref(written);
    struct buffer text = {0};
    struct json_writer writer = {.out = &text};
    json_writer_open(&writer, NULL, '{');
    troubles_write(&core.troubles, core.loop.now, &writer);
    json_writer_close(&writer, '}');
    cr_assert_eq(writer.error, 0);
    written = json_loadb(text.data + text.start, buffer_length(&text), 0, NULL);
    cr_assert_not_null(written);
    buffer_free(&text);
    cr_assert_eq(json_array_size(json_object_get(written, "trouble_kinds")), TROUBLE_COUNT - 1);
    return json_object_get(written, "troubles");
}

static void end(void)
{
    json_decref(written);
}

TestSuite(troubles, .fini = end);

static const char *text_of(const char *key)
{
    return json_string_value(json_object_get(json_array_get(told(), 0), key));
}

static const char *line(void)
{
    static char text[192];
    troubles_line(&core.troubles, text, sizeof(text));
    return text;
}

Test(troubles, none_is_an_empty_list_and_an_empty_line)
{
    cr_assert_eq(json_array_size(told()), 0);
    cr_assert_str_eq(line(), "");
}

Test(troubles, one_says_what_since_when_what_it_costs_and_what_to_do)
{
    core.loop.now = 5000000;
    trouble_begin(&core, TROUBLE_TLS, "%s: expired", "/certs/ca.pem");
    core.loop.now = 7500000;
    cr_assert_eq(json_array_size(told()), 1);
    cr_assert_str_eq(text_of("trouble"), "tls");
    cr_assert_str_eq(text_of("detail"), "/certs/ca.pem: expired");
    cr_assert_not_null(text_of("cost"));
    cr_assert_not_null(text_of("remedy"));
    cr_assert_float_eq(json_real_value(json_object_get(json_array_get(told(), 0), "for")), 2.5,
                       0.001);
}

Test(troubles, one_whose_detail_changes_is_still_one_and_as_old)
{
    core.loop.now = 1000000;
    trouble_begin(&core, TROUBLE_FOLDER, "read-only");
    core.loop.now = 3000000;
    trouble_begin(&core, TROUBLE_FOLDER, "gone");
    cr_assert_eq(json_array_size(told()), 1);
    cr_assert_str_eq(text_of("detail"), "gone");
    cr_assert_float_eq(json_real_value(json_object_get(json_array_get(told(), 0), "for")), 2.0,
                       0.001);
}

Test(troubles, one_that_ends_is_gone_and_the_others_stay)
{
    trouble_begin(&core, TROUBLE_CONFIG, "hosts.tab:3: what");
    trouble_begin(&core, TROUBLE_TLS, "expired");
    cr_assert_str_eq(line(), "; troubles: config, tls");
    trouble_end(&core, TROUBLE_CONFIG);
    cr_assert_str_eq(line(), "; troubles: tls");
    cr_assert_not(trouble_is_present(&core, TROUBLE_CONFIG));
    trouble_end(&core, TROUBLE_CONFIG);
    cr_assert_eq(core.troubles.count, 1);
}

Test(troubles, all_of_them_fit_into_the_line)
{
    for (int kind = TROUBLE_NONE + 1; kind < TROUBLE_COUNT; kind++)
        trouble_begin(&core, (enum trouble)kind, "it is there");
    cr_assert_eq(core.troubles.count, TROUBLE_COUNT - 1);
    cr_assert_not_null(strstr(line(), trouble_word((enum trouble)(TROUBLE_COUNT - 1))));
}
