/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hosts.tab, the cluster's table of servers, in both its forms (lonc-protocol(7) section 7):
 *
 *     id:domain:role:DNS name:IPv4 address[:...]          2004
 *     id:domain:role:DNS name[:http|https[:internet domain]]    2007 and later
 *
 * `#` starts a comment. A line that starts with `^` names the cluster's DNS servers and is no host.
 * Blank lines are ignored, and so are blanks and a CR around a field. The fifth field tells the
 * form of its line: an IPv4 address, which any remark may follow because lond ignores it; or
 * `http`, `https` or nothing. Later fields are ignored. This reads and checks the table; it
 * resolves no names.
 */
#ifndef LONC_COMMON_HOSTTAB_H
#define LONC_COMMON_HOSTTAB_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attributes.h"
#include "common/diagnostics.h"

/* Clusters have hundreds of servers. A larger table is a mistake, and memory has to be bounded. */
#define HOSTTAB_MAX_HOSTS 100000

struct hosttab_entry {
    char *id;             /* lonHostID, unique in the table */
    char *domain;         /* may be empty */
    char *role;           /* `library`, `access` or empty; the keeper does not use it */
    char *name;           /* DNS name; several ids may share one */
    bool name_is_address; /* an IPv4 literal, which is not looked up in DNS */
    bool has_address;
    struct in_addr address; /* from the fifth field or an IPv4 literal; there is no form for IPv6 */
    unsigned line;
};

/* A hash table of the entries by one of their texts. At least half of the slots are empty. */
struct hosttab_index {
    uint32_t *slots; /* 0: empty; else 1 + the index of the entry */
    size_t size;     /* a power of two; 0 before the first entry */
};

struct hosttab {
    struct hosttab_entry *entries; /* in the order of the file */
    size_t count;
    struct hosttab_index ids, names; /* `names` has the first of several entries with one name */
    struct hosttab_texts *texts;     /* memory of the entries' texts */
};

/*
 * Reads `path` into `table`. Every bad line is reported; for the second of two equal ids, the line
 * of the first is named. So is a table without hosts: a cluster has at least this server, so the
 * file was cut short, and with an empty table every host would be out of service. Returns 0, or -1
 * if there was a diagnostic; the table must not be used then. The caller calls hosttab_free() in
 * either case.
 */
MUST_CHECK int hosttab_load(struct hosttab *table, const char *path,
                            struct diagnostics *diagnostics);
void hosttab_free(struct hosttab *table);

/*
 * The same in slices of HOSTTAB_LINES lines (see common/lines.h for the reason). hosttab_open()
 * returns NULL after a diagnostic; `path` must stay valid until hosttab_close(), which returns what
 * hosttab_load() would have returned.
 */
#define HOSTTAB_LINES 500 /* takes about 0.5 ms */
MUST_CHECK struct hosttab_reading *hosttab_open(struct hosttab *table, const char *path,
                                                struct diagnostics *diagnostics);
MUST_CHECK bool hosttab_read_some(struct hosttab_reading *reading);
int hosttab_close(struct hosttab_reading *reading);

/* The entry of this lonHostID, or NULL. */
const struct hosttab_entry *hosttab_find_id(const struct hosttab *table, const char *id);

/* The first entry with this DNS name, in any case of letters; or NULL. */
const struct hosttab_entry *hosttab_find_name(const struct hosttab *table, const char *name);

#endif
