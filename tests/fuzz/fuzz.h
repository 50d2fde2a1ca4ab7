/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the fuzz targets share. A target is one file with one function, LLVMFuzzerTestOneInput: it
 * gives bytes to the modules as they are in the programs, and checks what must hold whatever the
 * bytes are. Each is built twice: with libFuzzer, which looks for bytes (`make fuzz`), and with
 * replay.c, which tries those of corpus/ once more (`make check-fuzz`).
 */
#ifndef LONC_TESTS_FUZZ_H
#define LONC_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diagnostics.h"

/* Stops the run, which is what libFuzzer takes for a finding. */
_Noreturn void fuzz_failed(const char *file, int line, const char *what);
#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, "does not hold: " #condition))

/* Bytes not used yet. */
struct input {
    const uint8_t *data;
    size_t left;
};

uint8_t input_byte(struct input *input); /* 0 when none is left */

/* Takes `length` bytes, or as many as are left: *length says. They lie in the input. */
const char *input_take(struct input *input, size_t *length);

/* The same up to the next LF, which is taken too and not counted; all that is left where none is.
 */
const char *input_line(struct input *input, size_t *length);

/* A file with these bytes. Its path is good until the next call. */
const char *fuzz_file(const void *bytes, size_t length);

/* A folder of this run alone, in memory, removed at its end. */
const char *fuzz_folder(void);

/* Writes a file in that folder. */
void fuzz_write(const char *path, const void *bytes, size_t length);

/* Complaints that are counted, and each of which must be one printable line. */
struct diagnostics fuzz_complaints(void);

/* How many descriptors are open, of the first 128. */
unsigned fuzz_descriptors(void);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
