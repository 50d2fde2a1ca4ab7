/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a text file line by line, for the parsers of hosts.tab, loncapa.conf and keeper.conf. What
 * a line means, comments included, is decided by each parser.
 *
 * There are two ways to read, here and in hosttab.h and config.h: in one go, or in slices with
 * X_open(), X_read_some() until it returns false, and X_close(). The keeper's event loop reads in
 * slices, because a table in one go would hold up every request: on the machine of 2 processors on
 * which this was measured, 300 hosts take 0.4 ms, 10,000 hosts 12 ms, and 100,000 hosts, which a
 * table may have, 230 ms.
 */
#ifndef LONC_COMMON_LINES_H
#define LONC_COMMON_LINES_H

#include <stdbool.h>

#include "common/attributes.h"
#include "common/diagnostics.h"

/* Maximum length of a line in bytes, without its LF. A path (PATH_MAX) fits. */
#define LINES_MAX_LENGTH 4096

/* Maximum size of a file. The largest table allowed, 100,000 hosts, is half as large; a larger file
 * is something else. */
#define LINES_MAX_FILE (16U << 20)

/*
 * Calls `each` for every line of `path` that is not blank, without its line end (LF or CR LF), the
 * blanks around it, and a byte order mark at the start of the file. Numbers count from 1; the
 * callee may change the text until it returns. A line that is too long or contains a NUL byte is
 * reported and skipped.
 *
 * Returns 0 when the file was read to its end, and also when it does not exist and is `optional`.
 * Returns -1, after a diagnostic, when the file could not be read, changed meanwhile, is larger
 * than LINES_MAX_FILE, or is neither a regular file nor a character device: nobody may have to wait
 * for the other end of a FIFO.
 */
MUST_CHECK int lines_read(const char *path, bool optional, struct diagnostics *diagnostics,
                          void (*each)(void *argument, unsigned number, char *text),
                          void *argument);

struct lines;

/*
 * The same in slices. lines_open() returns NULL after a diagnostic, or if the file does not exist
 * and is `optional`; `path` must stay valid until lines_close(). lines_read_some() reads at most
 * `most` lines and returns whether there are more. lines_close() returns what lines_read() would
 * have returned; it may be called at any time.
 */
MUST_CHECK struct lines *lines_open(const char *path, bool optional,
                                    struct diagnostics *diagnostics);
MUST_CHECK bool lines_read_some(struct lines *reader, unsigned most,
                                void (*each)(void *argument, unsigned number, char *text),
                                void *argument);
int lines_close(struct lines *reader);

/* Removes the blanks (CR included) at both ends, in place. Returns the new start. */
char *lines_strip(char *text);

/* Removes a comment, which is `#` and what follows it, and then blanks as lines_strip() does. */
char *lines_strip_comment(char *text);

#endif
