/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the keeper looks at in a request line, which is opaque else (lonc-protocol(7) section 1):
 * whom it is meant for, whether it is to be enciphered, and what of it may be shown.
 */
#ifndef LONC_KEEPER_LOND_REQUEST_H
#define LONC_KEEPER_LOND_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/*
 *     [sethost:<lonHostID>:][encrypt:]<command> LF
 *
 * lond obeys an inline `sethost:` before it looks for `enc:`, so `encrypt:` is looked for behind
 * it: taken for a part of an opaque request, it would send a password in clear text. For the same
 * reason it is found behind prefixes that are repeated or misplaced, `lonc_defer:` among them.
 */
struct request {
    const char *id; /* in the line; NULL: it is meant for whomever the connection is */
    size_t id_length;
    size_t prefix;       /* the length of what stands before `encrypt:` or the command */
    const char *command; /* in the line */
    size_t length;       /* of the command, without the LF */
    bool encrypt;
    const char *stray_id; /* of one more `sethost:`, which lond may obey as well; NULL: none */
    size_t stray_length;
};

/* Takes a line apart, LF included; the result points into it. */
struct request request_parse(const char *line, size_t length);

/* Whether the line, by itself or inline, makes lond speak for another lonHostID than `id`. */
bool request_is_for_other(const struct request *request, const char *id);

/* Whether lond may go on as another than `id` behind it. */
bool request_leaves_other(const struct request *request, const char *id);

/*
 * What of a request may leave memory, for logs, names of files, status and errors (keeper/README.md
 * rule 10). All of it may, as far as this is concerned, unless it is, or was meant to be,
 * enciphered: then only its prefixes, its command's first word and its length. Whether the
 * arguments of others have any business where it goes, the caller knows.
 */
struct request_shown {
    size_t length;      /* so many bytes of its beginning may be shown */
    bool secret;        /* and not the others */
    const char *word;   /* its command's first word, "encrypt" of a secret: for logs */
    size_t word_length; /* no more than REQUEST_WORD_MAX */
};

#define REQUEST_WORD_MAX 32

/* So much of a request is looked at for what may be shown of it: of a megabyte, what matters stands
 * at the beginning. */
#define REQUEST_LOOKED_AT 512

/*
 * `text` is the beginning of a request, of any length and without its LF: of what is not given,
 * nothing can be shown. Prefixes are recognized in any order, number and case, and where an id in
 * them is none: text that nobody could send right must not be shown for that.
 */
struct request_shown request_shown(const char *text, size_t length);

/*
 * "put (37 bytes)": a request as log messages name it, by its first word and its length. `line` is
 * the whole line, whose LF counts in the length. `text` receives it.
 */
#define REQUEST_SUMMARY_SIZE (REQUEST_WORD_MAX + 32)
void request_summary(const char *line, size_t length, char text[REQUEST_SUMMARY_SIZE]);

#endif
