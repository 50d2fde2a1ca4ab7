/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a file can be sent now: it must have been left alone for long enough, nobody may have it
 * open for writing, and it must be one line. What cannot be sent yet waits, within the time-outs of
 * the settings; what can never be sent is set aside.
 */
#ifndef LONC_KEEPER_DEFERRED_INSPECTION_H
#define LONC_KEEPER_DEFERRED_INSPECTION_H

#include "common/attributes.h"
#include "common/buffer.h"
#include "keeper/deferred/backlog.h"

/*
 * Looks at a READY file, and reads it into `content` if it can be sent; `found` is then what was
 * read. If it cannot, the file has entered another state or is gone, and `content` may hold a part
 * of it, which the caller drops.
 */
MUST_CHECK bool inspection_may_send(struct file *file, struct buffer *content,
                                    struct delayed_found *found);

/*
 * inotify reports that something has happened to the file. It is left alone for another
 * deferred_hold, but files behind it do not wait forever for one that changes again and again.
 */
void inspection_touched(struct file *file);

#endif
