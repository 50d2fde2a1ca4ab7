/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking files out of the folder: delivered files are removed, others set aside. When the file that
 * was meant has gone and another one has its name, that one is left alone and becomes FILE_NEW.
 */
#ifndef LONC_KEEPER_DEFERRED_DISPOSAL_H
#define LONC_KEEPER_DEFERRED_DISPOSAL_H

#include "common/attributes.h"
#include "keeper/deferred/backlog.h"
#include "keeper/deferred/delayed_take.h"

/*
 * Removes a delivered file, provided it is what was sent. 0: the file is forgotten, or NEW. A
 * negative errno: the file lies where it was, and its state is unchanged.
 */
MUST_CHECK int disposal_remove(struct file *file, const struct delayed_sent *sent);

/* What of a file that is to be set aside. */
struct aside {
    const char *where;               /* DELAYED_REJECTED_FOLDER or DELAYED_CORRUPT_FOLDER */
    const char *why;                 /* for the log, after the file's name: "was rejected" */
    const struct delayed_sent *sent; /* as in delayed_set_aside; NULL: whatever has the name */
    const char *reply;               /* lond's, put beside the file; or NULL */
    size_t reply_length;
};

/* Moves a file into one of the folders below. The file is then forgotten, NEW, or POSTPONED. */
void disposal_set_aside(struct file *file, const struct aside *aside);

#endif
