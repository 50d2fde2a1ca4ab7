/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One setting: its value read and written by its row of the table.
 */
#include <arpa/inet.h>
#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/host_name.h"
#include "common/setting.h"
#include "common/setting_units.h"

#define DIGITS "0123456789"
#define BLANKS " \t"

struct unit {
    const char *name;
    uint64_t scale;
    uint64_t written_from; /* smaller values read better in a smaller unit */
};

/* Largest first. Up to ten minutes people think in seconds: "300s", not "5min". */
static const struct unit time_units[] = {
    {"h", HOUR, HOUR}, {"min", MIN, 10 * MIN}, {"s", S, S}, {"ms", MS, MS}, {"us", 1, 0}, {0},
};
static const struct unit size_units[] = {
    {"G", GIB, GIB}, {"M", MIB, MIB}, {"k", KIB, KIB}, {"", 1, 0}, {0},
};
static const struct unit plain[] = {{"", 1, 0}, {0}};

/* --- Members ---------------------------------------------------------------------------------- */

bool setting_is_text(const struct setting *setting)
{
    return setting->kind == SETTING_TEXT || setting->kind == SETTING_NAMES ||
           setting->kind == SETTING_SERVERS;
}

char **setting_text(const struct setting *setting, struct settings *settings)
{
    return (char **)((char *)settings + setting->offset);
}

uint64_t *setting_number(const struct setting *setting, struct settings *settings)
{
    return (uint64_t *)((char *)settings + setting->offset);
}

int setting_store(const struct setting *setting, struct settings *settings, const char *value,
                  uint64_t number)
{
    if (!setting_is_text(setting)) {
        *setting_number(setting, settings) = number;
        return 0;
    }
    char *copy = strdup(value);
    if (copy == NULL)
        return -ENOMEM;
    char **text = setting_text(setting, settings);
    free(*text);
    *text = copy;
    return 0;
}

/* --- Reading ---------------------------------------------------------------------------------- */

static const struct unit *units_of(const struct setting *setting)
{
    if (setting->kind == SETTING_TIME)
        return time_units;
    return setting->kind == SETTING_BYTES ? size_units : plain;
}

/* Reads digits and moves past them. False if there are none, or more than a uint64_t holds. */
static bool scan_digits(const char **text, uint64_t *number)
{
    size_t length = strspn(*text, DIGITS);
    *number = 0;
    for (size_t i = 0; i < length; i++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)((*text)[i] - '0'), number))
            return false;
    *text += length;
    return length > 0;
}

/* Reads a fraction such as ".25" as a share of `scale`, rounded down; without one, *share is 0. */
static bool scan_fraction(const char **text, uint64_t scale, uint64_t *share)
{
    *share = 0;
    if (**text != '.')
        return true;
    ++*text;
    size_t length = strspn(*text, DIGITS);
    for (size_t i = 0; i < length; i++) {
        scale /= 10;
        *share += (uint64_t)((*text)[i] - '0') * scale;
    }
    *text += length;
    return length > 0;
}

/* The unit at the end of the value `text`, or NULL; a value without a unit has the unit `without`.
 */
static const struct unit *find_unit(const struct unit *units, const char *text, const char *without)
{
    text += strspn(text, DIGITS ".");
    text += strspn(text, BLANKS);
    if (*text == '\0')
        text = without;
    for (; units->name != NULL; units++)
        if (strcmp(units->name, text) == 0)
            return units;
    return NULL;
}

/* The unit is looked up first, since a fraction is a share of it. */
static bool parse_number(const struct setting *setting, const char *text, uint64_t *number)
{
    bool time = setting->kind == SETTING_TIME;
    const struct unit *unit = find_unit(units_of(setting), text, time ? "s" : "");
    if (unit == NULL || !scan_digits(&text, number) ||
        __builtin_mul_overflow(*number, unit->scale, number))
        return false;
    uint64_t share = 0;
    if (time && !scan_fraction(&text, unit->scale, &share))
        return false;
    /* find_unit() has skipped digits and dots alike: a dot that is left is out of place. */
    return *text != '.' && !__builtin_add_overflow(*number, share, number);
}

static bool parse_choice(const struct setting *setting, const char *text, uint64_t *number)
{
    for (*number = 0; setting->words[*number] != NULL; ++*number)
        if (strcmp(text, setting->words[*number]) == 0)
            return true;
    return false;
}

static bool parse_names(const char *text)
{
    while (*(text += strspn(text, BLANKS)) != '\0') {
        char name[HOST_NAME_MAX_LENGTH + 2]; /* a name that is too long stays so when cut */
        size_t length = strcspn(text, BLANKS);
        snprintf(name, sizeof(name), "%.*s", (int)length, text);
        if (!host_name_is_valid(name))
            return false;
        text += length;
    }
    return true;
}

/* Whether this is "127.0.0.1:53", "::1" or "[::1]:53"; the text is cut up for that. */
static bool parse_server(char *server)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *problem = NULL;
    char *port = NULL;
    bool bracket = server[0] == '[';
    if (bracket) {
        char *end = strchr(server++, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return false;
        port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
    } else if (inet_pton(AF_INET6, server, bytes) != 1 && (port = strchr(server, ':')) != NULL) {
        *port++ = '\0';
    }
    if (port != NULL && port[strspn(port, DIGITS)] != '\0')
        return false;
    if (port != NULL)
        strtonum(port, 1, 65535, &problem);
    bool six = inet_pton(AF_INET6, server, bytes) == 1;
    bool four = !bracket && inet_pton(AF_INET, server, bytes) == 1;
    return problem == NULL && (four || six);
}

static bool parse_servers(const char *text)
{
    while (*text != '\0') {
        char server[64]; /* the longest valid one has 47 bytes */
        size_t length = strcspn(text, ",");
        if (length >= sizeof(server))
            return false;
        snprintf(server, sizeof(server), "%.*s", (int)length, text);
        text += length;
        if (!parse_server(server) || strcmp(text, ",") == 0)
            return false;
        text += *text == ',';
    }
    return true;
}

bool setting_parse(const struct setting *setting, const char *text, uint64_t *number)
{
    bool read;
    switch (setting->kind) {
    case SETTING_TEXT:
        *number = strlen(text);
        read = text[0] == '/' || text[0] == '\0';
        break;
    case SETTING_NAMES:
        *number = strlen(text);
        read = parse_names(text);
        break;
    case SETTING_SERVERS:
        *number = strlen(text);
        read = parse_servers(text);
        break;
    case SETTING_CHOICE:
        read = parse_choice(setting, text, number);
        break;
    default:
        read = parse_number(setting, text, number);
        break;
    }
    return read && *number >= setting->low && *number <= setting->high &&
           (setting->step == 0 || *number % setting->step == 0);
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void format_number(const struct setting *setting, uint64_t number, char *text, size_t size)
{
    const struct unit *unit = units_of(setting);
    while (number < unit->written_from || number % unit->scale != 0)
        unit++;
    snprintf(text, size, "%" PRIu64 "%s", number / unit->scale, unit->name);
}

void setting_format(const struct setting *setting, const struct settings *settings, char *text,
                    size_t size)
{
    const void *member = (const char *)settings + setting->offset;
    if (setting_is_text(setting))
        strlcpy(text, *(char *const *)member, size);
    else if (setting->kind == SETTING_CHOICE)
        strlcpy(text, setting->words[*(const uint64_t *)member], size);
    else
        format_number(setting, *(const uint64_t *)member, text, size);
}

/* "a, b or c" */
static void join_words(const char *const *words, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; words[i] != NULL; i++) {
        if (i > 0)
            strlcat(text, words[i + 1] == NULL ? " or " : ", ", size);
        strlcat(text, words[i], size);
    }
}

void setting_expectation(const struct setting *setting, char *text, size_t size)
{
    static const char *const nouns[] = {
        [SETTING_COUNT] = "a whole number",
        [SETTING_BYTES] = "a size",
        [SETTING_TIME] = "a time",
    };
    char low[32];
    char high[32];
    if (setting->kind == SETTING_CHOICE) {
        join_words(setting->words, text, size);
    } else if (setting->kind == SETTING_NAMES) {
        snprintf(text, size, "host names separated by blanks, or nothing");
    } else if (setting->kind == SETTING_SERVERS) {
        snprintf(text, size, "ADDRESS[:PORT] separated by commas, or nothing");
    } else if (setting->kind == SETTING_TEXT) {
        snprintf(text, size, "an absolute path of at most %" PRIu64 " bytes%s", setting->high,
                 setting->low == 0 ? ", or nothing" : "");
    } else {
        format_number(setting, setting->low, low, sizeof(low));
        format_number(setting, setting->high, high, sizeof(high));
        snprintf(text, size, "%s from %s to %s%s", nouns[setting->kind], low, high,
                 setting->step == S ? ", in whole seconds" : "");
    }
}
