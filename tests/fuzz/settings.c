/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keeper.conf. Whatever is in it, each setting has a value that its row allows; and what was
 * accepted, written down and read again, is the same.
 */
#include <stdio.h>
#include <string.h>

#include "common/settings.h"
#include "tests/fuzz/fuzz.h"

#define VALUE_MAX 8192

static bool is_number(const struct setting *setting)
{
    return setting->kind != SETTING_TEXT && setting->kind != SETTING_NAMES &&
           setting->kind != SETTING_SERVERS;
}

static void check_bounds(const struct setting *setting, const struct settings *settings)
{
    const void *member = (const char *)settings + setting->offset;
    uint64_t value =
        is_number(setting) ? *(const uint64_t *)member : strlen(*(char *const *)member);
    CHECK(value >= setting->low && value <= setting->high);
    CHECK(setting->step == 0 || value % setting->step == 0);
}

static size_t write_down(const struct settings *settings, char *text, size_t size)
{
    static char value[VALUE_MAX];
    size_t length = 0;
    for (size_t i = 0; i < settings_count; i++) {
        setting_format(&settings_table[i], settings, value, sizeof(value));
        int n = snprintf(text + length, size - length, "%s = %s\n", settings_table[i].name, value);
        CHECK(n > 0 && (size_t)n < size - length);
        length += (size_t)n;
    }
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char first[64 * 1024], again[64 * 1024];
    struct settings settings;
    struct diagnostics diagnostics = fuzz_complaints();
    int r = settings_load(&settings, fuzz_file(data, size), false, &diagnostics);
    CHECK((r == 0) == (diagnostics.count == 0));
    for (size_t i = 0; i < settings_count; i++)
        check_bounds(&settings_table[i], &settings);
    size_t length = write_down(&settings, first, sizeof(first));
    settings_free(&settings);
    if (r < 0)
        return 0;
    CHECK(settings_load(&settings, fuzz_file(first, length), false, &diagnostics) == 0);
    CHECK(write_down(&settings, again, sizeof(again)) == length);
    CHECK(memcmp(first, again, length) == 0);
    settings_free(&settings);
    return 0;
}
