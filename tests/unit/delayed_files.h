/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of delayed_read, delayed_take and delayed_create share: a folder that is empty
 * when a test begins, and is the working directory.
 */
#ifndef LONC_TESTS_UNIT_DELAYED_FILES_H
#define LONC_TESTS_UNIT_DELAYED_FILES_H

#include <stdbool.h>

#include "keeper/deferred/delayed_read.h"

#define LIMIT 1024
#define NAME  "1700000000.1.4711.put.msul1"

extern int folder;
extern struct buffer buffer;
extern struct delayed_found found;

void delayed_begin(void);
void delayed_end(void);

/* Reads a file into the buffer, which is emptied before. A read that waits ends the test. */
enum delayed_result read_file(const char *name);

void expect_read(const char *name, const char *bytes, size_t size);
bool exists(const char *name);
void expect_file(const char *name, const char *text);

/* How many entries a folder has beside "." and ".."; -1: there is no such folder. */
int count_entries(const char *path);

/* How many descriptors are open. */
int count_open(void);

const char *parse(const char *name);

#endif
