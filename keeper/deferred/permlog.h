/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonnet.perm.log, LON-CAPA's record of deferred transactions (lonc-protocol(7) section 5). Its
 * lines are `<epoch>:<X>:<host>:<command>:<local time>`, where X is D (deferred), S (delivered) or
 * F (failed to store). loncron reports the number of D lines minus that of S lines as unsent.
 */
#ifndef LONC_KEEPER_DEFERRED_PERMLOG_H
#define LONC_KEEPER_DEFERRED_PERMLOG_H

#include <stddef.h>
#include <time.h>

#include "common/attributes.h"
#include "common/host_name.h"

enum permlog_kind { PERMLOG_DEFERRED = 'D', PERMLOG_DELIVERED = 'S', PERMLOG_FAILED = 'F' };

/* Commands are cut off here: a line says which command it was, and is no copy of it. */
#define PERMLOG_COMMAND_MAX 4096

/* The longest possible line. */
#define PERMLOG_LINE_MAX (PERMLOG_COMMAND_MAX + HOST_NAME_MAX_LENGTH + 128)

/*
 * Whether a line could be appended now: the log can be opened, or created, and its disk has room
 * for a line, which is reserved if possible. 0 or a negative errno.
 */
MUST_CHECK int permlog_probe(const char *path);

/*
 * Appends one line with one write. `path` is opened anew each time, since loncron rotates the log.
 * `command` is `length` bytes without LF, of which at most PERMLOG_COMMAND_MAX are read; of a
 * secret, only what request_shown allows and the length are written. `now` is the line's time. 0 or
 * a negative errno.
 */
MUST_CHECK int permlog_append(const char *path, enum permlog_kind kind, const char *host,
                              const char *command, size_t length, time_t now);

/*
 * Copies as much of a command as permlog_append reads, for a line that is written later. NULL for
 * lack of memory. As the command may be a secret, permlog_drop, given the same length, wipes the
 * copy before it frees it; NULL is allowed.
 */
char *permlog_keep(const char *command, size_t length);
void permlog_drop(char *kept, size_t length);

#endif
