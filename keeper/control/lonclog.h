/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc.log as the old daemon wrote it, for programs that parse it. Off by default: the journal has
 * more, and fields.
 */
#ifndef LONC_KEEPER_CONTROL_LONCLOG_H
#define LONC_KEEPER_CONTROL_LONCLOG_H

#include "keeper/core/core.h"

/*
 * From now on, each log message is also appended to the file `path`, a string that must stay; ""
 * ends that. While the file cannot be written, that is a trouble; the next message tries again, and
 * so does a timer after each trouble_retry.
 */
void lonclog_open(struct core *core, const char *path);

/* To be called before the loop is closed and the path is freed. */
void lonclog_close(void);

#endif
