/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc.log as the old daemon wrote it, for programs that parse it. Off by default: the journal has
 * more, and fields.
 */
#ifndef LONC_KEEPER_CONTROL_LONCLOG_H
#define LONC_KEEPER_CONTROL_LONCLOG_H

#include "keeper/core/core.h"

/*
 * From now on each message of the log is appended to `path`, which must stay; "" ends that. While
 * it cannot be written, that is a trouble, and tried again each trouble_retry and with each
 * message.
 */
void lonclog_open(struct core *core, const char *path);

/* Before the loop is closed and the path is gone. */
void lonclog_close(void);

#endif
