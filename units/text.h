/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text of what lonc-hosts writes for systemd to read: pure rules, no files.
 */
#ifndef LONC_UNITS_TEXT_H
#define LONC_UNITS_TEXT_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/loncapa.h"
#include "units/sockets.h"

/* Four paths of loncapa.conf, whose lines end at 4,096 bytes, quoted: less in practice by far. */
#define TEXT_SIZE 65536

/* NUL-terminated. What does not fit is cut off. */
struct text {
    char bytes[TEXT_SIZE];
    size_t length;
};

void text_clear(struct text *text);

/* What the units of all hosts run as. */
struct text_user {
    uid_t user;
    gid_t group;
};

/*
 * A host's unit: the template without its comments, @HOST@, @USER@ and @GROUP@ filled in, and a
 * line with @SOCKET@ once for each of the host's paths.
 */
void text_unit(struct text *text, const char *template, const struct host *host,
               const struct text_user *user);

/* Whether the unit, a socket's, listens where the host should be reached, and nowhere else. */
bool text_has_paths(const char *unit, const struct host *host);

/*
 * The drop-in of lonc-keeper.service for a loncapa.conf that names other directories than
 * LON-CAPA's own, which unit files cannot read: so that it may write there. Empty where none is
 * needed.
 */
void text_keeper(struct text *text, const struct loncapa *conf);

/* The same of lonc-page.service, which writes the status page. */
void text_page(struct text *text, const struct loncapa *conf);

#endif
