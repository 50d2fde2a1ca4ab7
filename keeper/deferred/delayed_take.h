/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking files out of the deferred folder. Only a delivered file is ever removed; what cannot be
 * delivered is moved to a folder below. Each step is a rename, so it leaves the folder in a state
 * from which the next keeper can go on.
 */
#ifndef LONC_KEEPER_DEFERRED_DELAYED_TAKE_H
#define LONC_KEEPER_DEFERRED_DELAYED_TAKE_H

#include <stddef.h>

#include "common/attributes.h"
#include "keeper/deferred/delayed_read.h"

/*
 * Whether files could be taken out of the folder: 0, or the negative errno of what prevents it (a
 * read-only file system, permissions, chattr +i or +a). Changes nothing.
 */
MUST_CHECK int delayed_is_writable(int folder);

/* Whether this file could be, in a writable folder: the sticky bit or chattr +i may prevent it. */
MUST_CHECK int delayed_may_take(int folder, const char *name);

/*
 * A file that was sent: its identity when it was read, and its content or the digest of that.
 * Without either, any change at all makes it another file.
 */
struct delayed_sent {
    struct delayed_identity is;
    const char *content;         /* as delayed_read returned it, or NULL */
    const unsigned char *digest; /* or NULL */
    size_t length;
};

/* What became of a file that was to be removed or set aside. */
enum delayed_taken {
    DELAYED_TAKEN,
    DELAYED_TAKEN_HELD, /* it lay in held/, where an administrator had moved it meanwhile */
    DELAYED_NOT_THERE,  /* somebody has removed it, or another file has its name and was left */
};

/*
 * Removes a delivered file, provided it is what was sent: a file that was replaced, rewritten or
 * appended to is DELAYED_NOT_THERE and stays. It is also looked for in held/, because if it were
 * released from there, it would be delivered once more. Returns an enum delayed_taken, or a
 * negative errno with the file where it was.
 */
MUST_CHECK int delayed_remove(int folder, const char *name, const struct delayed_sent *sent);

/*
 * Moves a file, provided it is what was sent (NULL: whatever has the name), to the folder `where`
 * (DELAYED_REJECTED_FOLDER, DELAYED_CORRUPT_FOLDER) below, which is created if needed. Nothing is
 * replaced there: if the name is taken, a number is appended. `reply` is written beside it first,
 * as `<name>.reply`; it may be NULL. Returns DELAYED_TAKEN, DELAYED_NOT_THERE, or a negative errno
 * with the file where it was.
 */
MUST_CHECK int delayed_set_aside(int folder, const char *name, const char *where,
                                 const struct delayed_sent *sent, const char *reply,
                                 size_t reply_length);

#endif
