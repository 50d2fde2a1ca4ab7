/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading a keeper.conf. It tests nothing itself.
 */
#include <criterion/criterion.h>

#include "tests/unit/keeper_conf.h"

struct settings loaded;

void keeper_conf_end(void)
{
    settings_free(&loaded);
    heard_end();
}

int keeper_conf_load(const char *text)
{
    write_file("keeper.conf", text);
    settings_free(&loaded);
    return settings_load(&loaded, "keeper.conf", false, &heard);
}

void expect_good(const char *text)
{
    int result = keeper_conf_load(text);
    cr_assert_eq(result, 0, "heard:\n%s", heard_text());
    expect_heard("");
}

void expect_complaints(const char *text, const char *diagnostics)
{
    cr_assert_eq(keeper_conf_load(text), -1);
    expect_heard(diagnostics);
}
