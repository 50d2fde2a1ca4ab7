/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lonc.log as the old daemon wrote it, for programs that parse it. Off by default: the journal has
 * more, and fields.
 */
#ifndef LONC_KEEPER_LONCLOG_H
#define LONC_KEEPER_LONCLOG_H

/* From now on each message of the log is appended to `path`, which must stay; "" ends that. */
void lonclog_open(const char *path);

#endif
