/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the dates of certificates mean for ssl: whether it can be used now, what to warn of, and
 * when that may change. Pure: it is given the dates and the time.
 */
#ifndef LONC_KEEPER_NET_VALIDITY_H
#define LONC_KEEPER_NET_VALIDITY_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* What ssl needs one of for each. */
enum validity_role {
    VALIDITY_OWN,         /* this server's certificate */
    VALIDITY_AUTHORITY,   /* a CA's: one that is valid suffices, the others vouch for nobody */
    VALIDITY_REVOCATIONS, /* a list of revoked certificates: without one, OpenSSL believes nobody */
    VALIDITY_NEEDED,      /* the number of those; */
    /* and one that stands behind our own in its file: lond may have a newer one. */
    VALIDITY_CHAIN = VALIDITY_NEEDED
};

/* From when until when one certificate or list is valid, in seconds of the wall clock. */
struct validity {
    enum validity_role role;
    time_t from, until;
    const char *path;     /* of its file */
    const char *variable; /* that names the file */
    char subject[128];    /* whose it is */
};

#define VALIDITY_TEXT_SIZE 512

struct validity_verdict {
    bool usable;
    char problem[VALIDITY_TEXT_SIZE];  /* why not: the variable's name first, behind `path` */
    char warnings[VALIDITY_TEXT_SIZE]; /* what vouches for nobody, or expires soon; or empty */
    const char *path;                  /* the file that is the problem */
    time_t expires;                    /* when ssl cannot be used any more; 0: it cannot be now */
    time_t soon;                       /* the same, of a certificate to warn of; or 0 */
    const char *soon_path;             /* its file */
    time_t next;                       /* when to judge again; 0: never */
};

/* Judges `count` of them, with warnings from `warning` seconds before one expires. Where no list of
 * revoked certificates is given, none is needed. */
void validity_judge(const struct validity *of, size_t count, time_t now, time_t warning,
                    struct validity_verdict *verdict);

/* "2027-01-31 12:00 UTC" */
#define VALIDITY_DATE_SIZE 32
const char *validity_date(time_t when, char text[VALIDITY_DATE_SIZE]);

#endif
