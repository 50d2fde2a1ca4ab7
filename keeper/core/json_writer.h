/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes JSON straight into a buffer, member after member, with no tree of values between: what
 * thousands of hosts are told with while requests wait for their turn. Small answers are jansson's,
 * and so is the text of whatever is not plain.
 */
#ifndef LONC_KEEPER_CORE_JSON_WRITER_H
#define LONC_KEEPER_CORE_JSON_WRITER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

/*
 * A text being written. The first thing that fails is kept in `error`, and what comes after it does
 * nothing, so that it is looked at once, at the end. Objects and arrays may lie in each other
 * as they like; that what is opened is closed is the caller's to see to.
 */
struct json_writer {
    struct buffer *out;
    bool behind; /* a value stands before: a comma comes first */
    int error;   /* 0, or a negative errno */
};

/* In all of these `key` is NULL for a member of an array, or for the value as a whole. Keys are
 * written as they are. */

/* Opens an object with '{' or an array with '['; json_writer_close takes '}' or ']'. */
void json_writer_open(struct json_writer *writer, const char *key, char bracket);
void json_writer_close(struct json_writer *writer, char bracket);

/* NULL is told as null. Bytes that are no UTF-8: as json_writer_bytes does. */
void json_writer_text(struct json_writer *writer, const char *key, const char *text);
void json_writer_count(struct json_writer *writer, const char *key, uint64_t number);
void json_writer_bool(struct json_writer *writer, const char *key, bool value);
void json_writer_null(struct json_writer *writer, const char *key);

/* A time in microseconds, as seconds with a point in them. */
void json_writer_seconds(struct json_writer *writer, const char *key, uint64_t microseconds);

/* A value of jansson's, which stays the caller's; NULL is -ENOMEM. */
void json_writer_json(struct json_writer *writer, const char *key, const json_t *value);

/*
 * The bytes as a JSON text, the caller's; NULL without memory. Those that are no UTF-8 cannot stand
 * in JSON: each of them all is told as the character of its number then, and *coded is true.
 */
json_t *json_writer_bytes(const char *bytes, size_t length, bool *coded);

#endif
