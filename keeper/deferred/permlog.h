/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonnet.perm.log, where LON-CAPA keeps account of deferred transactions (lonc-protocol(7) section
 * 5): `<epoch>:<X>:<host>:<command>:<local time>`, X being D (deferred), S (delivered) or F (failed
 * to store). loncron reports D minus S as unsent.
 */
#ifndef LONC_KEEPER_DEFERRED_PERMLOG_H
#define LONC_KEEPER_DEFERRED_PERMLOG_H

#include <stddef.h>
#include <time.h>

#include "common/host_name.h"

enum permlog_kind { PERMLOG_DEFERRED = 'D', PERMLOG_DELIVERED = 'S', PERMLOG_FAILED = 'F' };

/* Commands are cut here: the line says which one it was, it is not a copy of it. */
#define PERMLOG_COMMAND_MAX 4096

/* A line's length at most. */
#define PERMLOG_LINE_MAX (PERMLOG_COMMAND_MAX + HOST_NAME_MAX_LENGTH + 128)

/*
 * Whether a line could be appended now: the log can be opened, and there is room for one on its
 * disk, which is reserved. 0 or a negative errno.
 */
int permlog_probe(const char *path);

/*
 * Appends one line with one write. `path` is opened anew each time, since loncron rotates it.
 * `command` is `length` bytes without LF, of which no more than PERMLOG_COMMAND_MAX are read; of
 * a secret, only what request_shown says and its length are written. Returns 0 or a negative errno.
 */
int permlog_append(const char *path, enum permlog_kind kind, const char *host, const char *command,
                   size_t length, time_t now);

/*
 * A copy of as much of a command as permlog_append reads, for a line that is written later. It may
 * be a secret: permlog_drop, told the same length, leaves nothing of it in memory. NULL without
 * memory, which permlog_drop takes as well.
 */
char *permlog_keep(const char *command, size_t length);
void permlog_drop(char *kept, size_t length);

#endif
