/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A buffer at one end of a socket pair, for the tests of buffers.
 */
#ifndef LONC_TESTS_UNIT_ONE_BUFFER_H
#define LONC_TESTS_UNIT_ONE_BUFFER_H

#include <stddef.h>

#include "common/buffer.h"

#define MIB (1024 * 1024)

extern struct buffer one_buffer;
extern int ends[2];  /* of the socket pair */
#define NEAR ends[0] /* where the buffer is */
#define FAR  ends[1]

/* For TestSuite(): .init and .fini. At the end all memory must have been given back. */
void one_buffer_begin(void);
void one_buffer_end(void);

/* Releases unused memory as the loop does, a piece a turn. Returns the number of turns. */
unsigned release(size_t most);

void append(const char *text);
void append_bytes(struct buffer *to, char byte, size_t count);
void send_from_far(const void *bytes, size_t length);
void receive(const char *text);
void expect_content(const struct buffer *of, const char *text);
void expect_no_line(void);
void expect_line(const char *line);

#endif
