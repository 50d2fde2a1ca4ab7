/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The few things that the keeper looks at in a request line, which is opaque otherwise
 * (lonc-protocol(7) section 1): which host it is meant for, whether it is to be enciphered, and how
 * much of it may be shown.
 */
#ifndef LONC_KEEPER_LOND_REQUEST_H
#define LONC_KEEPER_LOND_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/*
 *     [sethost:<lonHostID>:][encrypt:]<command> LF
 *
 * lond obeys an inline `sethost:` before it looks for `enc:`, so `encrypt:` is looked for behind
 * `sethost:`. If it were taken for a part of an opaque request, a password would go out in clear
 * text. For the same reason it is found behind repeated or misplaced prefixes, among them
 * `lonc_defer:`.
 */
struct request {
    const char *id; /* in the line; NULL: it is meant for the connection's own host */
    size_t id_length;
    size_t prefix;       /* the length of what stands before `encrypt:` or the command */
    const char *command; /* in the line */
    size_t length;       /* of the command, without the LF */
    bool encrypt;
    const char *stray_id; /* of a second `sethost:`, which lond may obey as well; NULL: none */
    size_t stray_length;
};

/* Parses a line, LF included. The result points into it. */
struct request request_parse(const char *line, size_t length);

/* Whether the line makes lond act as another lonHostID than `id`: for this request, or as a command
 * of its own for all that follow. */
bool request_is_for_other(const struct request *request, const char *id);

/* Whether lond may still act as another lonHostID than `id` when the request is over. */
bool request_leaves_other(const struct request *request, const char *id);

/*
 * How much of a request may be written to logs, names of files, status and errors (keeper/README.md
 * rule 10). Of a request that is enciphered, or was meant to be, that is the prefixes, the
 * command's first word and the length. Of any other request this allows everything; whether its
 * arguments belong there is for the caller to decide.
 */
struct request_shown {
    size_t length;      /* how many bytes of its beginning may be shown */
    bool secret;        /* the rest may not */
    const char *word;   /* for logs: the command's first word; "encrypt" if it is a secret */
    size_t word_length; /* no more than REQUEST_WORD_MAX */
};

#define REQUEST_WORD_MAX 32

/* So much of a request is looked at for what may be shown of it: of a megabyte, what matters stands
 * at the beginning. */
#define REQUEST_LOOKED_AT 512

/*
 * `text` is the beginning of a request, of any length, without the LF. Prefixes are recognized in
 * any order, number and case, and with an id that cannot be one: a secret must not be shown just
 * because its request is malformed.
 */
struct request_shown request_shown(const char *text, size_t length);

/*
 * "put (37 bytes)": a request as log messages name it, by its first word and its length. `line` is
 * the whole line, whose LF counts in the length. `text` receives it.
 */
#define REQUEST_SUMMARY_SIZE (REQUEST_WORD_MAX + 32)
void request_summary(const char *line, size_t length, char text[REQUEST_SUMMARY_SIZE]);

#endif
