/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads a text file line by line: what the parsers of hosts.tab, loncapa.conf and keeper.conf have
 * in common, and no more. What a line means, comments included, is for them.
 */
#ifndef LONC_COMMON_LINES_H
#define LONC_COMMON_LINES_H

#include <stdbool.h>

#include "common/diagnostics.h"

/* Bytes of a line without its LF. A path (PATH_MAX) fits. */
#define LINES_MAX_LENGTH 4096

/* The largest table allowed, 100,000 hosts, needs half of it; past it the file is something else.
 */
#define LINES_MAX_FILE (16U << 20)

/*
 * Calls `each` for every line of `path` that is not blank, without its LF or CR LF and without the
 * blanks around it, and the first without a byte order mark; numbers count from 1, and the text is
 * the callee's to change until it returns. A line that is too long or holds a NUL byte is
 * complained about and left out.
 *
 * Returns 0 when the file was read to its end, and also when it does not exist and is `optional`;
 * -1, after a diagnostic, when it could not be read, was written meanwhile, is larger than
 * LINES_MAX_FILE, or is neither a regular file nor a device: nobody may have to wait for the other
 * end of a FIFO.
 */
int lines_read(const char *path, bool optional, struct diagnostics *diagnostics,
               void (*each)(void *argument, unsigned number, char *text), void *argument);

/*
 * The same by and by, for who may not be held up. NULL: the file does not exist and is `optional`,
 * or there was a diagnostic; `path` must stay. Then lines_some, which reads at most `most` lines,
 * until it says that there are no more, and lines_close, whose result is that of lines_read; it may
 * be called at any time.
 */
struct lines *lines_open(const char *path, bool optional, struct diagnostics *diagnostics);
bool lines_some(struct lines *reader, unsigned most,
                void (*each)(void *argument, unsigned number, char *text), void *argument);
int lines_close(struct lines *reader);

/* Cuts the blanks (CR included) off both ends, in place. Returns the new start. */
char *lines_strip(char *text);

/* Cuts a comment, `#` and all that follows, and then as lines_strip. */
char *lines_strip_comment(char *text);

#endif
