/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hosts.tab, the cluster's table of servers, in both its shapes (lonc-protocol(7) section 7):
 *
 *     id:domain:role:DNS name:IPv4 address[:...]          2004
 *     id:domain:role:DNS name[:http|https[:internet domain]]    2007 and later
 *
 * `#` starts a comment, a line that starts with `^` names the cluster's DNS servers and is no host,
 * blank lines mean nothing, and so do blanks and a CR around a field. A shape is told by each
 * line's fifth field: an IPv4 address, behind which any remark may stand, since lond ignores it; or
 * `http`, `https` or nothing. Fields after it do not matter. This reads and checks; it resolves no
 * names.
 */
#ifndef LONC_COMMON_HOSTTAB_H
#define LONC_COMMON_HOSTTAB_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diagnostics.h"

/* Clusters have hundreds of servers; past this a table is a mistake, and memory is bounded. */
#define HOSTTAB_MAX_HOSTS 100000

struct hosttab_entry {
    char *id;             /* lonHostID, unique in the table */
    char *domain;         /* may be empty */
    char *role;           /* `library`, `access` or empty; the keeper does not use it */
    char *name;           /* DNS name; several ids may share one */
    bool name_is_address; /* an IPv4 literal: DNS is not asked for it */
    bool has_address;
    struct in_addr address; /* from the fifth field, or from such a name; IPv6 has no place here */
    unsigned line;
};

/* Where the entries are by one of their texts: a table of slots, more than half of them empty. */
struct hosttab_index {
    uint32_t *slots; /* 0: empty; else 1 + the entry's place */
    size_t size;     /* a power of two; 0 before the first entry */
};

struct hosttab {
    struct hosttab_entry *entries; /* in the order of the file */
    size_t count;
    struct hosttab_index ids, names; /* of several entries of one name, the first */
    struct hosttab_texts *texts;     /* what the entries point to */
};

/*
 * Reads `path` into `table`, which the caller frees with hosttab_free whatever the result. Every
 * bad line is complained about (the second of two equal ids names the line of the first), and so is
 * a table without a host: a cluster has at least this server, so that is a file cut short, and
 * putting it into force would take every host out of service. Returns 0, or -1 when there was a
 * diagnostic; then the table must not be put into force.
 */
int hosttab_load(struct hosttab *table, const char *path, struct diagnostics *diagnostics);
void hosttab_free(struct hosttab *table);

/*
 * The same by and by, for who may not be held up: hosttab_some, which looks at some
 * HOSTTAB_LINES lines, until it says that there are no more; then hosttab_close, whose result is
 * that of hosttab_load. hosttab_open returns NULL after a diagnostic; `path` must stay.
 */
#define HOSTTAB_LINES 500 /* some 200 us of work */
struct hosttab_reading *hosttab_open(struct hosttab *table, const char *path,
                                     struct diagnostics *diagnostics);
bool hosttab_some(struct hosttab_reading *reading);
int hosttab_close(struct hosttab_reading *reading);

/* The entry of this lonHostID, or NULL. */
const struct hosttab_entry *hosttab_find_id(const struct hosttab *table, const char *id);

/* The first entry with this DNS name, whose case does not matter; or NULL. */
const struct hosttab_entry *hosttab_find_name(const struct hosttab *table, const char *name);

#endif
