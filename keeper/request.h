/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the keeper looks at in a request line, which is opaque else (PROTOCOL.md section 1): whom it
 * is meant for, and whether it is to be enciphered.
 */
#ifndef LONC_KEEPER_REQUEST_H
#define LONC_KEEPER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/*
 *     [sethost:<lonHostID>:][encrypt:]<command> LF
 *
 * lond obeys an inline `sethost:` before it looks for `enc:`, so `encrypt:` is looked for behind
 * it: taken for a part of an opaque request, it would send a password in clear text.
 */
struct request {
    const char *id; /* in the line; NULL: it is meant for whomever the connection is */
    size_t id_length;
    size_t prefix;       /* the length of what stands before `encrypt:` or the command */
    const char *command; /* in the line */
    size_t length;       /* of the command, without the LF */
    bool encrypt;
};

/* Takes a line apart, LF included; the result points into it. */
struct request request_parse(const char *line, size_t length);

/* Whether the line, by itself or inline, makes lond speak for another lonHostID than `id`. */
bool request_is_for_other(const struct request *request, const char *id);

#endif
