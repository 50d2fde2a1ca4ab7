/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading keeper.conf. It is not the place to act on a setting: whoever needs one reads the struct.
 */
#include <stdlib.h>
#include <string.h>

#include "common/lines.h"
#include "common/settings.h"

/* The first of a pair must not exceed the second, or it would never have an effect. */
static const char *const ordered[][2] = {
    {"probe_min", "probe_max"},
    {"config_retry_min", "config_retry_max"},
    {"queue_per_host", "queue_total"},
    {"line_limit", "buffers_limit"},
};

/* What the file says about one setting. */
struct given {
    unsigned line; /* that sets it, or 0 */
    bool bad;      /* the default stays then, which is not to blame for a contradiction */
};

struct reading {
    struct settings *settings;
    const char *path;
    struct diagnostics *diagnostics;
    struct given given[SETTINGS_MAX];
};

size_t settings_find(const char *name)
{
    size_t i = 0;
    while (i < settings_count && strcmp(name, settings_table[i].name) != 0)
        i++;
    return i;
}

static void set_value(struct reading *reading, unsigned line, size_t index, const char *value)
{
    const struct setting *setting = &settings_table[index];
    uint64_t number;
    if (!setting_parse(setting, value, &number)) {
        char expected[SETTING_EXPECTATION_SIZE];
        setting_expectation(setting, expected, sizeof(expected));
        reading->given[index].bad = true;
        diagnostics_add(reading->diagnostics, reading->path, line,
                        "%s: " DIAGNOSTIC_QUOTED ": expected %s", setting->name, value, expected);
    } else if (setting_store(setting, reading->settings, value, number) < 0) {
        diagnostics_add(reading->diagnostics, reading->path, line, "out of memory");
    } else {
        reading->settings->lines[index] = line;
    }
}

static void set_named(struct reading *reading, unsigned line, const char *name, const char *value)
{
    size_t index = settings_find(name);
    if (index == settings_count) {
        diagnostics_add(reading->diagnostics, reading->path, line,
                        "name: " DIAGNOSTIC_QUOTED ": expected the name of a setting", name);
        return;
    }
    struct given *given = &reading->given[index];
    if (given->line != 0) {
        diagnostics_add(reading->diagnostics, reading->path, line,
                        "%s: " DIAGNOSTIC_QUOTED ": expected only once, but line %u sets it too",
                        name, value, given->line);
        return;
    }
    given->line = line;
    set_value(reading, line, index, value);
}

static void read_line(void *argument, unsigned number, char *text)
{
    struct reading *reading = argument;
    text = lines_strip_comment(text);
    if (*text == '\0')
        return;
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        diagnostics_add(reading->diagnostics, reading->path, number,
                        "line: " DIAGNOSTIC_QUOTED ": expected name = value", text);
        return;
    }
    *equals = '\0';
    set_named(reading, number, lines_strip(text), lines_strip(equals + 1));
}

/* Two defaults never contradict each other, so the later of the two lines is to blame. */
static void check_order(const struct reading *reading, size_t small, size_t large)
{
    const struct given *given = reading->given;
    if (given[small].bad || given[large].bad ||
        *setting_number(&settings_table[small], reading->settings) <=
            *setting_number(&settings_table[large], reading->settings))
        return;

    bool blame_small = given[small].line > given[large].line;
    size_t blamed = blame_small ? small : large;
    size_t other = blame_small ? large : small;
    char value[32], bound[32];
    setting_format(&settings_table[blamed], reading->settings, value, sizeof(value));
    setting_format(&settings_table[other], reading->settings, bound, sizeof(bound));
    diagnostics_add(reading->diagnostics, reading->path, given[blamed].line,
                    "%s: " DIAGNOSTIC_QUOTED ": expected at %s %s, which is %s",
                    settings_table[blamed].name, value, blame_small ? "most" : "least",
                    settings_table[other].name, bound);
}

/* A unit test checks that each default is valid by its own row. */
static void set_defaults(struct reading *reading)
{
    *reading->settings = (struct settings){0};
    for (size_t i = 0; i < settings_count; i++)
        set_value(reading, 0, i, settings_table[i].default_value);
}

int settings_load(struct settings *settings, const char *path, bool optional,
                  struct diagnostics *diagnostics)
{
    unsigned before = diagnostics->count;
    struct reading reading = {.settings = settings, .path = path, .diagnostics = diagnostics};
    set_defaults(&reading);
    if (lines_read(path, optional, diagnostics, read_line, &reading) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(ordered) / sizeof(ordered[0]); i++)
        check_order(&reading, settings_find(ordered[i][0]), settings_find(ordered[i][1]));
    return diagnostics->count == before ? 0 : -1;
}

bool settings_are_whole(struct settings *settings)
{
    for (size_t i = 0; i < settings_count; i++)
        if (setting_is_text(&settings_table[i]) &&
            *setting_text(&settings_table[i], settings) == NULL)
            return false;
    return true;
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; i < settings_count; i++)
        if (setting_is_text(&settings_table[i]))
            free(*setting_text(&settings_table[i], settings));
    *settings = (struct settings){0};
}
