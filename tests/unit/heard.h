/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the three parsers share: files in a folder of their own, which is the working
 * directory so that diagnostics show short names, and everything that was said about them.
 */
#ifndef LONC_TESTS_UNIT_HEARD_H
#define LONC_TESTS_UNIT_HEARD_H

#include <stddef.h>

#include "common/diagnostics.h"

/* Hand it to a parser. */
extern struct diagnostics heard;

/* The texts of all diagnostics so far, each followed by LF. */
const char *heard_text(void);

/* For .init and .fini of a suite: a new empty folder, and nothing heard; then all is removed. */
void heard_begin(void);
void heard_end(void);

void write_file(const char *name, const char *text);
void write_bytes(const char *name, const char *bytes, size_t size);

/* A file of `count` times the byte. */
void write_repeated(const char *name, char byte, size_t count);

/* Asserts that exactly this was said since heard_begin(). */
void expect_heard(const char *text);

#endif
