/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes JSON straight into a buffer, member by member. All answers of the control socket are made
 * this way, because building a tree of jansson's values first takes five times as long: with a
 * table of 10,000 hosts, `hosts` takes 85 ms instead of 17 ms of a processor that is to serve
 * requests meanwhile. Only texts that need escaping go through jansson.
 */
#ifndef LONC_KEEPER_CORE_JSON_WRITER_H
#define LONC_KEEPER_CORE_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/buffer.h"

/*
 * A text being written. The first failure is kept in `error`, and later calls do nothing, so that
 * the caller looks at it once, at the end. Objects and arrays may be nested; it is up to the caller
 * to close what it opens.
 */
struct json_writer {
    struct buffer *out;
    bool follows; /* a value precedes in this object or array, so a comma comes first */
    int error;    /* 0, or a negative errno */
};

/*
 * In all of these, `key` is NULL for a member of an array and for the outermost value. Keys are
 * written without escaping.
 */

/* Opens an object with '{' or an array with '['; json_writer_close takes '}' or ']'. */
void json_writer_open(struct json_writer *writer, const char *key, char bracket);
void json_writer_close(struct json_writer *writer, char bracket);

/* NULL is written as null, and bytes that are not UTF-8 as json_writer_bytes does. */
void json_writer_text(struct json_writer *writer, const char *key, const char *text);

/*
 * Writes any bytes as a text. Those that are not valid UTF-8 cannot stand in JSON: then each byte
 * is written as the character of that number (Latin-1), and the result is false.
 */
bool json_writer_bytes(struct json_writer *writer, const char *key, const char *bytes,
                       size_t length);

void json_writer_count(struct json_writer *writer, const char *key, uint64_t number);
void json_writer_bool(struct json_writer *writer, const char *key, bool value);
void json_writer_null(struct json_writer *writer, const char *key);

/* A time in microseconds, written in seconds, with a decimal point. */
void json_writer_seconds(struct json_writer *writer, const char *key, uint64_t microseconds);

/* A finite number, with nine significant digits. */
void json_writer_real(struct json_writer *writer, const char *key, double number);

/* Ends the line with LF. Returns 0, or the first error of all calls before it. */
MUST_CHECK int json_writer_finish(struct json_writer *writer);

#endif
