/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One setting of keeper.conf: its row in the table, and its value read from text and written as
 * text. Which settings there are is in common/settings_table.c, the file in common/settings.c.
 *
 * A time is a number with a unit (`us`, `ms`, `s`, `min`, `h`; none means seconds), fractions
 * allowed. A size is a whole number with `k`, `M` or `G` (powers of 1024; none means bytes). A
 * blank may precede the unit.
 */
#ifndef LONC_COMMON_SETTING_H
#define LONC_COMMON_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"

struct settings;

enum setting_kind {
    SETTING_TEXT,    /* char *, an absolute path; low and high bound its length, low 0 allows "" */
    SETTING_NAMES,   /* char *, host names separated by blanks; bounds as of a text */
    SETTING_SERVERS, /* char *, ADDRESS[:PORT] separated by commas, IPv6 with a port in brackets */
    SETTING_COUNT,   /* uint64_t */
    SETTING_BYTES,   /* uint64_t */
    SETTING_TIME,    /* uint64_t, microseconds */
    SETTING_CHOICE,  /* uint64_t, index into the NULL-terminated list of words */
};

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;             /* of its member in struct settings */
    const char *default_value; /* as an administrator would write it in the file */
    uint64_t low, high;        /* inclusive, in the unit in which the value is stored */
    uint64_t step;             /* a value is a multiple of it; 0 allows any */
    const char *const *words;  /* SETTING_CHOICE only */
    const char *meaning;       /* what it does, and the reason for the default */
};

/* Whether its member is a char *, which is NULL until it is set; else it is a uint64_t. */
bool setting_is_text(const struct setting *setting);

/* Its member of `settings`, by the kind that setting_is_text() tells. */
char **setting_text(const struct setting *setting, struct settings *settings);
uint64_t *setting_number(const struct setting *setting, struct settings *settings);

/*
 * Whether `text` is a valid value: of the right kind and within the bounds. *number is then what is
 * to be stored; for a text, its length.
 */
MUST_CHECK bool setting_parse(const struct setting *setting, const char *text, uint64_t *number);

/* Stores a value that setting_parse() allowed; a text is copied. 0 or -ENOMEM. */
MUST_CHECK int setting_store(const struct setting *setting, struct settings *settings,
                             const char *value, uint64_t number);

/*
 * Writes the setting's value into `text` as it would be written in the file ("30s", "64M"). A value
 * that does not fit is cut.
 */
void setting_format(const struct setting *setting, const struct settings *settings, char *text,
                    size_t size);

/* The longest expectation, that of log_level, has 60 bytes. */
#define SETTING_EXPECTATION_SIZE 128

/* What a value must be, to follow the word "expected": "a time from 10ms to 5min". */
void setting_expectation(const struct setting *setting, char *text, size_t size);

#endif
